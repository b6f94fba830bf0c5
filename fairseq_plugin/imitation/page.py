"""``report.html`` of a run: what the model has learnt, what it writes, and how it came there."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairseq_plugin.imitation.learnt import IN_A_ROW, Learnt
from fairseq_plugin.imitation.written import Written
from fairseq_plugin.reports import figures
from fairseq_plugin.reports.display import escape, number, percent
from fairseq_plugin.reports.page_parts import figure, folded, table, tiles, verdict_box, whole_page
from fairseq_plugin.reports.sample_book import Entry, Sample
from fairseq_plugin.reports.training_log import Curves, Points, best_validation

_MOST_ENTRIES = 6  # of the samples while training
_EMPTY_LINES = re.compile(r"\n{5,}")  # of a model that has not learnt when to end them
_FOOTER = (
    "Words are runs of letters and digits, or single other characters, without regard to case. The best "
    "sample of a temperature is the one whose words are most often words of the training text, less what it "
    "repeats."
)


@dataclass(frozen=True)
class ImitationReport:
    """All that the page shows.

    Attributes:
        name: of the text.
        learnt: the loss, beside counts.
        written: per temperature, the validation text itself last.
        entries: of ``samples.md`` while training.
        curves: of the training.
        provenance: ``(what, value)``, in order.
    """

    name: str
    learnt: Learnt
    written: Sequence[Written]
    entries: Sequence[Entry]
    curves: Curves
    provenance: Mapping[str, object]


def render(report: ImitationReport) -> str:
    """Write the page, as text."""
    body = [
        _head(report),
        _beside_counts(report.learnt),
        _samples(report.written),
        _over_time(report.entries),
        _curves(report.curves, report.learnt),
        _provenance(report.provenance),
    ]
    return whole_page(f"{report.name}: imitated", body, _FOOTER)


def _head(report: ImitationReport) -> str:
    learnt, best = report.learnt, best_validation(report.curves)
    shown = [
        (f"{learnt.model:.2f}", "nats per character on the last tenth of the text, which it has not seen"),
        (
            f"{learnt.model / learnt.counts[IN_A_ROW[-1]]:.2f} ×",
            f"the loss of counts of {IN_A_ROW[-1]} characters in a row; below 1 is better than they are",
        ),
    ]
    if best is not None:
        epoch = "" if best.epoch is None else f", in pass {best.epoch} over the text"
        shown.append((f"{best.update:,}", f"updates until its best validation{epoch}"))
    return (
        f'<p class="eyebrow">In the style of</p><h1><bdi>{escape(report.name)}</bdi></h1>'
        f"{verdict_box(learnt.tone, learnt.sentence)}{tiles(shown)}"
    )


def _beside_counts(learnt: Learnt) -> str:
    rows = [("this model", learnt.model)]
    names = {1: "how often each character occurs (unigram)"}
    for row in reversed(IN_A_ROW):
        rows.append((names.get(row, f"counts of {row} characters in a row ({row}-gram)"), learnt.counts[row]))
    cells = [
        [escape(name), f"{nats:.3f}", f"{nats / math.log(2):.3f}", f"{math.exp(nats):.1f}"]
        for name, nats in rows
    ]
    head = ["", "nats per character", "bits per character", "as unsure as among so many characters"]
    return (
        '<h2>What it has learnt</h2><p class="note">How surprising the validation text is, character by '
        f"character: less is better. The counts are of {learnt.counted:,} characters of the training text, "
        "mixed with those of fewer characters where they are rare (Witten and Bell 1991).</p>"
        f'<div class="card">{table(head, cells)}</div>'
    )


def _samples(written: Sequence[Written]) -> str:
    cards = "".join(
        f'<div class="card"><div class="who">{escape(one.name)}</div>{_text(one.best)}</div>'
        for one in written
        if one.num
    )
    rows = [
        [escape(one.name), percent(one.known), percent(one.repeated), f"{one.num:,}" if one.num else "–"]
        for one in written
    ]
    head = ["", "words that the text has", "sequences of four words that came before", "samples"]
    return (
        '<h2>What it writes</h2><p class="note">The best sample of each temperature; bold is the prompt. A '
        "low temperature keeps to what is usual and repeats itself, a high one tries more and errs more.</p>"
        f'<div class="samples">{cards}</div><div class="card">{table(head, rows)}</div>'
    )


def _over_time(entries: Sequence[Entry]) -> str:
    chosen = _spread([(entry, found) for entry in entries if (found := entry.samples)])
    if not chosen:
        return ""
    # Each prompt is continued twice, greedily and drawn; the last one is a piece of the validation text.
    shown = [(entry, found[-4:-2] if len(found) >= 4 else found[-2:]) for entry, found in chosen]
    rows = "".join(
        f'<div class="pair"><div><div class="who">{escape(entry.title)} · most probable tokens</div>'
        f'{_text(found[0])}</div><div><div class="who">drawn, top-p 0.9</div>{_text(found[1])}</div></div>'
        for entry, found in shown
        if len(found) > 1
    )
    return (
        '<h2>While it learnt</h2><p class="note">The same prompt at several validations, both ends among '
        f'them.</p><div class="card stacked">{rows}</div>'
    )


def _spread(
    found: Sequence[tuple[Entry, Sequence[Sample]]],
) -> list[tuple[Entry, Sequence[Sample]]]:
    """A few entries, evenly spread, both ends among them."""
    last = len(found) - 1
    places = sorted({round(last * step / (_MOST_ENTRIES - 1)) for step in range(_MOST_ENTRIES)})
    return [found[place] for place in places] if found else []


def _curves(curves: Curves, learnt: Learnt) -> str:
    series: list[tuple[str, str, Points]] = []
    for split, name, css in (("train", "training", "real"), ("valid", "validation", "valid")):
        points = curves.of_split(split).get("loss", [])
        if points:
            scale = learnt.nats_per_bit[split]
            series.append((name, css, [(update, scale * bits) for update, bits in points]))
    if not series:
        return ""
    last = max(update for _, _, points in series for update, _ in points)
    for row, nats in learnt.counts.items():
        name = "unigram" if row == 1 else f"{row}-gram"
        series.append((name, "axis" if row == 1 else "synthetic", [(0, nats), (last, nats)]))
    told = "; ".join(f"{name} ends at {number(points[-1][1])}" for name, _, points in series)
    drawing = figures.line_chart(series, "updates", f"Loss in nats per character over updates: {told}")
    keys = [(name, css) for name, css, _ in series]
    return (
        '<h2>Training</h2><p class="note">With dropout the training loss can stand above the validation '
        "loss.</p>"
        f'<div class="charts">{figure("Loss, nats per character", drawing, keys)}</div>'
    )


def _text(sample: Sample) -> str:
    """A sample line for line, the prompt bold."""
    parts = (_EMPTY_LINES.sub(_counted, part) for part in sample)
    prompt, text = ("\n".join(escape(line) for line in part.split("\n")) for part in parts)
    return f'<p class="sample"><bdi><b>{prompt}</b>{text}</bdi></p>'


def _counted(found: re.Match[str]) -> str:
    return f"\n\n({len(found[0]) - 1} empty lines)\n\n"


def _provenance(provenance: Mapping[str, object]) -> str:
    rows = [[escape(what), f"<code>{escape(str(value))}</code>"] for what, value in provenance.items()]
    return f"<h2>Where it comes from</h2>{folded('Files, settings, versions', table([], rows, css='plain'))}"
