"""Units on a Ray of this machine: the same files, also when an actor is killed in the middle."""

import importlib.util
import os
import signal

import psutil
import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs.executors import ThisProcess
from fairseq_plugin.jobs.ray_executor import RayActors
from fairseq_plugin.jobs.units import cut_into_units

HAS_RAY = importlib.util.find_spec("ray") is not None
UNITS = [*cut_into_units(0, 0, 60, 10), *cut_into_units(1, 0, 60, 10)]


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_one_line_tells_how_to_get_it():
    with pytest.raises(UserError, match=r"--executor ray .*pip install"):
        RayActors(2)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")
def test_an_actor_that_is_killed_loses_nothing(parts, tmp_path):
    job, expected = parts.open(tmp_path / "ray"), parts.open(tmp_path / "here")
    executor = RayActors(2)
    running = executor.run(job, UNITS)
    made = [next(running)]
    actors = [child for child in psutil.Process().children(recursive=True) if _is_actor(child)]
    os.kill(actors[0].pid, signal.SIGKILL)
    made += running
    executor.close()
    assert sorted(made) == sorted(UNITS)
    list(ThisProcess().run(expected, UNITS))
    assert [job.read(unit).lines for unit in UNITS] == [expected.read(unit).lines for unit in UNITS]


def _is_actor(process):
    try:
        return "ray::UnitActor" in " ".join(process.cmdline())
    except psutil.Error:
        return False
