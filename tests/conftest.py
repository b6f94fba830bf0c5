"""What every test shares: the repository, the stock commands in subprocesses, one thread, no network."""

import atexit
import functools
import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

from tests.warm_process import WarmProcess

# The same examples on every run: a run that turns red does so for a change, not for a draw. Others come with
# pytest --hypothesis-profile=default --hypothesis-seed=N.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile("repeatable")

pytest_plugins = [
    "tests.pipeline.fixtures"
]  # a data set, a model: for every folder whose tests run the commands

ROOT = Path(__file__).resolve().parent.parent

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
NOWHERE = "http://127.0.0.1:9"  # the discard port: a request that leaves this machine fails at once

for _name in THREADS:  # before torch is imported anywhere
    os.environ.setdefault(_name, "1")
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")


def pytest_collection_modifyitems(items):
    """Skip tests marked ``gpu`` where there is no CUDA device, with the reason."""
    # Not item.keywords: it holds the names of folders too, and a clone may stand in one called gpu.
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Refuse every connection that would leave this machine; local ones (gloo, tests' own) go through."""
    connect = socket.socket.connect

    def local_only(self, address):
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("localhost", "127.0.0.1", "::1", "0.0.0.0", socket.gethostname()):
            raise OSError(f"a test tried to reach {host!r}: tests run without a network")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


@pytest.fixture(scope="session")
def repo_root():
    """The repository's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data():
    """The data folder beside the repository (SST-2, WikiText-2, ...); skips where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside the repository: real data sets are not at hand")
    return folder


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a small file system here")
    yield place
    subprocess.run(["umount", place], check=True)


def child_environment(**extra):
    """A subprocess's environment: one thread, offline, and the plugin found as an install finds it."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if not any(importlib.metadata.distributions(name="fairseq-scalegrad")):
        environment["PYTHONPATH"] = str(ROOT)
    environment |= dict.fromkeys(THREADS, "1")
    environment |= {"http_proxy": NOWHERE, "https_proxy": NOWHERE, "no_proxy": "localhost,127.0.0.1"}
    return environment | {key: str(value) for key, value in extra.items()}


@functools.cache
def warm_process():
    """The process from which commands are forked, started when it is first needed."""
    process = WarmProcess(child_environment())
    atexit.register(process.close)
    return process


def run(command, check=True, cwd=None, env=None, timeout=300, stdin=None, fresh=False):
    """Run a command to its end.

    Args:
        command: words; anything but a string is converted by ``str``.
        check: fail the test, showing the end of the output, unless the status is 0.
        cwd, timeout: as for ``subprocess.run``; seconds.
        env: variables in addition to :func:`child_environment`.
        stdin: text for the command's standard input; nothing if None.
        fresh: in a new interpreter, with its own order of sets, and not in a fork (``warm_process.py``).
            With variables of its own a command always has one.

    Returns:
        ``subprocess.CompletedProcess`` with text in ``stdout`` and ``stderr``.
    """
    command = [str(word) for word in command]
    script = command[1:] if command[0] == sys.executable else command
    if not (fresh or env or "FRESH_PROCESSES" in os.environ) and _is_python(script[0]):
        done = warm_process().run(script, cwd or os.getcwd(), stdin or "", timeout)
    else:
        done = subprocess.run(
            command, cwd=cwd, env=child_environment(**(env or {})), timeout=timeout, input=stdin or "",
            capture_output=True, encoding="utf-8", errors="surrogateescape",
        )  # fmt: skip
    if check and done.returncode:
        tail = (done.stdout + done.stderr)[-3000:]
        pytest.fail(f"{' '.join(command)}\nended with status {done.returncode}:\n{tail}")
    return done


def _is_python(script):
    """Whether it is a file of ours or a stock command of this environment, and not a word like ``-c``."""
    return script.endswith(".py") or Path(script).parent == Path(sys.executable).parent


@pytest.fixture(scope="session")
def run_stock():
    """``run_stock("fairseq-train", data, "--arch", ..., **options of run)``: a stock command, our user dir.

    ``user_dir=None`` leaves ``--user-dir`` out; any other value replaces it.
    """

    def run_command(name, *words, user_dir=ROOT / "fairseq_plugin", **options):
        given = [] if user_dir is None else ["--user-dir", user_dir]
        return run([Path(sys.executable).parent / name, *words, *given], **options)

    return run_command


@pytest.fixture(scope="session")
def run_script():
    """``run_script("prepare_labelled.py", words..., **options of run)``: one of our scripts."""

    def run_command(name, *words, **options):
        return run([sys.executable, ROOT / "scripts" / name, *words], **options)

    return run_command


@pytest.fixture(scope="session")
def speaks_for_itself():
    """``speaks_for_itself(text)``: in what a person saw is nothing that the libraries say to one another."""

    def check(text):
        words = ("hydra", "userwarning", "deprecationwarning", "futurewarning", "info |", "traceback")
        found = [line for line in text.split("\n") if any(word in line.lower() for word in words)]
        assert found == []

    return check


@pytest.fixture(scope="session")
def one_line_error():
    """``one_line_error(done, "word", ...)``: non-zero status, no traceback, an error line with the words."""

    def check(done, *words):
        output = done.stdout + done.stderr
        assert done.returncode != 0, f"ended with status 0:\n{output[-2000:]}"
        assert "Traceback" not in output, output[-3000:]
        lines = [line for line in output.split("\n") if re.search(r"\berror: ", line)]
        assert lines, f"no error line in:\n{output[-2000:]}"
        for word in words:
            assert word in lines[-1], f"{word!r} is not in: {lines[-1]}"

    return check
