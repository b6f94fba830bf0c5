"""A column of a table: a system's numbers under each metric's name, with intervals."""

from dataclasses import dataclass, field

from fairseq_plugin.evaluation.bootstrap import differences


@dataclass
class Column:
    """What one system, or the human text, scored.

    Attributes:
        name: heading of the column.
        group: columns of a group are compared with its first one: a decoding, ``"files"``, or None.
        values: ``{metric: number}``; None where the metric has no value here.
        intervals: ``{metric: (low, high)}`` of those that have one.
        notes: sentences on what was left out or cannot be compared.
        parts: the :class:`~fairseq_plugin.evaluation.bootstrap.Measured` behind it, with their name's ending.
    """

    name: str
    group: str | None = None
    values: dict = field(default_factory=dict)
    intervals: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    parts: list = field(default_factory=list, repr=False)

    def take(self, measured, ending="", keep_parts=True):
        """Put the statistics of a :class:`Measured` in, their names lengthened by ``ending``."""
        self.values.update({name + ending: value for name, value in measured.values.items()})
        self.intervals.update({name + ending: pair for name, pair in measured.intervals.items() if pair})
        if keep_parts:
            self.parts.append((ending, measured))

    def to_json(self):
        numbers = {}
        for name, value in self.values.items():
            pair = self.intervals.get(name)
            numbers[name] = {"value": value} | ({"low": pair[0], "high": pair[1]} if pair else {})
        return {"metrics": numbers, "notes": self.notes}


def paired_differences(columns):
    """Each column against the first of its group, where both were measured on the same units.

    Returns:
        List of ``{"group", "first", "second", "metrics": {metric: {"value", "low", "high"}}}``; value = second - first.
    """
    found, heads = [], {}
    for column in columns:
        first = heads.setdefault(column.group, column)
        if column.group is None or first is column:
            continue
        metrics = {}
        others = dict(column.parts)
        for ending, measured in first.parts:
            pairs = differences(measured, others[ending]) if ending in others else None
            for name, (value, spread) in (pairs or {}).items():
                metrics[name + ending] = {"value": value} | (
                    {"low": spread[0], "high": spread[1]} if spread else {}
                )
        if metrics:
            found.append(
                {"group": column.group, "first": first.name, "second": column.name, "metrics": metrics}
            )
    return found
