"""A column of a table: a system's numbers under each metric's name, with intervals."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from fairseq_plugin.reports.bootstrap import Difference, Interval, Measured, differences

Cell = dict[str, float | int | None]  # "value", and "low" and "high" where there is an interval


@dataclass
class Column:
    """What one system, or the human text, scored.

    Attributes:
        name: heading of the column.
        group: columns of a group are compared with its first one: a decoding, ``"files"``, or None.
        values: by metric; None where the metric has no value here.
        intervals: by metric, of those that have one.
        notes: sentences on what was left out or cannot be compared.
        parts: what was measured, by the ending of its metrics' names.
    """

    name: str
    group: str | None = None
    values: dict[str, float | int | None] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    parts: dict[str, Measured] = field(default_factory=dict, repr=False)

    def take(self, measured: Measured, ending: str = "", keep_parts: bool = True) -> None:
        """Add measured statistics, their names lengthened by ``ending``."""
        self.values.update({name + ending: value for name, value in measured.values.items()})
        self.intervals.update({name + ending: pair for name, pair in measured.intervals.items() if pair})
        if keep_parts:
            self.parts[ending] = measured

    def to_json(self) -> dict[str, dict[str, Cell] | list[str]]:
        """As ``results.json`` holds it."""
        cells = {name: _cell(value, self.intervals.get(name)) for name, value in self.values.items()}
        return {"metrics": cells, "notes": self.notes}


@dataclass(frozen=True)
class Comparison:
    """Two columns of a group, measured on the same units; every difference is ``second - first``."""

    group: str
    first: str
    second: str
    metrics: dict[str, Difference]

    def to_json(self) -> dict[str, str | dict[str, Cell]]:
        """As ``results.json`` holds it."""
        cells = {name: _cell(found.value, found.interval) for name, found in self.metrics.items()}
        return {"group": self.group, "first": self.first, "second": self.second, "metrics": cells}


def paired_differences(columns: Iterable[Column]) -> list[Comparison]:
    """Each column against the first of its group, where both were measured on the same units."""
    found: list[Comparison] = []
    heads: dict[str | None, Column] = {}
    for column in columns:
        first = heads.setdefault(column.group, column)
        if column.group is None or first is column:
            continue
        metrics = {
            name + ending: difference
            for ending, measured in first.parts.items()
            if ending in column.parts
            for name, difference in (differences(measured, column.parts[ending]) or {}).items()
        }
        if metrics:
            found.append(Comparison(column.group, first.name, column.name, metrics))
    return found


def _cell(value: float | int | None, interval: Interval | None) -> Cell:
    return {"value": value} if interval is None else {"value": value, "low": interval[0], "high": interval[1]}
