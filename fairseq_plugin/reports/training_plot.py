"""Plots of training runs: over updates everything that was logged; over epochs what is not seen there.

One run: training pale, validation strong. Several runs: a colour each, training pale and validation strong,
one legend for all. The best validation is marked and named. Colours are those of Okabe and Ito, which people
with a colour vision deficiency can tell apart; the tenth run and later ones are told apart by dashes.
"""

import io
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.reports.display import short
from fairseq_plugin.reports.epoch_curves import GAP, by_epoch
from fairseq_plugin.reports.plot_labels import legend_inside, mark_best, place_beside_curves
from fairseq_plugin.reports.plot_scales import scale_axes
from fairseq_plugin.reports.training_log import Curves, best_validation, epochs_at

if TYPE_CHECKING:  # matplotlib is loaded only where something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Dash = Any  # matplotlib's line style: "-", or (0, (on, off))

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#8c6d31", "#444444")
DASHES: tuple[Dash, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))
TRAIN, VALID = COLOURS[5], COLOURS[1]  # where one run is drawn
INK, SOFT, GRID = "#22272e", "#5c6670", "#e7eaee"
MOST_POINTS = 150  # a longer training curve is smoothed, its points stay visible behind


class Panel(NamedTuple):
    """One panel of a plot.

    Attributes:
        title: above it.
        unit: of the vertical axis.
        curves: of validation or training, with their words in the legend.
        logarithmic: its vertical axis.
    """

    title: str
    unit: str
    curves: dict[str, str]
    logarithmic: bool = False


PANELS = (
    Panel("Loss", "bits per token", {"loss": ""}),
    Panel("Perplexity", "per token", {"ppl": ""}, logarithmic=True),
    Panel("Accuracy", "next tokens guessed right", {"accuracy": ""}),
    Panel(
        "Repetition of the last 128 tokens",
        "share of positions",
        {"rep_128": "guesses", "wrep_128": "wrong guesses", "human_rep_128": "the text itself"},
    ),
    Panel("Novel targets", "share of targets", {"novel": ""}),
    Panel("Gamma", "gamma", {"gamma": ""}),
    Panel("Learning rate", "per update", {"lr": ""}),
)
EPOCH_PANELS = (
    Panel("Loss, epoch by epoch", "bits per token", {"loss": ""}),
    Panel("Validation loss above training loss", "bits per token", {GAP: ""}),
    Panel("Accuracy", "next tokens guessed right", {"accuracy": ""}),
)
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": "#b9c0c7",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "svg.fonttype": "path",  # the same picture wherever it is opened
    "svg.hashsalt": "training",  # the same log gives the same file
}


def draw_training(curves_by_name: Mapping[str, Curves], path_prefix: str | Path) -> list[Path]:
    """Draw runs into ``PREFIX.png`` and ``.svg`` (over updates), ``PREFIX-epochs.png`` and ``.svg``.

    Over epochs each has one point: means of training, the best validation, and the gap between the two.

    Args:
        curves_by_name: by the name of the run.
        path_prefix: path without an ending; its folder is made.

    Returns:
        The written paths. There is no plot over epochs where a log tells no epochs, or fewer than two.

    Raises:
        UserError: nothing to draw, or the folder cannot be written.
    """
    runs = {name: curves for name, curves in curves_by_name.items() if curves}
    if not runs:
        raise UserError("nothing to draw: the logs hold no record of training yet")
    import matplotlib

    # fairseq's import turns everybody's debugging on
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    paths = []
    with matplotlib.rc_context(_STYLE):
        pictures: list[tuple[Mapping[str, Curves], str, Sequence[Panel], str]] = [
            (runs, "updates", PANELS, "")
        ]
        epochs = {name: found for name, curves in runs.items() if (found := by_epoch(curves)) is not None}
        if len(epochs) == len(runs):
            pictures.append((epochs, "epochs", EPOCH_PANELS, "-epochs"))
        for own, axis, panels, ending in tqdm(pictures, desc="drawing", disable=None, leave=False):
            figure = _figure(own, axis, panels)
            paths += [_save(figure, Path(f"{path_prefix}{ending}.{kind}")) for kind in ("png", "svg")]
    return paths


def _save(figure: "Figure", path: Path) -> Path:
    content = io.BytesIO()
    figure.savefig(
        content, format=path.suffix[1:], dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, "wb") as stream:
            stream.write(content.getvalue())
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another place") from error
    return path


