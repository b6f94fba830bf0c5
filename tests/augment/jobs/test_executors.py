"""Executors place units; whatever dies, every unit gets its file, and no file has other content."""

import os
import signal
import time

import psutil
import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs.executors import Processes, Rank, Ranks, ThisProcess
from fairseq_plugin.jobs.units import Unit, cut_into_units

UNITS = [*cut_into_units(0, 0, 50, 8), *cut_into_units(1, 0, 30, 8)]


def lines(job, units=UNITS):
    return [job.read(unit).lines for unit in units]


@pytest.fixture(scope="module")
def expected(parts, tmp_path_factory):
    job = parts.open(tmp_path_factory.mktemp("expected") / "job")
    assert sorted(ThisProcess().run(job, UNITS)) == sorted(UNITS)
    return lines(job)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_ranks_one_after_another_make_everything_and_the_first_waits_for_no_dead_one(
    parts, tmp_path, expected, size
):
    """Rank 0 is there alone: it makes its share, then that of the others, who find all of it done."""
    job = parts.open(tmp_path / "job")
    for number in range(size):
        made = list(Ranks(Rank(number, size), patience=0.3).run(job, UNITS))
        assert sorted(made) == sorted(UNITS)
    assert lines(job) == expected


@pytest.mark.slow
def test_workers_make_the_same_samples_and_one_that_is_killed_is_replaced(parts, tmp_path, expected):
    job, executor = parts.open(tmp_path / "job"), Processes(2)
    running = executor.run(job, UNITS)
    made = [next(running)]
    workers = psutil.Process().children(recursive=True)
    victim = next(child for child in workers if "spawn_main" in " ".join(child.cmdline()))
    victim.send_signal(signal.SIGKILL)
    made += running
    assert sorted(set(made)) == sorted(UNITS)
    assert lines(job) == expected
    executor.close()
    time.sleep(0.2)
    left = [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]
    assert not left


@pytest.mark.slow
def test_workers_that_die_at_once_end_in_one_line(parts, tmp_path, monkeypatch):
    job = parts.open(tmp_path / "job")
    executor = Processes(1)
    monkeypatch.setattr("fairseq_plugin.jobs.executors._make", _die)
    with pytest.raises(UserError, match="died one after another"):
        list(executor.run(job, [Unit(0, 0, 5)]))


def _die(unit):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_an_error_of_a_worker_arrives_as_its_one_line(parts, tmp_path):
    job, executor = parts.open(tmp_path / "job"), Processes(1)
    with pytest.raises(UserError, match="beyond the last sample id"):
        list(executor.run(job, [Unit(10**12, 0, 5)]))
    executor.close()


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, Rank(1, 4, 1)),
        (
            {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1"},
            Rank(2, 4),
        ),
        ({"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1"}, Rank(5, 8, 1)),
    ],
)
def test_ranks_are_read_from_what_launchers_set(environment, rank):
    assert Rank.of_environment(environment) == rank


@pytest.mark.parametrize(
    "environment", [{}, {"RANK": "x", "WORLD_SIZE": "2"}, {"RANK": "2", "WORLD_SIZE": "2"}, {"RANK": "0"}]
)
def test_an_environment_without_a_rank_is_refused(environment):
    with pytest.raises(UserError, match="--executor ranks"):
        Rank.of_environment(environment)
