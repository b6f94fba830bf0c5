"""Each column on one picture: held-out and training rows beside new rows."""

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.reports import figures
from fairseq_plugin.reports.category_bars import category_bars
from fairseq_plugin.reports.display import percent
from fairseq_plugin.reports.page_parts import figure
from fairseq_plugin.synthesis.judges.judgement import Judgement
from fairseq_plugin.synthesis.judges.marginals import Marginal
from fairseq_plugin.synthesis.judges.rows import JudgedColumn, JudgedRows
from fairseq_plugin.tables.schema import DATE, NUMBERS

MOST_COLUMNS = 60  # in sight: those that differ most
_BARS = 40
_MOST_CATEGORIES = 12
_NAMES = (("real rows", "real"), ("new rows", "synthetic"))


def column_figures(judgement: Judgement, real: JudgedRows, synthetic: JudgedRows) -> str:
    """The section of the page.

    Args:
        judgement: of the rows.
        real: training rows.
        synthetic: new rows.
    """
    places = range(len(real.columns))
    note = (
        "The distance is that of new rows to training rows; in brackets that of held-out rows to the same "
        "training rows, which is what chance alone makes of it."
    )
    if len(places) > MOST_COLUMNS:
        worst = sorted(places, key=lambda place: -judgement.marginals[place].synthetic)
        places = sorted(worst[:MOST_COLUMNS])
        note += f" Shown are the {MOST_COLUMNS} of {len(real.columns)} columns that differ most."
    drawings = [
        _figure(real.columns[at], judgement.marginals[at], real.values_NC[:, at], synthetic.values_NC[:, at])
        for at in places
    ]
    return f'<h2>Every column</h2><p class="note">{note}</p><div class="charts">{"".join(drawings)}</div>'


def _figure(
    column: JudgedColumn, marginal: Marginal, real_N: NDArray[np.float64], new_N: NDArray[np.float64]
) -> str:
    caption = f"{column.name}: {marginal.measure} {marginal.synthetic:.3f} ({marginal.real:.3f})"
    missing = [float(np.isnan(values_N).mean()) for values_N in (real_N, new_N)]
    if any(missing) and not column.is_category:
        caption += f"; missing: real {percent(missing[0])}, new {percent(missing[1])}"
    sides = [values_N[~np.isnan(values_N)] if not column.is_category else values_N
             for values_N in (real_N, new_N)]  # fmt: skip
    if not len(sides[0]) and not len(sides[1]):
        return ""
    drawing = _bars(column, sides) if column.is_category else _histogram(column, sides)
    return figure(caption, drawing, _NAMES)


def _bars(column: JudgedColumn, sides: list[NDArray[np.float64]]) -> str:
    names = [*column.column.values, "(any other)", "(missing)"]
    codes = [np.where(np.isnan(values_N), len(names) - 1, values_N).astype(np.int64) for values_N in sides]
    shares = [np.bincount(own, minlength=len(names)) / max(len(own), 1) for own in codes]
    order = np.argsort(-np.maximum(*shares), kind="stable").tolist()
    shown = [at for at in order[:_MOST_CATEGORIES] if max(own[at] for own in shares) > 0]
    labels, rest = [names[at] for at in shown], order[len(shown) :]
    groups = [[float(own[at]) for at in shown] for own in shares]
    if any(own[rest].sum() > 0 for own in shares):
        labels.append(f"({len(rest)} others)")
        groups = [[*group, float(own[rest].sum())] for group, own in zip(groups, shares)]
    told = "; ".join(f"{name}: real {percent(one)}, new {percent(two)}"
                     for name, one, two in zip(labels, *groups))  # fmt: skip
    drawn = [(name, css, group) for (name, css), group in zip(_NAMES, groups)]
    return category_bars(labels, drawn, f"Shares of {column.name}: {told}")


def _histogram(column: JudgedColumn, sides: list[NDArray[np.float64]]) -> str:
    scale = 10.0**column.column.decimals if column.column.type in NUMBERS else 1.0
    values = np.concatenate(sides)
    low, high = np.quantile(values, [0.002, 0.998])
    step = max(column.column.step, 1)
    if high - low < _BARS * step:  # a bar for each value
        edges = np.arange(low - step / 2, high + step, step)
    else:
        edges = np.linspace(low, high, _BARS + 1)
    shares = [
        (np.histogram(own.clip(edges[0], edges[-1]), edges)[0] / max(len(own), 1)).tolist() for own in sides
    ]
    form = column.column
    x_format = (lambda units: form.cell(round(units))) if form.type == DATE else None
    return figures.histogram_chart(
        (edges / scale).tolist(),
        [(name, css, own) for (name, css), own in zip(_NAMES, shares)],
        column.name,
        f"Distribution of {column.name}; what lies beyond the ends is in the last bars",
        x_format,
    )
