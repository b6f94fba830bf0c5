"""Where words stand in a plot: beside the curves, never on them, and never outside of the picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fairseq_plugin.reports.training_log import Curves, best_validation, epochs_at

if TYPE_CHECKING:  # matplotlib is loaded only where something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

Place = tuple[float, float, str, str]

# Offsets from the marked point in points, and which edges of the words they are of: near ones first.
_PLACES: list[Place] = [
    (across, up, "right" if across < 0 else "left" if across > 0 else "center", "bottom" if up > 0 else "top")
    for distance in (14, 24, 36, 50, 66, 84)
    for across, up in (
        (0, distance),
        (-12, distance),
        (12, distance),
        (0, -distance),
        (-12, -distance),
        (12, -distance),
    )
]
_MARGIN = 3  # pixels around the words


def mark_best(axes: "Axes", curves: Curves, curve: str, colour: str, axis: str, name: str) -> None:
    """A star at the best validation; where one run is drawn its value and epoch stand beside it."""
    best = best_validation(curves)
    if best is None or best.update not in (points := dict(curves.valid.get(curve, ()))):
        return
    value = points[best.update]
    x = best.update if axis == "updates" else (epochs_at(curves.epochs, [best.update]) or [best.update])[0]
    if name:  # several runs: rings would cover each other
        axes.plot(
            [x],
            [value],
            "*",
            markersize=13,
            color=colour,
            markeredgecolor="white",
            markeredgewidth=0.8,
            zorder=6,
        )
        return
    axes.plot(
        [x],
        [value],
        "o",
        markersize=10,
        markerfacecolor="white",
        markeredgecolor=colour,
        markeredgewidth=2,
        zorder=5,
    )
    axes.plot([x], [value], "*", markersize=7, color=colour, zorder=6)
    where = f"update {best.update:,}" if best.epoch is None else f"epoch {best.epoch}"
    text = f"best {value:.3g}: {where}"
    if curve == "loss":
        of_update = best.epoch is not None and axis == "updates"
        text = f"best {value:.3f}: {where}" + (f", update {best.update:,}" if of_update else "")
    late = x > 0.6 * max(axes.get_xlim()[1], x)
    label = axes.annotate(
        text, (x, value), xytext=(0 if late else 2, 26), textcoords="offset points",
        color=colour, fontsize=9.5, fontweight="bold", ha="right" if late else "left", zorder=7,
    )  # fmt: skip
    label.set_in_layout(False)  # it finds its place in the layout of everything else


def place_beside_curves(label: "Annotation") -> None:
    """Move words to the nearest place where no curve of their panel is behind them.

    Args:
        label: of a figure that has its layout (``figure.draw_without_rendering()``). It stays where it is if
            there is no such place.
    """
    axes = label.axes
    assert axes is not None
    # The marks of one point are no curves.
    curves = [line for line in axes.get_lines() if np.size(line.get_xdata()) > 1]
    first = (*label.get_position(), label.get_horizontalalignment(), label.get_verticalalignment())
    for place in _PLACES:
        _move(label, place)
        box = label.get_window_extent().padded(_MARGIN)
        if _is_inside(box, axes.get_window_extent()) and not _hides(box, curves):
            return
    _move(label, first)


def _move(label: "Annotation", place: Place) -> None:
    across, up, horizontal, vertical = place
    label.set_position((across, up))
    label.set_horizontalalignment(horizontal)  # type: ignore[arg-type]
    label.set_verticalalignment(vertical)  # type: ignore[arg-type]


def _is_inside(box: "Bbox", outer: "Bbox") -> bool:
    return outer.x0 <= box.x0 and box.x1 <= outer.x1 and outer.y0 <= box.y0 and box.y1 <= outer.y1


def _hides(box: "Bbox", curves: "Sequence[Line2D]") -> bool:
    return any(
        line.get_path().transformed(line.get_transform()).intersects_bbox(box, filled=False)
        for line in curves
    )


def legend_inside(figure: "Figure", handles: "Sequence[Line2D]", colour: str, size: float) -> "Legend":
    """A legend above all panels, with as many columns as the picture is wide.

    Args:
        figure: whose legend it is.
        handles: its entries.
        colour, size: of its words.
    """
    for columns in range(min(4, len(handles)), 0, -1):
        legend = figure.legend(
            handles=list(handles), loc="outside upper left", ncols=columns, labelcolor=colour, fontsize=size
        )
        for text in legend.get_texts():
            text.set_parse_math(False)  # a name may hold $
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width * 0.98:
            return legend
        legend.remove()
    raise AssertionError("a legend without entries")