def _figure(runs: Mapping[str, Curves], axis: str, known: Sequence[Panel]) -> "Figure":
    """All panels that have a curve: the loss wide on top, the others in pairs beneath."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

    panels = [
        panel for panel in known if any(_split_of(c, curve) for c in runs.values() for curve in panel.curves)
    ]
    is_wide = "loss" in panels[0].curves
    rows = 1 + math.ceil((len(panels) - 1) / 2) if is_wide else math.ceil(len(panels) / 2)
    figure = Figure(figsize=(9.6, 1.0 + 2.55 * rows), facecolor="white")
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", h_pad=0.09, w_pad=0.09, hspace=0.04, wspace=0.03)
    grid, place = figure.add_gridspec(rows, 2), 0
    for panel in panels:
        wide = "loss" in panel.curves or (place % 2 == 0 and panel is panels[-1])
        axes = figure.add_subplot(grid[place // 2, :] if wide else grid[place // 2, place % 2])
        place += 2 if wide else 1
        _draw_panel(axes, panel, runs, axis)
    legend_inside(figure, _legend(runs), INK, 9.5)
    figure.draw_without_rendering()  # the panels have their places now
    for axes in figure.axes:
        for text in axes.texts:
            if isinstance(text, Annotation):
                place_beside_curves(text)
    return figure


def _split_of(curves: Curves, curve: str) -> str | None:
    """Validation counts where there is one; ``None`` for a curve that was not logged."""
    return next((split for split in ("valid", "train") if curve in curves.of_split(split)), None)


def _draw_panel(axes: "Axes", panel: Panel, runs: Mapping[str, Curves], axis: str) -> None:
    title, unit, names, logarithmic = panel
    axes.set_title(title)
    axes.set_ylabel(unit)
    axes.set_xlabel(axis)
    for number, (run, curves) in enumerate(runs.items()):
        for order, curve in enumerate(names):
            _draw_curve(
                axes, curves, curve, _colours(runs, number), DASHES[number // len(COLOURS) % 3], order, axis
            )
        if names.keys() & {"loss", "ppl"}:
            mark_best(
                axes, curves, next(iter(names)), _colours(runs, number)[1], axis, run if len(runs) > 1 else ""
            )
    scale_axes(axes, names, logarithmic)
    if len(names) > 1:
        _name_curves(axes, names, runs)


def _colours(runs: Mapping[str, Curves], number: int) -> tuple[str, str]:
    """(training, validation) of a run."""
    own = COLOURS[number % len(COLOURS)]
    return (TRAIN, VALID) if len(runs) == 1 else (own, own)


def _draw_curve(
    axes: "Axes", curves: Curves, curve: str, colours: tuple[str, str], dash: Dash, order: int, axis: str
) -> None:
    """Training pale, validation strong. ``order``: 0 full, 1 dashed, 2 dotted (several curves in one
    panel).
    """
    dash = DASHES[order] if order else dash
    both = "valid" if curve in curves.valid else None
    if curve in curves.train and (order == 0 or not both):
        x, y = _points(curves, "train", curve, axis)
        alone = both is None
        colour, strength = colours[0 if not alone or curve == "lr" else 1], 1.0 if alone else 0.75
        colour = "#5c6670" if curve in ("lr", "gamma") and colours[0] == TRAIN else colour
        if len(y) > MOST_POINTS and curve not in ("lr", "gamma"):
            if colours[0] == TRAIN:  # several runs would hide each other
                axes.plot(x, y, color=colour, linewidth=0.7, alpha=0.25 * strength)
            y = _smooth(y, max(3, len(y) // 50))
        width = 1.3 if not alone else 1.7
        axes.plot(
            x,
            y,
            color=colour,
            linewidth=width,
            alpha=strength if colours[0] == TRAIN or alone else 0.45,
            linestyle=dash,
        )
    if curve.startswith("human"):
        colours = (SOFT, SOFT)  # of the text, the same for every model
    if both:
        x, y = _points(curves, "valid", curve, axis)
        marker = "o" if len(x) <= 40 and order == 0 else None
        axes.plot(x, y, color=colours[1], linewidth=2, linestyle=dash, marker=marker, markersize=3.2)


def _points(curves: Curves, split: str, curve: str, axis: str) -> tuple[Sequence[float], Sequence[float]]:
    updates, values = zip(*curves.of_split(split)[curve])
    return (updates if axis == "updates" else epochs_at(curves.epochs, updates) or updates), values


def _smooth(values: Sequence[float], width: int) -> list[float]:
    """Mean over ``width`` neighbours on either side: at the steep start as many as there are, at the end
    those before.
    """
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    smooth = []
    for i in range(len(values)):
        first, last = i - min(width, i), min(i + min(width, i), len(values) - 1)
        smooth.append((sums[last + 1] - sums[first]) / (last + 1 - first))
    return smooth


def _name_curves(axes: "Axes", names: Mapping[str, str], runs: Mapping[str, Curves]) -> None:
    from matplotlib.lines import Line2D

    drawn = [
        (order, words)
        for order, (curve, words) in enumerate(names.items())
        if any(_split_of(curves, curve) for curves in runs.values())
    ]
    handles = [
        Line2D([], [], color=SOFT, linestyle=DASHES[order], linewidth=1.7, label=words)
        for order, words in drawn
    ]
    axes.legend(handles=handles, fontsize=8.5, labelcolor=SOFT, loc="best")


def _legend(runs: Mapping[str, Curves]) -> list["Line2D"]:
    """One line per run, or the two kinds of curve of a single run, and what the star says."""
    from matplotlib.lines import Line2D

    has_train = any(curves.train.get("loss") for curves in runs.values())
    has_valid = any(curves.valid for curves in runs.values())
    handles = []
    if len(runs) > 1:
        for number, (name, curves) in enumerate(runs.items()):
            best = best_validation(curves)
            told = short(name, 40)
            told = f" {told}" if told.startswith("_") else told  # matplotlib would leave it out
            told += f" (best {best.loss:.3f})" if best else ""
            dash = DASHES[number // len(COLOURS) % 3]
            handles.append(
                Line2D([], [], color=_colours(runs, number)[1], linewidth=2.2, linestyle=dash, label=told)
            )
        train, valid = (SOFT, 0.45), SOFT
    else:
        train, valid = (TRAIN, 0.9), VALID
    if has_train:
        handles.append(Line2D([], [], color=train[0], alpha=train[1], linewidth=1.6, label="training"))
    if has_valid:
        handles.append(
            Line2D([], [], color=valid, linewidth=2.2, marker="o", markersize=3.2, label="validation")
        )
        handles.append(
            Line2D([], [], color=valid, linestyle="", marker="*", markersize=8, label="best validation")
        )
    return handles
