"""Units by Ray Data on a Ray of this machine: the same files, also when an actor is killed in the middle."""

import dataclasses
import importlib.util
import os
import signal
from contextlib import suppress
from dataclasses import dataclass

import psutil
import pytest

from fairseq_plugin.augment.jobs.generate import GenerateRequest, generate
from fairseq_plugin.augment.jobs.job import Job
from fairseq_plugin.augment.jobs.quota import Limits
from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs.executors import ThisProcess
from fairseq_plugin.jobs.ray_executor import RayActors
from fairseq_plugin.jobs.units import Unit, cut_into_units

HAS_RAY = all(importlib.util.find_spec(name) for name in ("ray", "pyarrow", "pandas"))
with_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")


@pytest.fixture
def actors():
    """Two actors on a Ray of two cores of this machine."""
    executor = RayActors(2)
    yield executor
    executor.close()


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_one_line_tells_how_to_get_it():
    with pytest.raises(UserError, match=r"--executor ray .*pip install"):
        RayActors(2)


def request_of(parts, to, **changed):
    asked = {"settings": parts.settings, "per_label": "neg=600,pos=500", "unit_size": 25, "allow_fewer": True}
    asked["limits"] = Limits(most_tries=1)  # one round: each starts its actors anew
    return GenerateRequest(parts.data, parts.checkpoint, to, **asked | changed)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("train*")}


def noise(capfd):
    """What Ray Data has shown; of Ray's core come lines on deaths, and a false alarm of each pool."""
    shown, own = capfd.readouterr(), ("(raylet)", "constructor arguments in the object store")
    return [line for line in (shown.out + shown.err).splitlines() if not any(one in line for one in own)]


@with_ray
@pytest.mark.slow
def test_an_actor_that_is_killed_loses_and_doubles_nothing(parts, tmp_path, actors, capfd):
    request = request_of(parts, tmp_path / "ray")
    expected = generate(request_of(parts, tmp_path / "here"), ThisProcess())
    killed = _Killing(actors)
    found = generate(request, killed)
    assert killed.num_left > 0 and killed.pid not in psutil.pids()  # it was in the middle
    assert files(found.folder) == files(expected.folder) != {}
    assert found.record.counts == expected.record.counts
    made = [path.name for path in (tmp_path / "ray" / "units").iterdir()]
    assert sorted(made) == sorted(path.name for path in (tmp_path / "here" / "units").iterdir())
    assert noise(capfd) == []


class _Killing:
    """Kills an actor as soon as the first unit is there."""

    def __init__(self, executor):
        self._executor, self.num_left, self.pid = executor, 0, None

    def run(self, job, units):
        for unit in self._executor.run(job, units):
            if self.pid is None:
                self.pid = actor_processes()[0].pid
                os.kill(self.pid, signal.SIGKILL)
                self.num_left = sum(not job.is_done(one) for one in units)
            yield unit

    def model(self, job):
        return self._executor.model(job)

    def close(self):
        self._executor.close()


def actor_processes():
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            found += [child] if "UnitRunner" in " ".join(child.cmdline()) else []
    return found


@with_ray
@pytest.mark.slow
def test_units_that_are_there_are_left_as_they_are(parts, tmp_path, actors):
    job, units = parts.open(tmp_path / "job"), cut_into_units(0, 0, 60, 10)
    list(ThisProcess().run(job, units[2:4]))
    before = {unit: unit.path(job.units).stat().st_mtime_ns for unit in units[2:4]}
    assert sorted(actors.run(job, units)) == units
    assert {unit: unit.path(job.units).stat().st_mtime_ns for unit in before} == before


@with_ray
@pytest.mark.slow
def test_a_unit_that_is_found_damaged_is_made_again_while_others_are_made(parts, tmp_path):
    """Ray then runs two pools at once, on the cores of one."""
    request = request_of(parts, tmp_path / "job")
    expected = files(generate(request, ThisProcess()).folder)
    units = sorted((request.to / "units").iterdir())
    for path in units[5:]:
        path.unlink()
    units[0].write_bytes(units[0].read_bytes()[:-9])
    assert files(generate(request, RayActors(2)).folder) == expected
    assert units[0].with_name(f"{units[0].name}.damaged").exists()


@with_ray
@pytest.mark.slow
def test_an_error_of_an_actor_arrives_as_one_line_with_its_unit(parts, tmp_path, actors, capfd):
    job = parts.open(tmp_path / "job")
    with pytest.raises(
        UserError, match=r"beyond the last sample id.*\(.* unit label-0000-1000000000000-5\)$"
    ):
        list(actors.run(job, [Unit(10**12, 0, 5)]))
    assert noise(capfd) == []


@dataclass(frozen=True)
class Deadly(Job):
    """A job whose third unit is the end of whatever process makes it."""

    def make(self, units, model):
        for unit in units:
            if unit.first == 20:
                os.kill(os.getpid(), signal.SIGKILL)
            yield from super().make([unit], model)


@with_ray
@pytest.mark.slow
def test_a_unit_that_kills_three_actors_ends_in_one_line_and_the_others_stay(parts, tmp_path, actors, capfd):
    job = parts.open(tmp_path / "job")
    deadly = Deadly(**{field.name: getattr(job, field.name) for field in dataclasses.fields(job)})
    with pytest.raises(
        UserError, match=r"3 workers died one after another.* at unit label-0000-0000000020-10;"
    ):
        for unit in actors.run(deadly, cut_into_units(0, 0, 40, 10)):
            assert job.is_done(unit)
    assert noise(capfd) == []
