"""The pictures of the repetition study's page: how the effect grows, and what it costs in perplexity."""

import statistics

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.study_tables import DECODINGS, MLE, paired_ratio

# Okabe and Ito's colours, told apart by all, twice: the second time with another mark.
STYLES = {
    "mle": ("#000000", "o"), "sg-0.2": ("#d55e00", "o"), "sg-0.5": ("#e69f00", "o"),
    "sg-0.8": ("#cfb000", "o"), "sg-ramp": ("#d55e00", "s"), "ul-token": ("#0072b2", "^"),
    "ul-sequence": ("#56b4e9", "^"),
    "ct": ("#009e73", "D"), "ditto": ("#cc79a7", "v"), "riro": ("#777777", "P"),
}  # fmt: skip


def draw(report, base):
    """``base.png`` and ``.svg``: perplexity against repetition; ``base_growth``: repetition over updates."""
    _frontiers(report, base)
    _growth(report, base.with_name(f"{base.name}_growth"))


def _save(figure, base):
    for ending in ("png", "svg"):
        figure.savefig(base.with_name(f"{base.name}.{ending}"), dpi=110)
    plt.close(figure)


def _legend(figure, axes):
    handles = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        list(handles.values()), list(handles), loc="outside lower center", ncols=5, frameon=False, fontsize=9
    )


def _plain(axes):
    axes.grid(color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _frontiers(report, base):
    """One row per form, one column per decoding; a small point per seed, a large one for their mean."""
    forms = report["runs"]
    figure, grid = plt.subplots(
        len(forms),
        len(DECODINGS),
        figsize=(12.5, 3.8 * len(forms) + 0.6),
        squeeze=False,
        layout="constrained",
    )
    for line, (form, runs) in zip(grid, forms.items(), strict=True):
        for axes, decoding in zip(line, DECODINGS, strict=True):
            for name, seeds in runs.items():
                colour, mark = STYLES[name]
                ppl = [run["single"]["ppl"] for run in seeds.values()]
                repeats = [run["decodings"][decoding]["seq-rep-4"] for run in seeds.values()]
                axes.scatter(ppl, repeats, s=12, color=colour, marker=mark, alpha=0.4, linewidths=0)
                axes.scatter(
                    [statistics.fmean(ppl)], [statistics.fmean(repeats)], s=70, color=colour, marker=mark,
                    edgecolors="white", label=report["titles"][name], zorder=3,
                )  # fmt: skip
            axes.axhline(
                report["human"]["continuations"]["seq-rep-4"], color="#666666", linestyle="--", linewidth=1,
                label="people", zorder=1,
            )  # fmt: skip
            axes.set_title(f"{form}, {decoding}", fontsize=11)
            axes.set_ylim(bottom=0)
            _plain(axes)
        line[0].set_ylabel("seq-rep-4 of continuations")
    for axes in grid[-1]:
        axes.set_xlabel("test perplexity per token")
    _legend(figure, grid.ravel())
    _save(figure, base)


def _growth(report, base):
    """Ratio to maximum likelihood, over updates and over maximum likelihood's validation perplexity."""
    forms = report["runs"]
    figure, grid = plt.subplots(
        len(forms),
        2,
        figsize=(11.5, 3.8 * len(forms) + 0.6),
        squeeze=False,
        sharey="row",
        layout="constrained",
    )
    for line, (form, runs) in zip(grid, forms.items(), strict=True):
        points = list(next(iter(runs[MLE].values()))["curve"])
        ppl = [statistics.fmean(run["curve"][at]["valid ppl"] for run in runs[MLE].values()) for at in points]
        for name, seeds in runs.items():
            if name == MLE:
                continue
            colour, mark = STYLES[name]
            found = [
                paired_ratio(lambda run, at=at: run["curve"][at]["seq-rep-4"], seeds, runs[MLE])
                for at in points
            ]
            ratios = [float("nan") if one is None else one[0] for one in found]
            for axes, x in zip(line, (list(map(int, points)), ppl), strict=True):
                axes.plot(x, ratios, color=colour, marker=mark, markersize=5, linewidth=1.4,
                          label=report["titles"][name])  # fmt: skip
        for axes in line:
            axes.axhline(1, color="#000000", linewidth=1, linestyle=":")
            axes.set_ylim(bottom=0)
            _plain(axes)
        line[0].set_title(f"{form}: over updates", fontsize=11)
        line[1].set_title(f"{form}: over what maximum likelihood has learnt", fontsize=11)
        line[0].set_ylabel("greedy seq-rep-4,\nratio to maximum likelihood")
        line[0].set_xlabel("updates")
        line[1].set_xlabel("its validation perplexity then (better to the right)")
        line[1].invert_xaxis()
    _legend(figure, grid.ravel())
    _save(figure, base)
