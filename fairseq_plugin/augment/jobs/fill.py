"""Units of work until enough samples of every label are accepted, and these in the order of their ids."""

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from fairseq_plugin.augment.filters.acceptance import Acceptance
from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.jobs.job import Job
from fairseq_plugin.augment.jobs.quota import Limits, next_counts
from fairseq_plugin.jobs import finished
from fairseq_plugin.jobs.executors import Executor
from fairseq_plugin.jobs.finished import FinishedUnits
from fairseq_plugin.jobs.units import Unit, UnitSamples, cut_into_units
from fairseq_plugin.storage.sample_file import SampleLine

_BATCH = 1024  # candidates that filters see at once

# A sample's line and its label -> what filters look at.
Read = Callable[[SampleLine, int], Candidate]


class Progress(finished.Progress):
    """What a watcher is told; this one ignores it."""

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
        source = FinishedUnits(job, executor, planned, progress)
        for batch in _batches(in_order(planned, read, source)):
            acceptance.add(batch)
            progress.judged(acceptance)
        units += planned
        tokens, seconds = tokens + source.tokens, seconds + source.seconds
    return Filled(units, tokens, round(seconds, 3))


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
