"""A picture of a study: accuracy against k, a panel for each student and generator."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fairseq_plugin.augment.verdict.arms import EDA, REAL, REPEATED
from fairseq_plugin.augment.verdict.study.arms import (
    FILTERED,
    JUDGED,
    MODEL_JUDGED,
    PATIENCE,
    STUDENTS,
    SYNTHETIC,
    UNFILTERED,
)
from fairseq_plugin.augment.verdict.study.comparisons import Found, Way
from fairseq_plugin.augment.verdict.study.report import size
from fairseq_plugin.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by all; what costs nothing is black and grey.
STYLES = {
    REAL: ("#000000", "-"),
    REPEATED: ("#777777", "--"),
    PATIENCE: ("#777777", ":"),
    EDA: ("#777777", "-."),
    SYNTHETIC: ("#cc79a7", "-"),
    UNFILTERED: ("#e69f00", "-"),
    FILTERED: ("#0072b2", "-"),
    JUDGED: ("#009e73", "-"),
    MODEL_JUDGED: ("#56b4e9", "-"),
}
GUESS = "most frequent label"
LEAST_SPAN = 0.3  # of accuracy on the vertical axis: what chance does must not look large
_DODGE = 0.04  # lines stand so far beside each other

Curve = tuple[str, float, float]  # student, gamma, temperature


def draw_study(found: Found, base: Path, guess: float | None = None) -> list[Path]:
    """Write ``base.png`` and ``base.svg``.

    Args:
        found: with at least one comparison.
        base: path without its ending.
        guess: accuracy of the most frequent label, a dotted line; None: no line.

    Returns:
        The paths.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    students = [name for name in STUDENTS if any(one.student == name for one in found.comparisons)]
    generators = list(dict.fromkeys((one.gamma, one.temperature) for one in found.comparisons))
    inches = max(7.0, 3.6 * len(generators) + 0.6), 3.2 * len(students) + 0.8
    figure, grid = plt.subplots(
        len(students), len(generators), figsize=inches, squeeze=False, sharey="row", layout="constrained"
    )
    for line, student in zip(grid, students, strict=True):
        for axes, (gamma, temperature) in zip(line, generators, strict=True):
            _panel(axes, found, (student, gamma, temperature), guess)
            axes.set_title(
                f"{STUDENTS[student].name}\ngamma {gamma:g}, temperature {temperature:g}", fontsize=10
            )
        line[0].set_ylabel("accuracy on held-out rows")
        low, high = line[0].get_ylim()  # of the whole line: its panels share it
        line[0].set_ylim(min(low, max(0.0, high - LEAST_SPAN)), min(1.0, max(high, low + LEAST_SPAN)))
    for axes in grid[-1]:
        axes.set_xlabel("real rows per class (k)")
    _legend(figure, grid.flat)
    paths = [base.with_name(f"{base.name}.{ending}") for ending in ("png", "svg")]
    for path in paths:
        with atomic_write(path, "wb") as stream:
            figure.savefig(stream, format=path.suffix[1:], dpi=110)
    plt.close(figure)
    return paths


def _legend(figure: "Figure", panels: Iterable["Axes"]) -> None:
    """One for all panels, in the order of :data:`STYLES`."""
    handles = {
        name: handle
        for axes in panels
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    order = sorted(handles, key=[*STYLES, GUESS].index)
    figure.legend(
        [handles[name] for name in order],
        order,
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )


def _panel(axes: "Axes", found: Found, curve: Curve, guess: float | None) -> None:
    student = curve[0]
    ks = [k for name, k in found.cheap if name == student]
    lines: dict[str, dict[int, Way]] = {}
    for place, k in enumerate(ks):
        for name, way in found.cheap[student, k].items():
            lines.setdefault(name, {})[place] = way
    for one in found.comparisons:
        if (one.student, one.gamma, one.temperature) == curve:
            lines.setdefault(one.arm, {})[ks.index(one.k)] = one.way
    for number, (name, ways) in enumerate(lines.items()):
        (colour, style), shift = STYLES[name], _DODGE * (number - len(lines) / 2)
        axes.errorbar(
            [place + shift for place in ways], [way.accuracy for way in ways.values()],
            yerr=[way.spread for way in ways.values()],
            label=name, color=colour, linestyle=style, marker="o", markersize=3.5, linewidth=1.4,
            elinewidth=0.6, capsize=2,
        )  # fmt: skip
    if guess is not None:
        axes.axhline(guess, color="#aaaaaa", linestyle=(0, (1, 2)), linewidth=1, label=GUESS)
    axes.set_xticks(range(len(ks)), [size(k) for k in ks])
    axes.set_xlim(-0.5, len(ks) - 0.5)
    _plain(axes)


def _plain(axes: "Axes") -> None:
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
