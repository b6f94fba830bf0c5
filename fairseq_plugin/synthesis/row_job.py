"""New rows in units: each leaves a file, so that a run that is killed goes on where it was."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fairseq_plugin.errors import addressed_to_the_user
from fairseq_plugin.files import sha256
from fairseq_plugin.jobs.executors import Executor
from fairseq_plugin.jobs.finished import FinishedUnits, Progress
from fairseq_plugin.jobs.folder import UnitJob
from fairseq_plugin.jobs.sample_units import sample_units
from fairseq_plugin.jobs.units import Unit, cut_into_units
from fairseq_plugin.storage.manifest import NAME as MANIFEST
from fairseq_plugin.tables.conditions import Condition
from fairseq_plugin.tables.model import DrawnRows, Row, TableModel

UNIT_SIZE = 5000  # rows


@dataclass(frozen=True)
class RowJob(UnitJob):
    """The rows of a model, by seed and number.

    Attributes:
        seed: with a row's number it decides the row.
        prompt: symbols with which every row begins.
        manifest_sha256, checkpoint_sha256: of data and model.
    """

    seed: int
    prompt: tuple[int, ...]
    manifest_sha256: str
    checkpoint_sha256: str

    kind: ClassVar[str] = "rows of a table"

    @classmethod
    def of(cls, folder: Path, data: Path, checkpoint: Path, seed: int, prompt: Sequence[int]) -> "RowJob":
        """For these files as they are now."""
        digests = sha256(data / MANIFEST), sha256(checkpoint)
        return cls(folder, data, checkpoint, seed, tuple(prompt), *digests)

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "prompt": list(self.prompt),
            "manifest_sha256": self.manifest_sha256,
            "checkpoint_sha256": self.checkpoint_sha256,
        }

    @property
    def num_labels(self) -> int:
        return 1

    def load_model(self, device: str = "cpu") -> TableModel:
        """See :meth:`~fairseq_plugin.jobs.folder.UnitJob.load_model`."""
        return TableModel.load(self.checkpoint, self.data, device)

    def make(self, units: Sequence[Unit], model: TableModel) -> Iterator[Unit]:
        """See :meth:`~fairseq_plugin.jobs.folder.UnitJob.make`."""
        request = model.request(len(self.prompt), self.seed)
        numbers = [str(index) for index in range(model.code.num_symbols)]
        with addressed_to_the_user(FloatingPointError):
            yield from sample_units(self, units, model.gpt2, request, numbers, [self.prompt])

    def rows(
        self,
        n: int,
        where: Condition | None,
        model: TableModel,
        executor: Executor,
        most_tries: float,
        progress: Progress | None = None,
        unit_size: int = UNIT_SIZE,
    ) -> DrawnRows:
        """Exactly ``n`` rows, the same as :meth:`~fairseq_plugin.tables.model.TableModel.sample` gives.

        Args:
            n, where, most_tries: see there.
            model: of the job.
            executor: places the units; it is closed at the end.
            progress: is told what is made.
            unit_size: rows of a unit, >= 1.

        Raises:
            UserError: the folder is of another job.
            TooFewMatches: too few rows fulfil the condition.
        """
        self.begin()

        def draw(ids: range) -> Iterator[tuple[int, Row]]:
            units = cut_into_units(0, ids.start, len(ids), unit_size)
            samples_of = FinishedUnits(self, executor, units, progress or Progress())
            for unit in units:
                drawn = {
                    line.id: [*self.prompt[1:], *map(int, line.symbols.split())]
                    for line in samples_of(unit).lines
                }
                for number, symbols in model.without_rare_texts(drawn, self.prompt, self.seed).items():
                    yield number, model.cells(symbols, number)

        try:
            return model.collect(n, where, draw, most_tries=most_tries)
        finally:
            executor.close()
