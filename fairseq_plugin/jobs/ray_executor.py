"""Units of work on a Ray cluster, or on a Ray of this machine: a pool of actors, each with its own model.

Ray only places units. What is done is what has a file in the job's folder, which every node must see; an
actor that dies loses its one unit, and that is placed again.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.extras import require_extra
from fairseq_plugin.jobs.executors import MOST_DEATHS, ThisProcess, too_many_deaths
from fairseq_plugin.jobs.folder import UnitJob
from fairseq_plugin.jobs.units import Unit


class UnitActor:
    """What an actor is: a model, and the method that makes one unit."""

    def __init__(self, job: UnitJob, device: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self._job, self._here = job, ThisProcess(device)

    def make(self, unit: Unit) -> None:
        """Make a unit."""
        for _ in self._here.make(self._job, [unit]):
            pass


class RayActors:
    """A pool of actors on the cluster that ``RAY_ADDRESS`` names, or on a Ray of this machine.

    Args:
        num_workers: actors.
        device: ``cpu`` (each actor takes its share of this machine's cores) or ``cuda`` (each takes one GPU).
    """

    def __init__(self, num_workers: int, device: str = "cpu") -> None:
        self._num_workers, self._device = num_workers, device
        self._ray = require_extra("ray", "--executor ray", "ray", ", or give --executor local")
        self._started_here = False
        self._idle: list[Any] = []

    def run(self, job: UnitJob, units: Sequence[Unit]) -> Iterator[Unit]:
        ray, left, deaths = self._ray, list(reversed(units)), 0
        self._connect()
        working: dict[Any, tuple[Any, Unit]] = {}
        while left or working:
            while left and len(working) < self._num_workers:
                actor, unit = self._idle.pop() if self._idle else self._new_actor(job), left.pop()
                working[actor.make.remote(unit)] = actor, unit
            done, _ = ray.wait(list(working), num_returns=1)
            actor, unit = working.pop(done[0])
            try:
                ray.get(done[0])
            except ray.exceptions.RayActorError:
                deaths += 1
                left.append(unit)
                if deaths >= MOST_DEATHS:
                    raise too_many_deaths(len(left) + len(working)) from None
                continue
            except ray.exceptions.RayTaskError as error:
                raise error.cause if isinstance(error.cause, UserError) else error from None
            deaths = 0
            self._idle.append(actor)
            yield unit

    def model(self, job: UnitJob) -> None:
        """None: it is in the actors."""

    def _connect(self) -> None:
        if self._ray.is_initialized():
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        address = os.environ.get("RAY_ADDRESS")
        own = {} if address else {"num_cpus": self._num_workers, "include_dashboard": False}
        self._ray.init(address, log_to_driver=False, logging_level="ERROR", **own)
        self._started_here = True

    def _new_actor(self, job: UnitJob) -> Any:
        threads = max(1, (os.cpu_count() or 1) // self._num_workers)
        needs = {"num_cpus": 1, "num_gpus": 1 if self._device.startswith("cuda") else 0}
        return self._ray.remote(**needs)(UnitActor).remote(job, self._device, threads)

    def close(self) -> None:
        for actor in self._idle:
            self._ray.kill(actor)
        self._idle = []
        if self._started_here:
            self._ray.shutdown()
            self._started_here = False
