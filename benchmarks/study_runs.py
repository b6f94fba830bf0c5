"""The runs of the repetition study: what is trained and measured, in which order, and at what cost."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PREFIX, NEW, WINDOW, PREFIXES = 50, 100, 160, 60
VOCABULARY = 1000
DECODINGS = "greedy,beam=5,top-p=0.9"
REMEDIES = "greedy:block=4,greedy:penalty=1.2,contrastive=4:0.6"  # to decode differently; after "mle" alone
SCRATCH, CONTINUED = "from scratch", "continued"


@dataclass(frozen=True)
class Form:
    """How long one form of training lasts; ``points``: updates at which greedy texts are measured."""

    updates: int
    rate: str
    warmup: int
    points: tuple


FORMS = {
    SCRATCH: Form(800, "3e-3", 50, (200, 400, 600, 800)),
    CONTINUED: Form(200, "5e-4", 10, (50, 100, 150, 200)),
}


@dataclass(frozen=True)
class Objective:
    """What is minimised, and in which forms."""

    name: str
    title: str
    flags: tuple
    forms: tuple = (SCRATCH, CONTINUED)


def _scale_grad(gamma, *more):
    return ("--criterion", "scale_grad", "--gamma", gamma, *more)


OBJECTIVES = (
    Objective("mle", "maximum likelihood", _scale_grad("1")),
    Objective("sg-0.2", "ScaleGrad 0.2", _scale_grad("0.2")),
    Objective("ul-token", "unlikelihood, token", ("--criterion", "unlikelihood", "--alpha", "1")),
    Objective("ct", "contrastive token", ("--criterion", "contrastive_token")),
    Objective("ditto", "DITTO", ("--criterion", "ditto")),
    Objective("riro", "repetition dropout", _scale_grad("1", "--repetition-dropout", "0.6")),
    Objective("sg-0.5", "ScaleGrad 0.5", _scale_grad("0.5")),
    Objective("sg-0.8", "ScaleGrad 0.8", _scale_grad("0.8")),
    Objective(
        "sg-ramp", "ScaleGrad 1 to 0.2",
        _scale_grad("0.2", "--gamma-schedule", "linear", "--gamma-updates", "100"), (CONTINUED,),
    ),
    Objective(
        "ul-sequence", "unlikelihood, sequence",
        ("--criterion", "unlikelihood", "--alpha", "0", "--sequence-share", "0.5"), (CONTINUED,),
    ),
)  # fmt: skip
MILD = ("sg-0.5", "sg-0.8")
BY_NAME = {objective.name: objective for objective in OBJECTIVES}


@dataclass(frozen=True)
class Run:
    """One training and its measurements."""

    form: str
    objective: Objective
    seed: int

    @property
    def name(self):
        return f"{self.form.replace(' ', '-')}/{self.objective.name}-seed-{self.seed}"

    @property
    def needs(self):
        """The run whose best checkpoint this one goes on from, or None."""
        return None if self.form == SCRATCH else Run(SCRATCH, BY_NAME["mle"], self.seed)


def in_order(seeds, more_seeds, closest):
    """All runs, a whole seed at a time, so that a study that is cut short has whole seeds.

    The mild gammas from scratch come last: of them the first study knows that little is to be seen.

    Raises:
        UserError: ``closest`` names no objective.
    """
    runs = []
    for seed in seeds:
        for form in FORMS:
            runs += [Run(form, objective, seed) for objective in OBJECTIVES if form in objective.forms]
    runs.sort(key=lambda run: run.form == SCRATCH and run.objective.name in MILD)
    for name in closest:
        if name not in BY_NAME:
            raise UserError(f"--closest {name}: no objective; there are {', '.join(BY_NAME)}")
    for seed in more_seeds if closest else ():
        for form in FORMS:
            chosen = [o for o in OBJECTIVES if o.name in {"mle", *closest} and form in o.forms]
            runs += [Run(form, objective, seed) for objective in chosen]
    return runs


class Study:
    """Runs what is missing in ``folder`` and tells where the results are."""

    def __init__(self, data, folder):
        self.source, self.folder = Path(data) / "tinyshakespeare" / "input.txt", Path(folder)
        self.data = self.folder / "data"

    def prepare(self):
        """The binarised text, made once."""
        if (self.data / "manifest.json").is_file():
            return
        call(
            [sys.executable, ROOT / "scripts" / "prepare_text.py", self.source, "--split", "0.9,0.05,0.05",
             "--to", self.data, "--codec", "bytes", "--vocab-size", VOCABULARY, "--workers", 1],
            self.folder / "prepare.log",
        )  # fmt: skip

    def at(self, run):
        return self.folder / run.name

    def is_done(self, run):
        return (self.at(run) / "cost.json").is_file()

    def do(self, run, before=None):
        """Train and measure one run, unless it is done; ``before``: the future of the run it needs."""
        if before is not None:
            before.result()
        if self.is_done(run):
            return
        at = self.at(run)
        at.mkdir(parents=True, exist_ok=True)
        trained = at / "trained.json"
        if not trained.is_file():
            _write_json(trained, {"seconds": call(self._training(run), at / "train.console")})
        cost = {
            "training": json.loads(trained.read_text("utf-8"))["seconds"],
            "curve": call(self._curve(run), at / "curve.console"),
            "evaluation": call(self._evaluation(run), at / "evaluate.console"),
        }
        _write_json(at / "cost.json", cost)
        for checkpoint in at.glob("checkpoint_*_*.pt"):
            checkpoint.unlink()  # measured; a study keeps its best and its last
        print(
            f"{run.name}: " + ", ".join(f"{part} {seconds:.0f} CPU s" for part, seconds in cost.items()),
            flush=True,
        )

    def _training(self, run):
        form, at = FORMS[run.form], self.at(run)
        start = ["--finetune-from-model", self.at(run.needs) / "checkpoint_best.pt"] if run.needs else []
        return [
            BIN / "fairseq-train", self.data, "--user-dir", ROOT / "fairseq_plugin",
            "--task", "language_modeling", "--tokens-per-sample", WINDOW, "--sample-break-mode", "none",
            "--arch", "gpt2_tiny", "--n-layer", 2, "--dropout", "0", *run.objective.flags,
            "--optimizer", "fused_adamw", "--weight-decay", "0.1", "--clip-norm", "1.0", "--lr", form.rate,
            "--max-update", form.updates, "--warmup-updates", form.warmup, "--lr-scheduler", "cosine",
            "--warmup-init-lr", "1e-6", "--min-lr", "1e-5", "--batch-size", 8, "--seed", run.seed, *start,
            "--save-dir", at, "--no-epoch-checkpoints", "--save-interval-updates", form.points[0],
            "--validate-interval-updates", form.points[0],
            "--validate-interval", 1000, "--save-interval", 1000, "--cpu", "--num-workers", 0,
            "--log-format", "json", "--log-interval", 50, "--log-file", at / "train.log", "--no-progress-bar",
        ]  # fmt: skip

    def _curve(self, run):
        """Greedy texts of the checkpoints on the way."""
        at, points = self.at(run), {}
        for path in at.glob("checkpoint_*_*.pt"):
            points[int(path.stem.rsplit("_", 1)[1])] = path
        missing = [point for point in FORMS[run.form].points[:-1] if point not in points]
        if missing:
            raise UserError(f"{at} lacks checkpoints of updates {missing}: remove it and run the study again")
        points[FORMS[run.form].points[-1]] = at / "checkpoint_last.pt"
        systems = [f"{point}={path}" for point, path in sorted(points.items())]
        return [*self._measuring(run, at / "curve", "greedy"), "--modes", "completion", *systems]

    def _evaluation(self, run):
        """The whole measurement of the checkpoint that counts: the best, or the last of a continued run."""
        name = "best" if run.form == SCRATCH else "last"
        decodings = f"{DECODINGS},{REMEDIES}" if run.objective.name == "mle" else DECODINGS
        return [
            *self._measuring(run, self.at(run) / "evaluation", decodings),
            f"{run.objective.name}={self.at(run) / f'checkpoint_{name}.pt'}",
        ]

    def _measuring(self, run, to, decodings):
        return [
            sys.executable, ROOT / "scripts" / "evaluate_lm.py", "--data", self.data, "--split", "test",
            "--window", WINDOW, "--decoding", decodings, "--prefix-tokens", PREFIX, "--new-tokens", NEW,
            "--seed", run.seed, "--max-prefixes", PREFIXES, "--to", to, "--threads", 1,
        ]  # fmt: skip


def _write_json(path, value):
    with atomic_write(path) as stream:
        json.dump(value, stream)
        stream.write("\n")


def call(command, console):
    """Run a command on one thread, its words in a file; returns its processor time in seconds.

    Raises:
        UserError: it failed; names the file.
    """
    console.parent.mkdir(parents=True, exist_ok=True)
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with open(console, "a", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [str(word) for word in command], stdout=stream, stderr=subprocess.STDOUT, cwd=ROOT,
            env={**os.environ, **one, "TOKENIZERS_PARALLELISM": "false"},
        )  # fmt: skip
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(
            f"{Path(command[0]).name} ended with status {process.returncode}; its last words are in {console}"
        )
    return used.ru_utime + used.ru_stime


def run_all(study, runs, processes):
    """Everything that is missing, ``processes`` runs at once."""
    study.prepare()
    began, futures = time.monotonic(), {}
    with ThreadPoolExecutor(processes) as pool:
        for run in runs:  # one that goes on from another stands behind it, in the pool too
            futures[run] = pool.submit(study.do, run, futures.get(run.needs))
        try:
            for future in futures.values():
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    print(f"{len(runs)} runs are complete; this command took {(time.monotonic() - began) / 60:.0f} minutes")


def plan(study, runs):
    """What is left, and its cost in CPU minutes by the runs of the same form that are done."""
    lines, minutes = [], 0.0
    for form in FORMS:
        costs = [
            sum(json.loads((study.at(run) / "cost.json").read_text("utf-8")).values())
            for run in runs
            if run.form == form and study.is_done(run)
        ]
        of_form = [run for run in runs if run.form == form]
        left = sum(not study.is_done(run) for run in of_form)
        each = sum(costs) / len(costs) if costs else None
        lines.append(
            f"{form}: {len(of_form)} runs of {FORMS[form].updates} updates, {left} left, "
            + (f"{each / 60:.1f} CPU minutes each" if each else "cost not known before the first is done")
        )
        minutes += left * (each or 0) / 60
    return "\n".join([*lines, f"left: {minutes:.0f} CPU minutes"])
