"""Units of work until enough samples of every label are accepted, and these in the order of their ids."""

import heapq
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from fairseq_plugin.augment.filters.acceptance import Acceptance
from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.jobs.executors import Executor
from fairseq_plugin.augment.jobs.job import Job
from fairseq_plugin.augment.jobs.quota import Limits, next_counts
from fairseq_plugin.augment.jobs.units import ForeignUnit, Unit, UnitSamples, cut_into_units
from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.sample_file import SampleLine

_BATCH = 1024  # candidates that filters see at once

logger = logging.getLogger(__name__)

# A sample's line and its label -> what filters look at.
Read = Callable[[SampleLine, int], Candidate]


class Progress:
    """What a watcher is told; this one ignores it."""

    def planned(self, num_samples: int) -> None:
        """So many more samples are to be made."""

    def made(self, num_samples: int) -> None:
        """So many are made, now or by an earlier run."""

    def judged(self, acceptance: Acceptance) -> None:
        """Some more have got their verdict."""


@dataclass(frozen=True)
class Filled:
    """What a job has made.

    Attributes:
        units: in the order in which they were judged.
        tokens: drawn, the end tokens included.
        seconds: that the units took, added up.
    """

    units: list[Unit]
    tokens: int
    seconds: float


def fill(
    job: Job,
    acceptance: Acceptance,
    read: Read,
    executor: Executor,
    asked: Sequence[int],
    unit_size: int,
    limits: Limits,
    progress: Progress | None = None,
) -> Filled:
    """Make samples until ``asked`` of each label are accepted, or labels are given up.

    Rounds: as many samples as are missing, judged in the order of their ids; then as many more as the accept
    share asks for. What is made depends on nothing but the job, what is asked for and the filters, so that a
    run that goes on, or has other workers, ends with the same samples.

    Args:
        job: an open job.
        acceptance: of no sample yet.
        read: a line of a unit's file -> candidate.
        executor: places the units.
        asked: accepted samples by label.
        unit_size: samples of a unit, >= 1.
        limits: when to give a label up.
        progress: is told what happens.
    """
    progress, units = progress or Progress(), []
    tokens, seconds = 0, 0.0
    next_number = [0] * job.num_labels
    while any(more := next_counts(asked, list(acceptance.tally().labels.values()), limits)):
        planned = []
        for label, count in enumerate(more):
            planned += cut_into_units(label, next_number[label], count, unit_size)
            next_number[label] += count
        planned.sort()
        progress.planned(sum(more))
        source = _Made(job, executor, planned, progress)
        for batch in _batches(in_order(planned, read, source)):
            acceptance.add(batch)
            progress.judged(acceptance)
        units += planned
        tokens, seconds = tokens + source.tokens, seconds + source.seconds
    return Filled(units, tokens, round(seconds, 3))


class _Made:
    """Called with a unit it lets the executor work until its file is there, and reads it."""

    def __init__(self, job: Job, executor: Executor, units: Sequence[Unit], progress: Progress) -> None:
        missing = [unit for unit in units if not job.is_done(unit)]
        self._done = set(units) - set(missing)
        self._progress = progress
        self._progress.made(sum(unit.count for unit in self._done))
        self._coming = executor.run(job, missing) if missing else iter(())
        self._job, self._executor = job, executor
        self.tokens, self.seconds = 0, 0.0

    def __call__(self, unit: Unit) -> UnitSamples:
        while unit not in self._done:
            made = next(self._coming)
            self._done.add(made)
            self._progress.made(made.count)
        found = self._read(unit)
        self.tokens += sum(line.num_tokens for line in found.lines)
        self.seconds += found.seconds
        return found

    def _read(self, unit: Unit) -> UnitSamples:
        """What its file holds; a file that is not as it was written is set aside, and made again."""
        try:
            return self._job.read(unit)
        except ForeignUnit:
            raise
        except UserError as error:
            logger.warning("%s; it is made again", error)
            self._job.set_aside(unit)
            for _ in self._executor.run(self._job, [unit]):
                pass
            return self._job.read(unit)


def in_order(
    units: Iterable[Unit], read: Read, samples_of: Callable[[Unit], UnitSamples]
) -> Iterator[Candidate]:
    """The samples of units in the order of their ids; one unit of each label is in memory.

    Args:
        units: those of each label in the order of their samples.
        read: see :func:`fill`.
        samples_of: reads a unit, when its turn comes.
    """
    by_label: dict[int, list[Unit]] = {}
    for unit in units:
        by_label.setdefault(unit.label, []).append(unit)

    def samples(own: Sequence[Unit]) -> Iterator[Candidate]:
        for unit in own:
            yield from (read(line, unit.label) for line in samples_of(unit).lines)

    return heapq.merge(*map(samples, by_label.values()), key=lambda candidate: candidate.id)


def _batches(candidates: Iterator[Candidate]) -> Iterator[list[Candidate]]:
    while batch := list(itertools.islice(candidates, _BATCH)):
        yield batch
