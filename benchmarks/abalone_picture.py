"""The density of every column of a table: held-out rows, and the rows of some systems on top."""

import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import gaussian_kde

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")  # Okabe and Ito's, told apart by all
REAL = "#bbbbbb"
COUNTED = 40  # different values, at most, of a column that is drawn value by value
ACROSS = 3  # panels


def draw(held_out, systems, base):
    """``BASE.png`` and ``BASE.svg``, one panel per column.

    Args:
        held_out: real rows, as the judges read them.
        systems: rows by the name of who made them; those whose cell is no value are left out of its panel.
        base: path without ending.
    """
    down = math.ceil(len(held_out.columns) / ACROSS)
    figure, grid = plt.subplots(down, ACROSS, figsize=(11.5, 2.9 * down + 0.5), squeeze=False,
                                layout="constrained")  # fmt: skip
    panels = grid.ravel()
    for place, (axes, column) in enumerate(zip(panels, held_out.columns, strict=False)):
        real_N = _values_of(held_out, place)
        others = {name: _values_of(rows, place) for name, rows in systems.items()}
        if column.is_category:
            _categories(axes, column.column.values, real_N, others)
        elif column.column.decimals == 0 and len(np.unique(real_N)) <= COUNTED:
            _values(axes, real_N, others)
        else:
            _density(axes, real_N / 10.0**column.column.decimals, {
                name: values_M / 10.0**column.column.decimals for name, values_M in others.items()
            })  # fmt: skip
        axes.set_title(column.name, fontsize=11)
        axes.set_ylim(bottom=0)
        axes.set_yticks([])
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
    for axes in panels[len(held_out.columns) :]:
        axes.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    for ending in ("png", "svg"):
        figure.savefig(base.with_suffix(f".{ending}"), dpi=110)
    plt.close(figure)


def _values_of(rows, place):
    values_N = rows.values_NC[:, place]
    return values_N[np.isfinite(values_N)]


def _categories(axes, values, real_N, others):
    """Shares of each value, as bars side by side."""
    sets = {"held out": real_N, **others}
    width = 0.8 / len(sets)
    for turn, (name, values_N) in enumerate(sets.items()):
        shares = [(values_N == code).mean() if len(values_N) else 0 for code in range(len(values))]
        at = np.arange(len(values)) + (turn - (len(sets) - 1) / 2) * width
        axes.bar(at, shares, width * 0.92, color=REAL if turn == 0 else COLOURS[turn - 1], label=name)
    axes.set_xticks(range(len(values)), values)


def _values(axes, real_N, others):
    """Shares of each whole value, such as counts."""
    low, high = int(real_N.min()), int(real_N.max())
    values = np.arange(low, high + 1)
    axes.bar(values, [(real_N == value).mean() for value in values], 1.0, color=REAL, label="held out")
    for colour, (name, values_M) in zip(COLOURS, others.items()):
        shares = [(values_M.round() == value).mean() if len(values_M) else 0 for value in values]
        axes.plot(values, shares, color=colour, linewidth=1.5, label=name)


def _density(axes, real_N, others):
    """Kernel densities with one bandwidth, that of the held-out rows, over their range and a little more."""
    spread = np.subtract(*np.percentile(real_N, [75, 25])) or real_N.std() or 1.0
    width = 0.5 * spread * len(real_N) ** -0.2
    low, high = np.percentile(real_N, [0.2, 99.8])
    at = np.linspace(low - 3 * width, high + 3 * width, 400)
    axes.fill_between(at, _kde(real_N, width, at), color=REAL, linewidth=0, label="held out")
    for colour, (name, values_M) in zip(COLOURS, others.items()):
        axes.plot(at, _kde(values_M, width, at), color=colour, linewidth=1.5, label=name)


def _kde(values_N, width, at):
    if len(values_N) < 2 or values_N.std() == 0:
        return np.zeros(len(at))
    return gaussian_kde(values_N, width / values_N.std(ddof=1))(at)
