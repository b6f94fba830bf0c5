"""augment.py is killed, started twice, and shown a folder that it may not write; only it itself speaks."""

import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from tests.conftest import ROOT, child_environment

VERDICTS = (0, 3, 4)
RUN = "gamma-1-seed-1"


def start(*words):
    """``augment.py``, as a shell starts it."""
    command = [sys.executable, ROOT / "scripts" / "augment.py", *words]
    return subprocess.Popen(
        [str(word) for word in command], env=child_environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def wait_for(path, process):
    """Until a file is there; fails where the command ends first."""
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def processes_of(folder):
    """Commands that name a folder: those of a run in it."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                words = stream.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words and int(pid) != os.getpid():
            found.append(words)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``words`` of a small set and its settings; ``whole``: the folder of a run that nothing disturbed;
    ``told``: what it printed."""
    folder = tmp_path_factory.mktemp("augment")
    rows = [f"row {n} is {word} of a kind\t{word}\n" for n in range(40) for word in ("one", "two")]
    (folder / "my.tsv").write_text("sentence\tlabel\n" + "".join(rows))
    words = (folder / "my.tsv", "--per-label", 3, "--epochs", 12, "--gamma", 1, "--max-len", 30,
             "--near-duplicates", "off", "--invented-words", "off", "--keep-copies", "train", "valid",
             "--most-tries", 500, "--allow-fewer")  # fmt: skip
    process = start(*words, "--to", folder / "whole")
    out, errors = process.communicate()
    assert process.returncode in VERDICTS, (out + errors)[-3000:]
    return SimpleNamespace(words=words, whole=folder / "whole", told=out + errors)


@pytest.mark.slow
def test_of_the_libraries_that_it_runs_nothing_reaches_the_person(made, speaks_for_itself):
    speaks_for_itself(made.told)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_killed_alone_during_training_it_leaves_no_command_running_and_goes_on_to_the_same_set(
    made, tmp_path
):
    to = tmp_path / "killed"
    process = start(*made.words, "--to", to)
    wait_for(to / RUN / "checkpoints" / "checkpoint_last.pt", process)
    assert any("fairseq-train" in command for command in processes_of(to))
    process.send_signal(signal.SIGKILL)  # the command alone, not its group
    process.communicate()
    end = time.monotonic() + 5
    while left := processes_of(to):
        assert time.monotonic() < end, left
        time.sleep(0.02)
    assert not (to / RUN / "augmented").exists()

    again = start(*made.words, "--to", to)
    out, errors = again.communicate()
    assert again.returncode in VERDICTS, (out + errors)[-3000:]
    new_set = f"{RUN}/augmented/train.tsv"
    assert (to / new_set).read_bytes() == (made.whole / new_set).read_bytes()
    assert [path.name for path in to.rglob("*.tmp")] == []


@pytest.mark.slow
def test_a_second_one_in_the_same_folder_is_refused_in_one_line_that_names_the_first(made, tmp_path):
    to = tmp_path / "both"
    first = start(*made.words, "--to", to)
    try:
        wait_for(to / ".augment.lock", first)
        second = start(*made.words, "--to", to)
        out, errors = second.communicate()
        assert second.returncode == 1 and out == ""
        (line,) = errors.splitlines()
        assert line.startswith(f"error: --to {to} is in use by process {first.pid} on ")
        assert "wait for it to end, or name another folder" in line
        assert first.poll() is None
    finally:
        first.kill()
        first.communicate()


@pytest.fixture(params=["a disk that is mounted read-only", "a folder that nobody may change"])
def read_only(request, tmp_path):
    """A folder in which root may not write, either."""
    place = tmp_path / "read-only"
    place.mkdir()
    if request.param.startswith("a disk"):
        begin, end = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", place], ["umount", place]
    else:
        begin, end = ["chattr", "+i", place], ["chattr", "-i", place]
    if shutil.which(begin[0]) is None or subprocess.run(begin, capture_output=True).returncode:
        pytest.skip(f"may not make {request.param} here")
    yield place
    subprocess.run(end, check=True)


def test_a_folder_that_may_not_be_written_is_named_in_one_line(read_only, tmp_path):
    (tmp_path / "my.tsv").write_text("sentence\tlabel\na\tx\nb\ty\n")
    for to in (read_only, read_only / "new"):
        process = start(tmp_path / "my.tsv", "--to", to)
        out, errors = process.communicate()
        assert process.returncode == 1 and out == ""
        (line,) = errors.splitlines()
        assert line.startswith("error: ") and str(to) in line
        assert "Read-only file system" in line or "Operation not permitted" in line
