"""Tables and pictures of the repetition study, from the ``results.json`` of its runs."""

import datetime
import json
import os
import platform
import statistics
from pathlib import Path

from benchmarks.marked_page import write_between_markers
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write

# heading -> metric of the single-token part
SINGLE = {
    "ppl": "ppl",
    "ppl per character": "ppl per character",
    "acc": "acc",
    "rep/128": "rep/128",
    "wrep/128": "wrep/128",
    "uniq": "uniq",
}
# heading -> metric of the continuations, for each decoding
CONTINUATION = {"seq-rep-1": "seq-rep-1", "seq-rep-4": "seq-rep-4", "seq-rep-4, words": "seq-rep-4 (words)",
                "uniq-seq": "uniq-seq"}  # fmt: skip
# Two-sided 95 % quantiles of Student's t for 1 .. 9 degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
COLOURS = (
    "#0072b2",
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#d55e00",
    "#cc79a7",
)  # Okabe and Ito's, told apart by all


def read(found, titles):
    """Gather the runs.

    Args:
        found: ``{text: {objective: {seed: path of results.json}}}``.
        titles: ``{objective: its name for people}``.

    Returns:
        ``{"made", "machine", "titles", "texts"}``. A text is ``{"human": {...}, "runs": {objective: {seed:
        numbers}}}``, numbers are ``{"single": {metric: value}, "decodings": {decoding: {metric: value}},
        "intervals": {...}}``, the intervals being the evaluation's own, over windows or continuations.
    """
    texts = {}
    for text, objectives in found.items():
        runs = {
            objective: {str(seed): _numbers(Path(path), objective) for seed, path in seeds.items()}
            for objective, seeds in objectives.items()
        }
        some = next(path for seeds in objectives.values() for path in seeds.values())
        loaded = json.loads(Path(some).read_text("utf-8"))
        human = {
            "single": _values(loaded["single_token"]["systems"]["human"]),
            "continuations": _values(loaded["completion"]["systems"]["human"]),
        }
        texts[text] = {"human": human, "settings": loaded["completion"]["settings"], "runs": runs}
    machine = f"{os.cpu_count()} cores, {platform.machine()}, no GPU used"
    return {"made": datetime.date.today().isoformat(), "machine": machine, "titles": titles, "texts": texts}


def _numbers(path, objective):
    if not path.is_file():
        raise UserError(f"{path} is missing: run the study again, it goes on where it stopped")
    loaded = json.loads(path.read_text("utf-8"))
    systems = loaded["completion"]["systems"]
    made = {name.removeprefix(f"{objective} "): one for name, one in systems.items() if name != "human"}
    single = loaded["single_token"]["systems"][objective]
    return {
        "single": _values(single),
        "decodings": {decoding: _values(one) for decoding, one in made.items()},
        "intervals": {
            "single": _intervals(single), **{decoding: _intervals(one) for decoding, one in made.items()}
        },
    }  # fmt: skip


def _values(system):
    return {name: entry["value"] for name, entry in system["metrics"].items()}


def _intervals(system):
    return {name: [one["low"], one["high"]] for name, one in system["metrics"].items() if "low" in one}


