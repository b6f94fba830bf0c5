"""Where units of work are made: in this process, in several on this machine, or in the ranks of a cluster.

An executor only places units; :meth:`~fairseq_plugin.jobs.folder.UnitJob.make` makes them, and a unit's
file is the one truth on whether it is done. So a unit that is made twice, or by another executor, does no
harm.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs.folder import UnitJob
from fairseq_plugin.jobs.units import Unit, share_of

MOST_DEATHS = 3  # of workers one after another, with no unit finished in between
# Samples at once, of GPT-2 124M with its optimizer's state, and of the smallest models.
_TOGETHER, _LARGE_CHECKPOINT, _MOST_TOGETHER = 1000, 1_500_000_000, 8000
LOOK_EVERY = 0.2  # seconds, for units of others
_PATIENCE = 10.0  # seconds without a new unit, after which a rank makes those of others


class Executor(Protocol):
    """Places units."""

    def run(self, job: UnitJob, units: Sequence[Unit]) -> Iterator[Unit]:
        """Make units that are not done, in any order.

        Yields:
            Each unit once its file is there.
        """
        ...

    def model(self, job: UnitJob) -> Any:
        """The model that units are made with, where that is in this process; None where it is elsewhere."""
        ...

    def close(self) -> None:
        """Free the workers; whatever they are at is left."""
        ...


def made_together(job: UnitJob, units: Sequence[Unit], num_workers: int = 1) -> Iterator[list[Unit]]:
    """Cut units into runs that are sampled together.

    The more samples at once, the more of their beginnings are read once: a model of a million parameters made
    4,000 samples 1.35 times as fast at once as in four parts. But a kill loses what is not written yet, so
    it is about half a minute's work, by the size of the checkpoint; and each worker gets four runs or more.
    """
    most = _TOGETHER * _LARGE_CHECKPOINT // max(job.checkpoint.stat().st_size, 1)
    most = max(_TOGETHER, min(most, _MOST_TOGETHER))
    if num_workers > 1:
        most = min(most, sum(unit.count for unit in units) // (4 * num_workers))
    some, count = [], 0
    for unit in units:
        if some and count + unit.count > most:
            yield some
            some, count = [], 0
        some.append(unit)
        count += unit.count
    if some:
        yield some


class ThisProcess:
    """One run of units after another, here.

    Args:
        device: where to compute.
        model: the job's, where it is loaded already.
    """

    def __init__(self, device: str = "cpu", model: Any = None) -> None:
        self._device, self._model = device, model

    def run(self, job: UnitJob, units: Sequence[Unit]) -> Iterator[Unit]:
        for some in made_together(job, units):
            yield from self.make(job, some)

    def make(self, job: UnitJob, units: Sequence[Unit]) -> Iterator[Unit]:
        """Make some units together; the model is read before the first."""
        yield from job.make(units, self.model(job))

    def model(self, job: UnitJob) -> Any:
        """The model; it is read once."""
        if self._model is None:
            self._model = job.load_model(self._device)
        return self._model

    def close(self) -> None:
        self._model = None


class Processes:
    """Several processes on this machine; one that dies is replaced, and its unit is placed again.

    Args:
        num_workers: processes, each with its own copy of the model and its share of the cores.
        device: where to compute; ``cuda`` gives each worker the next of the devices.
    """

    def __init__(self, num_workers: int, device: str = "cpu") -> None:
        self._num_workers, self._device = num_workers, device
        self._pool: ProcessPoolExecutor | None = None
        self._alive: Connection | None = None  # workers end when its other end is closed

    def run(self, job: UnitJob, units: Sequence[Unit]) -> Iterator[Unit]:
        left, deaths = list(units), 0
        while left:
            try:
                for unit in self._run(job, left):
                    deaths = 0
                    yield unit
                return
            except BrokenProcessPool:
                deaths += 1
                self.close()
                left = [unit for unit in left if not job.is_done(unit)]
                if deaths >= MOST_DEATHS:
                    raise too_many_deaths(
                        f"; {len(left):,} units are left, those that are done stay"
                    ) from None

    def model(self, job: UnitJob) -> None:
        """None: it is in the workers."""

    def _run(self, job: UnitJob, units: Sequence[Unit]) -> Iterator[Unit]:
        pool = self._pool = self._pool or self._start(job)
        parts = made_together(job, units, self._num_workers)
        futures: dict[Future[None], list[Unit]] = {pool.submit(_make, some): some for some in parts}
        for future in as_completed(futures):
            future.result()
            yield from futures[future]

    def _start(self, job: UnitJob) -> ProcessPoolExecutor:
        # "spawn": a forked child of a process with threads can hang, and CUDA does not survive a fork.
        context = multiprocessing.get_context("spawn")
        theirs, self._alive = context.Pipe(duplex=False)
        threads = max(1, (os.cpu_count() or 1) // self._num_workers)
        numbers = context.SimpleQueue()
        for number in range(self._num_workers):
            numbers.put(number)
        arguments = (job, self._device, threads, numbers, theirs)
        return ProcessPoolExecutor(self._num_workers, context, _start_worker, arguments)

    def close(self) -> None:
        if self._alive is not None:
            self._alive.close()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = self._alive = None


def too_many_deaths(what: str) -> UserError:
    """The one line when workers die and nothing gets done; ``what`` is left, and what stays."""
    return UserError(
        f"{MOST_DEATHS} workers died one after another (killed, or out of memory){what}: give fewer "
        "--workers, and start the same command again"
    )


_worker: tuple[UnitJob, ThisProcess] | None = None  # of a worker process


def _start_worker(job: UnitJob, device: str, threads: int, numbers: object, alive: Connection) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    torch.set_num_threads(threads)
    number: int = numbers.get()  # type: ignore[attr-defined]
    _worker = job, ThisProcess(device_of(device, number))


def _end_with_parent(alive: Connection) -> None:
    try:
        alive.recv_bytes()
    except (EOFError, OSError):
        os._exit(0)


def _make(units: Sequence[Unit]) -> None:
    assert _worker is not None
    job, here = _worker
    for _ in here.make(job, units):
        pass


def device_of(device: str, number: int) -> str:
    """The device of one of several workers on a machine: ``cuda`` is dealt out, others are as they are."""
    if device == "cuda" and torch.cuda.device_count() > 1:
        return f"cuda:{number % torch.cuda.device_count()}"
    return device


@dataclass(frozen=True)
class Rank:
    """Which of several processes this one is.

    Attributes:
        number: from 0.
        size: how many there are.
        on_machine: its number among those of its machine.
    """

    number: int
    size: int
    on_machine: int = 0

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> "Rank":
        """From what torchrun, a SLURM job array or ``srun`` sets.

        Raises:
            UserError: none of them, or not numbers.
        """
        try:
            if "RANK" in environment:
                number, size = int(environment["RANK"]), int(environment["WORLD_SIZE"])
                rank = cls(number, size, int(environment.get("LOCAL_RANK", 0)))
            elif "SLURM_ARRAY_TASK_ID" in environment:
                first = int(environment.get("SLURM_ARRAY_TASK_MIN", 0))
                step = int(environment.get("SLURM_ARRAY_TASK_STEP", 1))
                number = (int(environment["SLURM_ARRAY_TASK_ID"]) - first) // step
                rank = cls(number, int(environment["SLURM_ARRAY_TASK_COUNT"]))
            else:
                rank = cls(
                    int(environment["SLURM_PROCID"]),
                    int(environment["SLURM_NTASKS"]),
                    int(environment.get("SLURM_LOCALID", 0)),
                )
        except (KeyError, ValueError) as error:
            raise UserError(
                f"--executor ranks: {error.args[0]} is missing or not a number; start it by torchrun, srun "
                "or as a SLURM job array, or set RANK and WORLD_SIZE yourself"
            ) from error
        if not 0 <= rank.number < rank.size:
            raise UserError(f"--executor ranks: rank {rank.number} is not one of {rank.size}, from 0 on")
        return rank

    def __str__(self) -> str:
        return f"rank {self.number} of {self.size}"


class Ranks:
    """One of several processes that share nothing but the folder.

    Each makes every n-th unit. Then it waits for those of others; where none has come for a while (a rank
    died, is slow, or was not started yet) it makes them too, from the end on.

    Args:
        rank: which one this is.
        device: where to compute.
        patience: seconds to wait for others.
    """

    def __init__(self, rank: Rank, device: str = "cpu", patience: float = _PATIENCE) -> None:
        self._rank, self._patience = rank, patience
        self._here = ThisProcess(device_of(device, rank.on_machine))

    def run(self, job: UnitJob, units: Sequence[Unit]) -> Iterator[Unit]:
        told: set[Unit] = set()
        own = share_of(units, self._rank.number, self._rank.size)
        for some in made_together(job, own):
            left = [unit for unit in some if not job.is_done(unit)]  # another rank may have helped out
            yield from (unit for unit in some if unit not in left)
            if left:
                yield from self._here.make(job, left)
            told.update(some)
        last_news = time.monotonic()
        while missing := [unit for unit in units if unit not in told]:
            news = [unit for unit in missing if job.is_done(unit)]
            if news:
                last_news = time.monotonic()
                told.update(news)
                yield from news
            elif time.monotonic() - last_news > self._patience:
                # Owners go forwards; helpers begin at the end, each at another place.
                unit = missing[-1 - self._rank.number % len(missing)]
                told.update(self._here.make(job, [unit]))
                yield unit
            else:
                time.sleep(LOOK_EVERY)

    def model(self, job: UnitJob) -> Any:
        """The model; it is read once."""
        return self._here.model(job)

    def close(self) -> None:
        self._here.close()
