"""Limits and ticks of the plots of training runs."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # matplotlib is loaded only where something is drawn
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

SHARES = {"accuracy", "rep_128", "novel"}  # their panels are drawn in per cent


def scale_axes(axes: "Axes", names: Mapping[str, str], logarithmic: bool) -> None:
    """Set limits, ticks and their words.

    Args:
        axes: with all its lines.
        names: the curves drawn there.
        logarithmic: the vertical axis, where all values are above 0.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    lines = [points for line in axes.get_lines() if (points := _points_of(line))]
    values = [y for points in lines for _, y in points]
    if logarithmic and min(values) > 0:
        _log_scale(axes, min(values), max(values))
    elif SHARES & names.keys():
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.6g} %"))
    if "loss" in names:
        _leave_out_the_first_drop(axes, lines)
    if names.keys() & {"lr", "gamma"}:
        axes.set_ylim(bottom=0, top=1.08 * max(values) or 1)


def _points_of(line: "Line2D") -> list[tuple[float, float]]:
    x, y = line.get_data()
    return list(zip(np.asarray(x).tolist(), np.asarray(y).tolist()))


def _leave_out_the_first_drop(axes: "Axes", lines: Sequence[Sequence[tuple[float, float]]]) -> None:
    """The loss of the first few updates would press everything else flat."""
    late = 0.04 * max(x for points in lines for x, _ in points)
    values = [y for points in lines for x, y in points if x >= late]
    low, high = min(values), max(values)
    if high > low:
        axes.set_ylim(low - 0.06 * (high - low), high + 0.1 * (high - low))


def _log_scale(axes: "Axes", low: float, high: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_yscale("log")
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for factors in (
        (1,),
        (1, 3),
        (1, 2, 5),
        (1, 1.5, 2, 3, 5, 7),
        (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
    ):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        ticks = [tick for tick in ticks if low / 1.1 <= tick <= high * 1.1]
        if len(ticks) >= 4:
            break
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
