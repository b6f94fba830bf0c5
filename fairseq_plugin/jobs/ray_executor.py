"""Units of work by Ray Data, on a cluster or on a Ray of this machine: a pool of actors, each with a model.

Ray only places units. What is done is what has a file in the job's folder, which every node must see; an
actor looks there before it makes a unit, and this process before it counts one. So what Ray does twice (it
gives the work of an actor that died to another) is made once.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.extras import require_extra
from fairseq_plugin.jobs.executors import MOST_DEATHS, ThisProcess, made_together
from fairseq_plugin.jobs.folder import UnitJob
from fairseq_plugin.jobs.units import Unit

_SEEN_WITHIN = 60.0  # seconds until a file of another node is seen here: NFS remembers absent files so long
_LOOK_EVERY = 0.2  # seconds

# Columns of what Ray Data hands around.
_PART, _ERROR = "item", "error"


class Begun:
    """How often each part was begun; one actor without a core keeps it, for makers die."""

    def __init__(self) -> None:
        self._times: Counter[int] = Counter()

    def begin(self, part: int) -> int:
        """Note one more beginning, and tell how many there were."""
        self._times[part] += 1
        return self._times[part]


class UnitRunner:
    """What an actor is: a model, read before its first unit, and a method that makes the units of a part.

    Args:
        job: an open job.
        parts: units that are sampled together.
        device: where to compute.
        threads: of this actor.
        begin: notes that a part is begun; returns how often it was.
    """

    def __init__(
        self,
        job: UnitJob,
        parts: Sequence[Sequence[Unit]],
        device: str,
        threads: int,
        begin: Callable[[int], int],
    ) -> None:
        torch.set_num_threads(threads)
        self._job, self._parts, self._here, self._begin = job, parts, ThisProcess(device), begin

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Make the units of parts that have no file yet.

        Args:
            batch: the numbers of the parts.

        Returns:
            The numbers, and for each what its user must know: as data, for of an exception Ray Data makes
            pages. "" where all is well.
        """
        numbers = [int(number) for number in batch[_PART]]
        return {_PART: numbers, _ERROR: [self._make(number) for number in numbers]}

    def _make(self, number: int) -> str:
        # An actor that died may have made some.
        left = [unit for unit in self._parts[number] if not self._job.is_done(unit)]
        if not left:
            return ""
        if self._begin(number) > MOST_DEATHS:  # Ray would go on for ever
            return (
                f"{MOST_DEATHS} workers died one after another (killed, or out of memory) at {_names(left)}; "
                "what is done stays: give fewer --workers, and start the same command again"
            )
        try:
            for made in self._here.make(self._job, list(left)):
                left.remove(made)
        except UserError as error:
            return f"{error} (in the making of {_names(left)})"
        except Exception as error:
            error.add_note(f"in the making of {_names(left)}")
            raise
        return ""


class RayActors:
    """A pool of Ray Data's actors on the cluster that ``RAY_ADDRESS`` names, or on a Ray of this machine.

    A pool lives as long as one call of :meth:`run`, which is a round of a job.

    Args:
        num_workers: most actors.
        device: ``cpu`` (each actor takes its share of this machine's cores) or ``cuda`` (each takes one GPU).
    """

    def __init__(self, num_workers: int, device: str = "cpu") -> None:
        self._num_workers, self._device = num_workers, device
        instead = ", or give --executor local"
        self._ray = require_extra("ray", "--executor ray", "ray", instead)
        self._data = require_extra("ray.data", "--executor ray", "ray", instead)
        self._started_here = False

    def run(self, job: UnitJob, units: Sequence[Unit]) -> Iterator[Unit]:
        self._connect()
        parts = list(made_together(job, units, self._num_workers))
        for batch in self._dataset(job, parts).iter_batches(batch_size=1, prefetch_batches=0):
            if error := str(batch[_ERROR][0]):
                raise UserError(error)
            for unit in parts[int(batch[_PART][0])]:
                _require_done(job, unit)
                yield unit

    def model(self, job: UnitJob) -> None:
        """None: it is in the actors."""

    def _dataset(self, job: UnitJob, parts: Sequence[Sequence[Unit]]) -> Any:
        """One row for each part; it is made while its rows are read."""
        threads = max(1, (os.cpu_count() or 1) // self._num_workers)
        most, ray = min(self._num_workers, len(parts)), self._ray
        begun = ray.remote(num_cpus=0)(Begun).remote()
        numbers = self._data.from_items(list(range(len(parts))), override_num_blocks=len(parts))
        made = numbers.map_batches(
            UnitRunner,
            batch_size=1,
            fn_constructor_args=(job, parts, self._device, threads, _Remote(begun.begin)),
            # One part at a time: none waits behind another while an actor has nothing to do.
            compute=self._data.ActorPoolStrategy(
                min_size=1, max_size=most, initial_size=most, max_tasks_in_flight_per_actor=1
            ),
            num_cpus=1,
            num_gpus=1 if self._device.startswith("cuda") else 0,
        )
        context = made.context  # of this dataset alone
        context.max_errored_blocks = 0  # above, Ray Data would drop units without a word
        context.max_consecutive_actor_init_deaths = MOST_DEATHS - 1
        context.execution_no_progress_timeout_s = -1  # a part may take any time
        context.enable_progress_bars = context.print_on_execution_start = False
        return made

    def _connect(self) -> None:
        for handler in logging.getLogger("ray.data").handlers:
            if isinstance(handler, logging.StreamHandler):  # its file in Ray's session folder keeps all
                handler.setLevel(logging.CRITICAL)
        if self._ray.is_initialized():
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        address = os.environ.get("RAY_ADDRESS")
        own = {} if address else {"num_cpus": self._num_workers, "include_dashboard": False}
        self._ray.init(address, log_to_driver=False, logging_level="ERROR", **own)
        self._started_here = True

    def close(self) -> None:
        if self._started_here:
            self._ray.shutdown()
            self._started_here = False


@dataclass(frozen=True)
class _Remote:
    """A method of an actor, called as one of this process is."""

    method: Any

    def __call__(self, number: int) -> int:
        import ray  # type: ignore[import-not-found]  # in the actor: Ray's own module is not sent along

        return ray.get(self.method.remote(number))


def _names(units: Sequence[Unit]) -> str:
    names = [unit.name for unit in units]
    return f"unit {names[0]}" if len(names) == 1 else f"units {names[0]} to {names[-1]}"


def _require_done(job: UnitJob, unit: Unit) -> None:
    """Wait until a unit that an actor has made is seen here.

    Raises:
        UserError: it is not.
    """
    end = time.monotonic() + _SEEN_WITHIN
    while not job.is_done(unit):
        if time.monotonic() > end:
            raise UserError(
                f"--to {job.folder}: unit {unit.name} was made on another node and is not here; give a "
                "folder that all nodes of the cluster share, under one name"
            )
        time.sleep(_LOOK_EVERY)
