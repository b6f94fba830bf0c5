"""The samples of units, made where they are missing, in the order in which they are asked for."""

import logging
from collections.abc import Sequence

from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs.executors import Executor
from fairseq_plugin.jobs.folder import UnitJob
from fairseq_plugin.jobs.units import ForeignUnit, Unit, UnitSamples

logger = logging.getLogger(__name__)


class Progress:
    """What a watcher is told of units; this one ignores it."""

    def planned(self, num_samples: int) -> None:
        """So many more samples are to be made."""

    def made(self, num_samples: int) -> None:
        """So many are made, now or by an earlier run."""


class FinishedUnits:
    """Called with a unit it lets the executor work until its file is there, and reads it.

    Args:
        job: an open job.
        executor: places the units.
        units: all that will be asked for.
        progress: is told what is made.

    Attributes:
        tokens: of the units read so far, the end tokens included.
        seconds: that they took, added up.
    """

    def __init__(self, job: UnitJob, executor: Executor, units: Sequence[Unit], progress: Progress) -> None:
        missing = [unit for unit in units if not job.is_done(unit)]
        self._done = set(units) - set(missing)
        self._progress = progress
        self._progress.planned(sum(unit.count for unit in units))
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
