"""The page: verdict, columns, pairs, judges, training, a few rows. Nothing is fetched, nothing is run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_plugin.reports import figures
from fairseq_plugin.reports.display import escape, number, percent, short
from fairseq_plugin.reports.heat_map import heat_map
from fairseq_plugin.reports.page_parts import figure, folded, table, whole_page
from fairseq_plugin.reports.training_log import Curves, epochs_at
from fairseq_plugin.synthesis.judges.discriminator import Discrimination
from fairseq_plugin.synthesis.judges.judgement import Judgement
from fairseq_plugin.synthesis.judges.pairs import Pairs
from fairseq_plugin.synthesis.judges.rows import JudgedRows
from fairseq_plugin.synthesis.judges.usefulness import Usefulness
from fairseq_plugin.synthesis.judges.verdict import RowsVerdict
from fairseq_plugin.synthesis.report.columns import column_figures

_MARKS = {"good": "✓", "fair": "=", "bad": "✗"}
_MOST_PAIRED = 30  # columns in sight: those whose pairs differ most
_FULL_DIFFERENCE = 0.2
_ROWS_SHOWN = 8


@dataclass(frozen=True)
class TableReport:
    """All that the page shows.

    Attributes:
        name: of the table.
        judgement, verdict: on the new rows.
        train, synthetic: training and new rows.
        curves: of the training; None where there is no log.
        tokens_per_row: of the validation rows: from nats per token to nats per row.
        names, rows: a few new rows as they were written.
        num_drawn: rows that the new ones were chosen from; None: they are as they were drawn.
        provenance: ``(what, value)``, in order.
    """

    name: str
    judgement: Judgement
    verdict: RowsVerdict
    train: JudgedRows
    synthetic: JudgedRows
    curves: Curves | None
    tokens_per_row: float
    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_drawn: int | None
    provenance: Sequence[tuple[str, object]]


def render(report: TableReport) -> str:
    """Write the page, as text."""
    judgement = report.judgement
    body = [
        _head(report),
        column_figures(judgement, report.train, report.synthetic),
        _pairs(judgement.pairs),
        _judges(judgement),
        _training(report.curves, report.tokens_per_row),
        _rows(report.names, report.rows),
        _provenance(report.provenance),
    ]
    return whole_page(
        f"{report.name}: synthetic rows",
        body,
        "KS: the largest distance of cumulated shares. TV: total variation. AUC: area under the ROC curve, "
        "0.5 is a guess. TSTR: train on synthetic, test on real; TRTR: train on real. The same rows and seed "
        "give the same page.",
    )


def _head(report: TableReport) -> str:
    judgement, verdict = report.judgement, report.verdict
    how = ""
    if report.num_drawn is not None:
        how = (
            f" They were chosen from {report.num_drawn:,} drawn ones to match the training rows in columns "
            "and pairs: there they may differ less from these than other real rows do."
        )
    train, held_out, new = judgement.rows
    column, real_column = judgement.mean_marginal
    tiles = [(f"{column:.3f}", f"KS or TV, mean of the columns; {real_column:.3f} between real rows")]
    if judgement.held_out is not None:
        told = f"AUC of the better of two discriminators against {held_out:,} held-out rows; 0.5 is ideal"
        tiles.insert(0, (f"{judgement.held_out.worst:.3f}", told))
    if judgement.usefulness is not None:
        used = judgement.usefulness
        what = f"{used.measure} of {escape(used.target)}"
        told = f"{what} learnt from new rows; {used.real.forest:.3f} from real ones"
        tiles.append((f"{used.synthetic.forest:.3f}", told))
    else:
        copied = judgement.closeness
        told = (
            f"of the new rows are training rows; {percent(copied.held_out_copied)} of the held-out rows are"
        )
        tiles.append((percent(copied.copied), told))
    boxes = "".join(f'<div class="tile"><b>{value}</b><span>{text}</span></div>' for value, text in tiles)
    found = "".join(
        f'<p class="verdict {one.tone}"><i aria-hidden="true">{_MARKS[one.tone]}</i>'
        f"<span>{escape(one.sentence)}</span></p>"
        for one in verdict.findings
    )
    return (
        f'<p class="eyebrow">Synthetic rows</p><h1><bdi>{escape(report.name)}</bdi></h1>'
        f'<p class="verdict {verdict.tone}"><i aria-hidden="true">{_MARKS[verdict.tone]}</i>'
        f"<b>{escape(verdict.sentence)}</b></p>"
        f'<p class="note">{new:,} new rows, after {train:,} training rows; {held_out:,} real rows that the '
        f"model never saw are the yardstick.{how}</p>"
        f'<div class="tiles">{boxes}</div><h2>What the judges say</h2>{found}'
    )


def _pairs(pairs: Pairs) -> str:
    if len(pairs.names) < 2:
        return ""
    places, more = list(range(len(pairs.names))), ""
    difference_CC = pairs.synthetic_CC - pairs.train_CC
    if len(places) > _MOST_PAIRED:
        worst = np.argsort(-np.abs(difference_CC).max(0), kind="stable")[:_MOST_PAIRED]
        places = sorted(worst.tolist())
        more = f" Shown are the {_MOST_PAIRED} of {len(pairs.names)} columns whose pairs differ most."
    if pairs.left_out:
        more += f" Left out, because of their many categories: {', '.join(pairs.left_out)}."
    names, chosen = [pairs.names[place] for place in places], np.ix_(places, places)
    drawings = [
        figure(f"{title}", heat_map(names, values_CC[chosen], full, f"{title}, by pairs of columns"))
        for title, values_CC, full in (
            ("Real rows", pairs.train_CC, 1.0),
            ("New rows", pairs.synthetic_CC, 1.0),
            (f"New minus real (full colour: {_FULL_DIFFERENCE:g})", difference_CC, _FULL_DIFFERENCE),
        )
    ]
    note = (
        "Correlation of numbers (blue above 0, vermilion below), correlation ratio of a number and a "
        f"category, Cramér's V of categories. Mean difference {pairs.synthetic:.3f}; held-out rows "
        f"{pairs.real:.3f}.{more}"
    )
    return (
        f'<h2>Every pair of columns</h2><p class="note">{escape(note)}</p>'
        f'<div class="charts">{"".join(drawings)}</div>'
    )


def _judges(judgement: Judgement) -> str:
    column, real_column = judgement.mean_marginal
    close, pairs = judgement.closeness, judgement.pairs
    rows = [
        ["KS or TV, mean of the columns", f"{column:.3f}", f"{real_column:.3f}"],
        ["pairs of columns, mean difference", f"{pairs.synthetic:.3f}", f"{pairs.real:.3f}"],
        *_areas("AUC against held-out rows", judgement.held_out, "0.5 is ideal"),
        *_areas("AUC against training rows (well below 0.5: memorised)", judgement.train, "0.5"),
        *_learnt(judgement.usefulness),
        [
            "distance to the closest training row, median",
            f"{close.synthetic[0]:.4f}",
            f"{close.held_out[0]:.4f}",
        ],
        ["the same, 5th percentile", f"{close.synthetic[1]:.4f}", f"{close.held_out[1]:.4f}"],
        ["copies of training rows", percent(close.copied, 2), percent(close.held_out_copied, 2)],
    ]
    shown = table(["judge", "new rows", "held-out real rows"], rows)
    return f'<h2>All judges</h2><div class="card">{shown}</div>'


def _areas(what: str, told: Discrimination | None, ideal: str) -> list[list[str]]:
    if told is None:
        return []
    return [
        [f"{what}, random forest", f"{told.forest:.3f} ± {told.error:.3f}", ideal],
        [f"{what}, boosted trees", f"{told.boosted:.3f} ± {told.error:.3f}", ideal],
    ]


def _learnt(found: Usefulness | None) -> list[list[str]]:
    if found is None:
        return []
    what = f"{found.measure} of {escape(found.target)} on held-out rows"
    return [
        [f"{what}, {name} (TSTR; TRTR)", f"{new:.3f} ± {new_spread:.3f}", f"{real:.3f} ± {spread:.3f}"]
        for name, new, new_spread, real, spread in (
            ("random forest", found.synthetic.forest, found.synthetic.forest_spread,
             found.real.forest, found.real.forest_spread),
            ("boosted trees", found.synthetic.boosted, found.synthetic.boosted_spread,
             found.real.boosted, found.real.boosted_spread),
        )
    ]  # fmt: skip


def _training(curves: Curves | None, tokens_per_row: float) -> str:
    if curves is None:
        return ""
    series = []
    for name, css, split in (("training", "real", "train"), ("validation", "valid", "valid")):
        own = curves.of_split(split)
        points = own.get("nll_loss") or own.get("loss") or []
        epochs = epochs_at(curves.epochs, [update for update, _ in points])
        nats = [value * math.log(2) * tokens_per_row for _, value in points]
        if points and epochs is not None:
            series.append((name, css, list(zip(epochs, nats))))
    if not series:
        return ""
    ends = "; ".join(f"{name} ends at {number(points[-1][1])}" for name, _, points in series)
    best = min((nats, epoch) for _, _, points in series[-1:] for epoch, nats in points)
    drawing = figures.line_chart(series, "epochs", f"Nats per row over epochs: {ends}")
    told = (
        f"The best epoch has {best[0]:.2f} nats per validation row, after {best[1]:.0f} epochs; it, or a "
        "mean of the last epochs that is better, drew the rows."
    )
    keys = [(name, css) for name, css, _ in series]
    return (
        f'<h2>Training</h2><p class="note">{told}</p><div class="charts">'
        f"{figure('Nats per row', drawing, keys)}</div>"
    )


def _rows(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[escape(short(cell, 60)) for cell in row] for row in rows[:_ROWS_SHOWN]]
    shown = table([escape(short(name, 40)) for name in names], cells)
    return f'<h2>The first new rows</h2><div class="card">{shown}</div>'


def _provenance(provenance: Sequence[tuple[str, object]]) -> str:
    rows = [[escape(what), f"<code>{escape(str(value))}</code>"] for what, value in provenance]
    return f"<h2>Where it comes from</h2>{folded('Files, settings', table([], rows, css='plain'))}"
