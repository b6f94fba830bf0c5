"""A job that is killed, starved or crowded loses and doubles nothing, and says in one line what is wrong."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import psutil
import pytest

from fairseq_plugin.augment.jobs.generate import generate
from fairseq_plugin.errors import CannotWriteError
from fairseq_plugin.jobs.executors import ThisProcess
from fairseq_plugin.storage.lock import FolderLock
from scripts import generate as script
from tests.augment.conftest import parts  # noqa: F401  (a fixture)
from tests.augment.forks import in_fork
from tests.conftest import ROOT, child_environment


@pytest.fixture
def words(parts, tmp_path):  # noqa: F811
    """The command line of a job in ``tmp_path / "job"``."""
    settings = parts.settings
    given = {
        "data": parts.data, "path": parts.checkpoint, "to": tmp_path / "job", "per-label": "neg=30,pos=17",
        "seed": settings.seed, "temperature": settings.temperature, "max-len-b": settings.max_len_b,
        "unit-size": 4,
    }  # fmt: skip
    return [str(word) for flag, value in given.items() for word in (f"--{flag}", value)]


def files(job):
    return {path.name: path.read_bytes() for path in (job / "augmented").glob("train*")}


def request_of(words):
    return script.request_of(script.build_parser().parse_args(words))


def expected_of(words, folder):
    """The files of the same job, run without interruption."""
    other = [*words, "--to", str(folder)]
    generate(request_of(other), ThisProcess())
    return files(folder)


def killed(words, is_time) -> bool:
    """Start the command, and kill it when it is time.

    Returns:
        Whether that hit a running process; False: it had ended, without an error.
    """
    pid = in_fork(partial(script.main, words))
    while not is_time():
        if (ended := os.waitpid(pid, os.WNOHANG))[0]:
            assert ended[1] == 0
            return False
        time.sleep(0.0005)
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    assert status in (0, signal.SIGKILL)
    return status == signal.SIGKILL


def after_seconds(seconds):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def after_units(job, number):
    """Once so many units have been made since now."""
    before = set(job.glob("units/*.jsonl"))
    return lambda: len(set(job.glob("units/*.jsonl")) - before) >= number


def test_after_ten_kills_at_random_moments_the_same_bytes_are_there(words, tmp_path):
    """Half of them after a random time, half once a random number of units is made."""
    job, chance = tmp_path / "job", random.Random(7)
    began = time.monotonic()
    expected = expected_of(words, tmp_path / "whole")
    whole, took = len(list(tmp_path.glob("whole/units/*.jsonl"))), time.monotonic() - began
    hits = []  # by how many units there were
    while len(hits) < 10:
        if len(hits) % 2:
            is_time = after_units(job, chance.randint(1, 4))
        else:
            is_time = after_seconds(chance.uniform(0, took))
        if killed(words, is_time):
            hits.append(len(list(job.glob("units/*.jsonl"))))
        else:  # too late: what it has made is right, and the next job begins from nothing
            assert files(job) == expected
            shutil.rmtree(job)
    assert any(0 < number < whole for number in hits), hits  # in the middle of a job
    script.main(words)
    assert files(job) == expected
    assert [path.name for path in job.rglob("*") if "tmp" in path.name] == []


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed_and_the_job_goes_on(words, tmp_path):
    expected = expected_of(words, tmp_path / "whole")
    command = [sys.executable, str(ROOT / "scripts" / "generate.py"), *words, "--workers", "2"]
    process = subprocess.Popen(command, env=child_environment(), stderr=subprocess.PIPE)
    units = tmp_path / "job" / "units"
    _until(lambda: units.is_dir() and any(units.iterdir()))
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _until(lambda: not any(_is_alive(worker) for worker in workers))
    script.main(words)
    assert files(tmp_path / "job") == expected


def _until(holds, seconds=120):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def _is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_ranks_of_torchrun_write_the_bytes_of_one_process_after_a_kill_too(words, tmp_path):
    expected = expected_of(words, tmp_path / "whole")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, str(ROOT / "scripts" / "generate.py"), "--executor", "ranks", *words]
    first = subprocess.Popen(command, env=child_environment(), start_new_session=True)
    units = tmp_path / "job" / "units"
    while not any(units.glob("*.jsonl")) and first.poll() is None:
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)  # the launcher; its ranks are of other sessions
    first.wait()
    for child in psutil.process_iter(["cmdline"]):
        if str(tmp_path / "job") in (child.info["cmdline"] or []):
            child.kill()
    done = subprocess.run(command, env=child_environment(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert files(tmp_path / "job") == expected


@pytest.mark.parametrize(("executor", "lock"), [("local", "job"), ("ranks", "rank-1-of-2")])
def test_a_second_job_in_one_folder_is_refused(words, tmp_path, monkeypatch, executor, lock):
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    with (
        FolderLock(tmp_path / "job" / lock),
        pytest.raises(SystemExit, match=r"error: --to \S+/job is in use by process"),
    ):
        script.main([*words, "--executor", executor])
    assert not (tmp_path / "job" / "job.json").exists()


def test_a_full_disk_is_one_line_and_the_job_goes_on_when_there_is_room(words, small_disk, tmp_path):
    expected = expected_of(words, tmp_path / "whole")
    job = small_disk / "job"
    (small_disk / "filler").write_bytes(b"x" * 30_000)
    with pytest.raises(CannotWriteError, match="No space left on device"):
        generate(request_of([*words, "--to", str(job)]), ThisProcess())
    whole = list((job / "units").glob("*.jsonl"))
    assert whole and not (job / "augmented").exists()
    (small_disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    before = {path: path.stat().st_mtime_ns for path in whole}
    generate(request_of([*words, "--to", str(job)]), ThisProcess())
    assert files(job) == expected
    assert {path: path.stat().st_mtime_ns for path in whole} == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--workers", "0"], "--workers 0"),
        (["--executor", "ranks"], "--executor ranks: RANK|--executor ranks: SLURM_PROCID"),
        (["--most-tries", "0"], "--most-tries 0"),
        (["--sampling-topp", "2"], "--top-p"),
        (["--data", "no/such"], "no/such"),
        (["--path", "no/such.pt"], "no/such.pt"),
    ],
)
def test_slips_are_refused_in_one_line_before_anything_is_written(words, tmp_path, more, said):
    with pytest.raises(SystemExit, match=f"error: .*({said})"):
        script.main([*words, *more])
    assert not list((tmp_path / "job").glob("*"))


def test_the_command_tells_what_was_accepted_and_why_the_rest_was_not(words, tmp_path, capsys):
    script.main(words)
    out = capsys.readouterr().out
    assert "47 rows written" in out and "label neg: 30 of" in out and "duplicate: " in out
    assert f"{tmp_path / 'job' / 'augmented' / 'train.tsv'}: 47 rows" in out