def spread(values):
    """``(mean, half width)`` of the 95 % interval over seeds (Student's t); half width None for one seed."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    return mean, STUDENT[len(values) - 2] * statistics.stdev(values) / len(values) ** 0.5


# -- tables ------------------------------------------------------------------------------------------------


def tables(report):
    """Markdown lines: per text one table of single-token numbers and one per decoding, and the comparison."""
    lines = [f"({report['made']}; {report['machine']})", ""]
    for text, of_text in report["texts"].items():
        seeds = len(next(iter(of_text["runs"].values())))
        said = f"Mean over {seeds} seeds ± half the 95 % interval of that mean (Student's t)."
        if seeds == 1:
            said = "One seed; in brackets the 95 % bootstrap interval over windows or continuations."
        lines += [f"### {text}", "", said, ""]
        lines += _table(report, of_text, SINGLE, "single", of_text["human"]["single"])
        for decoding in _decodings(of_text):
            lines += [f"**{decoding}**, {of_text['settings']['prefixes']}", ""]
            lines += _table(report, of_text, CONTINUATION, decoding, of_text["human"]["continuations"])
        lines += _comparison(report, of_text)
    return lines


def _decodings(of_text):
    return list(next(iter(next(iter(of_text["runs"].values())).values()))["decodings"])


def _table(report, of_text, metrics, part, human):
    """``part``: ``"single"`` or a decoding."""
    lines = ["| objective | " + " | ".join(metrics) + " |", "| --- |" + " ---: |" * len(metrics)]
    for objective, seeds in of_text["runs"].items():
        cells = [_cell(metric, part, list(seeds.values())) for metric in metrics.values()]
        fewer = f" (seeds {', '.join(seeds)} only)" if len(seeds) < len(of_text["runs"]["mle"]) else ""
        lines.append(f"| {report['titles'][objective]}{fewer} | " + " | ".join(cells) + " |")
    cells = [
        "" if human.get(metric) is None else _number(metric, human[metric]) for metric in metrics.values()
    ]
    return [*lines, "| *people* | " + " | ".join(cells) + " |", ""]


def _cell(metric, part, runs):
    values = [(run["single"] if part == "single" else run["decodings"][part])[metric] for run in runs]
    if any(value is None for value in values):  # too little text for this metric in some run
        return "–"
    mean, half = spread(values)
    if half is not None:
        return f"{_number(metric, mean)} ± {_number(metric, half)}"
    low_high = runs[0]["intervals"][part].get(metric)
    return _number(metric, mean) + (
        f" [{', '.join(_number(metric, one) for one in low_high)}]" if low_high else ""
    )


def _number(metric, value):
    if metric.startswith("uniq"):
        return f"{value:,.0f}"
    digits = {"ppl": 1, "ppl per character": 2}.get(metric, 3)
    return f"{value:,.{digits}f}"


def _comparison(report, of_text):
    """Each objective against maximum likelihood, by seed: ratio of greedy seq-rep-4, cost in perplexity."""
    base = of_text["runs"]["mle"]
    lines = ["Against maximum likelihood, seed by seed (mean, smallest to largest):", "",
             "| objective | greedy seq-rep-4, ratio | top-p 0.9 seq-rep-4, ratio | perplexity, ratio |",
             "| --- | ---: | ---: | ---: |"]  # fmt: skip
    for objective, seeds in of_text["runs"].items():
        if objective == "mle":
            continue
        cells = []
        for pick in (
            lambda run: run["decodings"]["greedy"]["seq-rep-4"],
            lambda run: run["decodings"]["top-p=0.9"]["seq-rep-4"],
            lambda run: run["single"]["ppl"],
        ):
            ratios = [
                pick(run) / pick(base[seed]) if pick(base[seed]) else float("nan")
                for seed, run in seeds.items()
            ]
            cells.append(f"{statistics.fmean(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        lines.append(f"| {report['titles'][objective]} | " + " | ".join(cells) + " |")
    return [*lines, ""]


# -- pictures ----------------------------------------------------------------------------------------------


def draw(report, path):
    """The frontier: perplexity against seq-rep-4; a small point per seed, a large one for their mean.

    One row per text, one column per decoding; people's own repetition is a dashed line.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    texts = report["texts"]
    decodings = _decodings(next(iter(texts.values())))
    figure, grid = plt.subplots(
        len(texts),
        len(decodings),
        figsize=(4.2 * len(decodings), 3.5 * len(texts)),
        squeeze=False,
        layout="constrained",
    )
    for row, (text, of_text) in zip(grid, texts.items()):
        for axes, decoding in zip(row, decodings):
            _frontier(axes, of_text, decoding, report["titles"])
            axes.set_title(f"{text}, {decoding}", fontsize=11)
        row[0].set_ylabel("seq-rep-4 of continuations (share)")
    for axes in grid[-1]:
        axes.set_xlabel("test perplexity per token")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    for ending in ("png", "svg"):
        figure.savefig(path.with_suffix(f".{ending}"), dpi=110)
    plt.close(figure)


def _frontier(axes, of_text, decoding, titles):
    for colour, (objective, seeds) in zip(COLOURS, of_text["runs"].items()):
        ppl = [run["single"]["ppl"] for run in seeds.values()]
        repeats = [run["decodings"][decoding]["seq-rep-4"] for run in seeds.values()]
        axes.scatter(ppl, repeats, s=14, color=colour, alpha=0.45, linewidths=0)
        axes.scatter(
            [statistics.fmean(ppl)], [statistics.fmean(repeats)], s=90, color=colour, edgecolors="white",
            label=titles[objective], zorder=3,
        )  # fmt: skip
    axes.axhline(
        of_text["human"]["continuations"]["seq-rep-4"],
        color="#666666",
        linestyle="--",
        linewidth=1,
        label="people",
        zorder=1,
    )
    axes.set_ylim(bottom=0)
    axes.grid(color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def write(report, base):
    """``base.json``, the tables between the markers of ``base.md``, ``base.png`` and ``base.svg``."""
    with atomic_write(base.with_suffix(".json")) as stream:
        json.dump(report, stream, indent=1, ensure_ascii=False)
        stream.write("\n")
    write_between_markers(base.with_suffix(".md"), tables(report), "Repetition study")
    draw(report, base)
