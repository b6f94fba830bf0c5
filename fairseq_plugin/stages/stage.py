"""Run one command of a pipeline: shown as it could be typed, its output kept, its progress drawn.

A stage that has finished leaves a mark: the command, and the digests of what it read and wrote. The same
stage is not run again; one that was killed has no mark, and its command goes on where it was.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Protocol

from tqdm import tqdm

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write, sha256
from fairseq_plugin.stages.tied_child import tied
from fairseq_plugin.storage.sealed import KEY, read_sealed, write_sealed

ROOT = Path(__file__).resolve().parents[2]
_INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it
_LAST_LINES = 15  # of a command that failed without an error line of its own


class Watcher(Protocol):
    """Looks at every line that a command prints."""

    def see(self, line: str) -> str | None:
        """What to show of a line; None: nothing."""
        ...

    def close(self) -> None:
        """The command has ended."""
        ...


class Everything:
    """A watcher that shows every line."""

    def see(self, line: str) -> str | None:
        """The line itself."""
        return line

    def close(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True)
class Picked:
    """A watcher that shows what follows a pattern in a line, after a name."""

    pattern: str
    name: str = ""

    def see(self, line: str) -> str | None:
        """What follows."""
        found = re.search(f"({self.pattern})(.*)", line)
        return f"{self.name}{found[2]}".strip() if found else None

    def close(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True)
class Stage:
    """One command.

    Attributes:
        title: a few words.
        command: its words.
        inputs, outputs: files that it reads and writes, for its mark.
        mark: where the mark goes; None: the stage runs every time.
        log: where everything it says is kept; None: it speaks for itself.
        watcher: makes the watcher of its lines; needs a log.
        statuses: exit statuses that are an answer, not a failure.
        modules: folder of a person's own Python modules that the command imports.
        prepares: it makes the data folder, so that afterwards its size is known.
    """

    title: str
    command: tuple[str, ...]
    inputs: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    mark: Path | None = None
    log: Path | None = None
    watcher: Callable[[], Watcher] | None = None
    statuses: tuple[int, ...] = (0,)
    modules: Path | None = None
    prepares: bool = False

    def is_finished(self) -> bool:
        """Whether this very command has run on these very files and its results are whole."""
        if self.mark is None or not self.mark.is_file():
            return False
        try:
            stated = read_sealed(self.mark)
            return stated is not None and stated == {**self._facts(), KEY: stated[KEY]}
        except OSError:  # a file of the stage is gone
            return False

    def finish(self) -> None:
        """Leave the mark."""
        if self.mark is not None:
            self.mark.parent.mkdir(parents=True, exist_ok=True)
            write_sealed(self.mark, self._facts())

    def _facts(self) -> dict[str, object]:
        return {
            "command": list(self.command),
            "inputs": {str(path): sha256(path) for path in self.inputs},
            "outputs": {str(path): sha256(path) for path in self.outputs},
        }


@dataclass
class Runner:
    """Runs stages one after the other and counts them.

    Attributes:
        stream: where titles and shown lines go; None: nowhere (notebooks).
        logs: folder for what stages without a log say: a notebook's cell does not show what a command prints
            by itself. None: they print.
        num_stages: run or passed over so far.
    """

    stream: IO[str] | None = field(default_factory=lambda: sys.stdout)
    logs: Path | None = None
    num_stages: int = 0

    def run(self, stage: Stage) -> int:
        """Run a stage, or pass over it where it has finished.

        Returns:
            Its exit status, one of ``stage.statuses``.

        Raises:
            UserError: it failed and did not say why; with its own error line where that is in its log.
            SystemExit: Ctrl-C; or it failed, and has said why.
        """
        self.num_stages += 1
        if stage.log is None and self.logs is not None:
            stage = replace(stage, log=self.logs / f"step-{self.num_stages}.log", watcher=Everything)
        self.say(f"\n== {self.num_stages}. {stage.title}")
        if stage.is_finished():
            self.say("already done, with the same settings and files")
            return 0
        self.say("$ " + shlex.join(stage.command))
        began = time.monotonic()
        try:
            status = self._run_quietly(stage) if stage.log is not None else self._run_aloud(stage)
        except KeyboardInterrupt:
            self.say("\ninterrupted; the same command goes on from here")
            if self.stream is None:  # a notebook has its own way to stop
                raise
            raise SystemExit(_INTERRUPTED) from None
        if status not in stage.statuses:
            if stage.log is None and status > 0:  # it has said why itself
                self.say(f"stopped at step {self.num_stages}: {stage.title}")
                raise SystemExit(1)
            raise UserError(self._failure(stage, status))
        stage.finish()
        where = f"; everything it said: {stage.log}" if stage.log is not None else ""
        self.say(f"({time.monotonic() - began:.0f} s{where})")
        return status

    def say(self, line: str) -> None:
        """Print a line."""
        if self.stream is not None:
            tqdm.write(line, file=self.stream)  # above a bar, where there is one
            self.stream.flush()

    def _run_aloud(self, stage: Stage) -> int:
        is_silent = self.stream is None
        done = subprocess.run(
            tied(stage.command), cwd=ROOT, env=_environment(stage.modules), stdin=subprocess.DEVNULL,
            capture_output=is_silent, text=True,
        )  # fmt: skip
        if is_silent and done.returncode not in stage.statuses:
            errors = [line for line in done.stderr.split("\n") if line.startswith("error: ")]
            raise UserError(errors[0].removeprefix("error: ") if errors else done.stderr[-2000:])
        return done.returncode

    def _run_quietly(self, stage: Stage) -> int:
        assert stage.log is not None
        stage.log.parent.mkdir(parents=True, exist_ok=True)
        watcher = stage.watcher() if stage.watcher is not None else None
        with atomic_write(stage.log) as log:
            process = subprocess.Popen(
                tied(stage.command), cwd=ROOT, env=_environment(stage.modules), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
            )  # fmt: skip
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    log.write(line)
                    shown = watcher.see(line.rstrip("\n")) if watcher is not None else None
                    if shown is not None:
                        self.say(shown)
                return process.wait()
            finally:
                if process.poll() is None:  # Ctrl-C, or an error of ours: no command is left running alone
                    process.terminate()
                    process.wait()
                if watcher is not None:
                    watcher.close()

    def _failure(self, stage: Stage, status: int) -> str:
        what = f"step {self.num_stages} ({stage.title}) failed"
        if stage.log is None:
            return f"{what}: it was ended by signal {-status}, such as one for want of memory"
        lines = stage.log.read_text("utf-8", errors="replace").split("\n")
        for line in lines:
            if line.startswith("error: "):  # no pipeline has --save-dir: what follows it is enough
                return line.removeprefix("error: ").removeprefix("--save-dir ")
        told = "\n".join(lines[-_LAST_LINES:])
        return f"{what}; everything it said is in {stage.log}; its last words:\n{told}"


def _environment(modules: Path | None) -> Mapping[str, str]:
    # The stock commands greet everybody with warnings about Hydra; errors and logs are not warnings. Threads
    # that wait without spinning: on a machine with other work, training is ten times faster so.
    given = {"OMP_WAIT_POLICY": "passive", **os.environ, "PYTHONWARNINGS": "ignore"}
    if modules is not None:  # only then: a file there could stand before a package of the same name
        given["PYTHONPATH"] = os.pathsep.join(filter(None, [str(modules), os.environ.get("PYTHONPATH")]))
    return given


def require_scripts() -> None:
    """Refuse to run stages where only the package is installed.

    Raises:
        UserError: our scripts are not there.
    """
    if not (ROOT / "scripts").is_dir():
        raise UserError(
            f"{ROOT} holds no scripts/: training runs commands of the repository; clone it and "
            "pip install -e it"
        )


def python(script: str, *words: object) -> tuple[str, ...]:
    """The command that runs one of our scripts."""
    return (_program("python"), f"scripts/{script}", *map(str, words))


def stock(command: str, *words: object) -> tuple[str, ...]:
    """One of fairseq's own commands."""
    return (_program(command), *map(str, words))


def short(path: Path) -> Path:
    """A path as commands show it: relative to the repository for who stands there, absolute elsewhere."""
    path = path.resolve()
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) and Path.cwd() == ROOT else path


def _program(name: str) -> str:
    path = Path(sys.executable).parent / name  # not resolved: an environment's python is a link out of it
    if not path.exists():
        return name
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def flags(**values: object) -> list[str]:
    """``max_epoch=3`` -> ``--max-epoch 3``; None is left out, True is the bare flag."""
    words: list[str] = []
    for name, value in values.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        elif value is not None and value is not False:
            words += [flag, str(value)]
    return words
