"""A command of a pipeline does not outlive the pipeline, however that ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

from fairseq_plugin.stages import tied_child
from fairseq_plugin.stages.tied_child import tied
from tests.conftest import ROOT, child_environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")

# A pipeline of one stage, which notes its process and sleeps. As a script of ours it does not import fairseq.
PIPELINE = """
import sys
__file__ = "scripts/pipeline.py"
from pathlib import Path
from fairseq_plugin.stages.stage import Runner, Stage
note, log = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
code = f"import os, time; open({note!r}, 'w').write(str(os.getpid())); time.sleep(100)"
Runner().run(Stage("Sleep", (sys.executable, "-c", code), log=log and Path(log)))
"""


def wait_for(is_true, seconds=60):
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("is_quiet", [False, True], ids=["aloud", "into a log"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_pipeline_leaves_no_command_running(tmp_path, is_quiet, how):
    note = tmp_path / "note"
    words = [str(note), *([str(tmp_path / "log")] if is_quiet else [])]
    pipeline = subprocess.Popen(
        [sys.executable, "-c", PIPELINE, *words], env=child_environment(PYTHONPATH=ROOT), cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: note.exists() and note.read_text())
    child = int(note.read_text())
    assert is_running(child)
    pipeline.send_signal(how)
    pipeline.wait()
    wait_for(lambda: not is_running(child), seconds=5)


def test_a_command_whose_parent_is_gone_before_it_begins_does_not_begin(tmp_path):
    words = tied([sys.executable, "-c", f"open({str(tmp_path / 'ran')!r}, 'w')"])
    place = words.index(str(os.getpid()))
    orphaned = [*words[:place], str(2**22 + 1), *words[place + 1 :]]  # no process has this number
    assert subprocess.run(orphaned).returncode == 1
    assert not (tmp_path / "ran").exists()
    assert subprocess.run(words).returncode == 0
    assert (tmp_path / "ran").exists()


def test_a_command_gets_its_words_its_input_and_its_own_status():
    code = "import sys; print(sys.argv[1:], sys.stdin.read()); sys.exit(7)"
    done = subprocess.run(
        tied([sys.executable, "-c", code, "a b", "--c"]), input="in", capture_output=True, text=True
    )
    assert done.returncode == 7 and done.stdout == "['a b', '--c'] in\n"


def test_a_program_that_is_not_there_is_named():
    done = subprocess.run(tied(["no-such-program"]), capture_output=True, text=True)
    assert done.returncode == 127
    assert done.stderr == "error: cannot run no-such-program: No such file or directory\n"


def test_elsewhere_than_on_linux_the_command_is_as_it_is(monkeypatch):
    monkeypatch.setattr(tied_child.sys, "platform", "darwin")
    assert tied(["a", "b"]) == ["a", "b"]
