"""Columns of numbers as a Markdown table, which is readable in a terminal too."""

from collections.abc import Sequence

from fairseq_plugin.evaluation.columns import Column, Comparison

# name -> digits after the point; every other metric is a share and has 4.
_DIGITS = {"rank": 1, "ppl": 2, "ppl per word": 2, "ppl per character": 3, "ppl per byte": 3}
NOTHING = "–"


def markdown(columns: Sequence[Column], corner: str = "metric", intervals: bool = True) -> list[str]:
    """One row per metric, one column per system.

    Args:
        columns: of the table.
        corner: heading of the first column.
        intervals: show ``value [low, high]``.

    Returns:
        Lines of text, the columns aligned.
    """
    metrics = list(dict.fromkeys(name for column in columns for name in column.values))
    rows = [[corner, *(column.name.replace("|", "\\|") for column in columns)]]
    for metric in metrics:
        rows.append([metric, *(_cell(column, metric, intervals) for column in columns)])
    return _aligned(rows)


def difference_table(pair: Comparison, corner: str = "metric") -> list[str]:
    """One paired comparison: metric, difference, interval; a star where the interval leaves 0 out."""
    rows = [[corner, f"{pair.second} - {pair.first}".replace("|", "\\|"), "95 % interval", ""]]
    for metric, found in pair.metrics.items():
        spread, star = NOTHING, ""
        if found.interval is not None:
            low, high = found.interval
            spread = f"[{number(metric, low, True)}, {number(metric, high, True)}]"
            star = "*" if low > 0 or high < 0 else ""
        rows.append([metric, number(metric, found.value, True), spread, star])
    return _aligned(rows)


def number(metric: str, value: float | int | None, signed: bool = False) -> str:
    """A number as the table shows it."""
    if value is None:
        return NOTHING
    sign = "+" if signed else ""
    if isinstance(value, int):
        return f"{value:{sign},}"
    digits = _DIGITS.get(metric, 4)
    return f"{round(value, digits) + 0.0:{sign},.{digits}f}"  # + 0.0: no -0.0000


def _cell(column: Column, metric: str, intervals: bool) -> str:
    text = number(metric, column.values.get(metric))
    pair = column.intervals.get(metric)
    if intervals and pair:
        text += f" [{number(metric, pair[0])}, {number(metric, pair[1])}]"
    return text


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(2, *(len(row[place]) for row in rows)) for place in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        lines.append("| " + " | ".join(cells) + " |")
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [lines[0], "| " + " | ".join(rule) + " |", *lines[1:]]
