"""Units of work: some consecutive samples of one label, and the file that each leaves.

The file of a unit is its own mark of completion: it gets its name when it is whole and on the disk. What is
in it depends on the job and the unit only, so that any process on any machine may make it, twice even.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.sample_file import SampleLine, read_sample_file, write_sample_file

KIND = "unit"


class ForeignUnit(UserError):
    """The file of a unit of another job."""


@dataclass(frozen=True, order=True)
class Unit:
    """The samples ``first .. first + count - 1`` of a label; units sort as their first samples do.

    Attributes:
        first: number of the first sample among those of its label, >= 0.
        label: index of the label.
        count: samples, >= 1.
    """

    first: int
    label: int
    count: int

    def ids(self, num_labels: int) -> range:
        """The samples' ids: sample ``k`` of label ``i`` of ``L`` has ``k * L + i``."""
        start = self.first * num_labels + self.label
        return range(start, start + self.count * num_labels, num_labels)

    @property
    def name(self) -> str:
        """Of numbers alone: labels may be called anything, and their names be no file's."""
        return f"label-{self.label:04d}-{self.first:010d}-{self.count}"

    def path(self, folder: Path) -> Path:
        """Its file."""
        return folder / f"{self.name}.samples.jsonl"


def cut_into_units(label: int, first: int, count: int, size: int) -> list[Unit]:
    """Units of at most ``size`` samples that together hold ``count`` samples of a label from ``first`` on.

    >>> cut_into_units(label=1, first=4, count=5, size=3)
    [Unit(first=4, label=1, count=3), Unit(first=7, label=1, count=2)]
    """
    return [Unit(k, label, min(size, first + count - k)) for k in range(first, first + count, size)]


def share_of(units: Sequence[Unit], rank: int, num_ranks: int) -> list[Unit]:
    """What one of several ranks makes: of units that follow each other, every ``num_ranks``-th.

    By the unit alone, not by its place in the list: a rank that starts later finds units done and looks at
    fewer, and all must agree on whose each of them is.
    """
    return [unit for unit in units if (unit.first // unit.count + unit.label) % num_ranks == rank]


def write_unit(folder: Path, unit: Unit, job: str, lines: Iterable[SampleLine], seconds: float) -> None:
    """Write a unit's file.

    Args:
        folder: of the units.
        unit: the unit.
        job: digest of what its samples depend on.
        lines: one per sample, in the order of ids.
        seconds: that it took.
    """
    write_sample_file(unit.path(folder), KIND, _facts(unit, job), lines, seconds)


@dataclass(frozen=True)
class UnitSamples:
    """What a unit's file holds.

    Attributes:
        lines: one per sample, in the order of ids.
        seconds: that it took.
    """

    lines: list[SampleLine]
    seconds: float


def read_unit(folder: Path, unit: Unit, job: str, num_labels: int) -> UnitSamples:
    """Read a unit's file, every line of it checked.

    Raises:
        ForeignUnit: the file is of another job.
        UserError: it is missing, cut short or altered.
    """
    path = unit.path(folder)
    file = read_sample_file(path)
    if file.facts != _facts(unit, job):
        raise ForeignUnit(
            f"{path} is of another job (its model, data, seed or settings): remove it, or give another --to"
        )
    if [line.id for line in file.lines] != list(unit.ids(num_labels)) or file.seconds is None:
        raise UserError(f"{path} does not hold the samples {unit.first} .. {unit.first + unit.count - 1}")
    return UnitSamples(file.lines, file.seconds)


def _facts(unit: Unit, job: str) -> dict[str, object]:
    return {"job": job, **asdict(unit)}
