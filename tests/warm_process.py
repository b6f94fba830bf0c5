"""Commands, each in a process of its own, forked from one that has imported torch and fairseq already.

Importing both takes several seconds, and the tests run hundreds of commands. What the forks have in common is
their parent's modules and its order of sets (PYTHONHASHSEED): a test that compares two runs asks for fresh
processes, and ``FRESH_PROCESSES=1 bash scripts/test.sh`` runs all commands in fresh ones.
"""

import gc
import json
import logging
import os
import runpy
import select
import subprocess
import sys
import tempfile
from pathlib import Path

PRELOADED = ("torch", "fairseq", "fairseq.trainer", "fairseq.sequence_generator")


class WarmProcess:
    """The process that is forked.

    Args:
        environment: variables of it and of every command.
    """

    def __init__(self, environment):
        self.environment = environment
        self._process = subprocess.Popen(
            [sys.executable, "-u", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=environment, cwd="/",
        )  # fmt: skip

    def run(self, argv, cwd, stdin, timeout):
        """Run a Python script to its end.

        Args:
            argv: the script's path and its words.
            cwd: folder.
            stdin: text.
            timeout: seconds.

        Returns:
            as ``subprocess.run``: status, and output as text.
        """
        with tempfile.TemporaryDirectory() as folder:
            paths = [str(Path(folder, name)) for name in ("in", "out", "err")]
            Path(paths[0]).write_text(stdin, "utf-8", newline="")
            request = {"argv": list(map(str, argv)), "cwd": str(cwd), "paths": paths}
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            pid = int(self._process.stdout.readline())
            if not select.select([self._process.stdout], [], [], timeout)[0]:
                os.kill(pid, 9)
                self._process.stdout.readline()
                raise subprocess.TimeoutExpired(argv, timeout)
            status = int(self._process.stdout.readline())
            out, err = (
                Path(path)
                .read_bytes()
                .decode("utf-8", "surrogateescape")
                .replace("\r\n", "\n")
                .replace("\r", "\n")
                for path in paths[1:]
            )
        return subprocess.CompletedProcess(argv, status, out, err)

    def close(self):
        """End the process."""
        self._process.communicate()


def _serve():
    """Fork a child for every request; in the child, return what it shall run."""
    for name in PRELOADED:
        __import__(name)
    logging.root.handlers.clear()  # some module logs at its import; a command sets up its own lines
    gc.freeze()
    requests, answers, rest = os.dup(0), os.dup(1), b""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    while True:
        while b"\n" not in rest:
            if not (more := os.read(requests, 1 << 16)):
                sys.exit()
            rest += more
        line, _, rest = rest.partition(b"\n")
        request = json.loads(line)
        if not (pid := os.fork()):
            for descriptor in (requests, answers, null):
                os.close(descriptor)
            for target, path in enumerate(request["paths"]):
                flags = os.O_RDONLY if target == 0 else os.O_WRONLY | os.O_CREAT
                os.dup2(os.open(path, flags), target)
            os.chdir(request["cwd"])
            return request["argv"]
        os.write(answers, b"%d\n" % pid)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.write(answers, b"%d\n" % status)


if __name__ == "__main__":
    sys.argv = _serve()
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
