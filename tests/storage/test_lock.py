"""One process at a time; a dead owner does not block, and of many who take over one wins."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.lock import FolderLock, Owner, lock_path, owned

HOLD = """
import sys, time
from fairseq_plugin.storage.lock import FolderLock
FolderLock(sys.argv[1]).acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_is_there_while_held_and_gone_after(tmp_path):
    with owned(tmp_path / "runs" / "a"):
        content = json.loads((tmp_path / "runs" / ".a.lock").read_text())
        assert content["pid"] == os.getpid() and content["host"]
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_living_owner_is_named_and_a_killed_one_is_replaced_with_a_line(tmp_path, caplog, repo_root):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=repo_root) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(
            UserError, match=rf"--save-dir .*a is in use by process {other.pid} on "
        ) as caught:
            FolderLock(tmp_path / "a", "--save-dir").acquire()
        assert "\n" not in str(caught.value)
        other.send_signal(signal.SIGKILL)
        time.sleep(0.2)  # dead, not yet waited for: a zombie holds nothing
        with owned(tmp_path / "a"):
            assert f"left by process {other.pid}" in caplog.text
            assert json.loads(lock_path(tmp_path / "a").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_the_same_process_does_not_get_it_twice(tmp_path):
    with owned(tmp_path / "a"), pytest.raises(UserError, match="this process itself"):
        FolderLock(tmp_path / "a").acquire()


def leave_lock(path, **changes):
    stated = Owner.this_process().__dict__ | changes
    lock_path(path).write_text(json.dumps(stated))
    os.utime(lock_path(path), (0, 0))


@pytest.mark.parametrize(
    "changes",
    [{"pid": 2**22 + 7}, {"started": 12}, {"boot": "before the power failed"}],
    ids=["dead", "recycled pid", "rebooted"],
)
def test_a_lock_whose_owner_is_gone_is_taken_over(tmp_path, changes):
    leave_lock(tmp_path / "a", **changes)
    with owned(tmp_path / "a"):
        pass


def test_another_hosts_lock_is_refused_with_the_file_to_remove(tmp_path):
    leave_lock(tmp_path / "a", host="elsewhere", pid=2**22 + 7)
    with pytest.raises(UserError, match="on elsewhere.*remove .*a.lock"):
        FolderLock(tmp_path / "a").acquire()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"pid": "x"}', b"\xff" * 20])
def test_a_lock_that_names_nobody_is_taken_over_once_it_is_not_new(tmp_path, content):
    lock = lock_path(tmp_path / "a")
    lock.write_bytes(content)
    with pytest.raises(UserError, match="try again"):
        FolderLock(tmp_path / "a").acquire()
    os.utime(lock, (0, 0))
    with owned(tmp_path / "a"):
        pass


def contend(path, start, results):
    start.wait()
    try:
        lock = FolderLock(path).acquire()
    except UserError:
        results.put(0)
        return
    results.put(1)
    time.sleep(0.5)  # longer than all others need to ask
    lock.release()


@pytest.mark.parametrize("stale", [True, False])
def test_of_many_at_once_exactly_one_gets_it(tmp_path, stale):
    fork = multiprocessing.get_context("fork")
    for trial in range(3):
        path = tmp_path / str(trial)
        if stale:
            leave_lock(path, pid=2**22 + 7)
        start, results = fork.Event(), fork.Queue()
        others = [fork.Process(target=contend, args=(path, start, results)) for _ in range(8)]
        for other in others:
            other.start()
        start.set()
        assert sum(results.get(timeout=30) for _ in others) == 1
        for other in others:
            other.join()


def test_a_forked_child_does_not_release_its_parents_lock(tmp_path):
    with owned(tmp_path / "a") as lock:
        child = multiprocessing.get_context("fork").Process(target=lock.release)
        child.start()
        child.join()
        assert lock_path(tmp_path / "a").is_file()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write .*file/a: "):
        FolderLock(tmp_path / "file" / "a").acquire()
