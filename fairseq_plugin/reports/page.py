"""The report as one HTML page: no script, nothing fetched from anywhere, every text escaped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairseq_plugin.reports import figures
from fairseq_plugin.reports import page_sections as sections
from fairseq_plugin.reports.display import escape, number, percent
from fairseq_plugin.reports.facts import Facts
from fairseq_plugin.reports.page_parts import count_cell, label_cell, legend, reason_name, table
from fairseq_plugin.reports.page_style import STYLE
from fairseq_plugin.reports.tally import Tally
from fairseq_plugin.reports.training_log import Curves

MOST_BARS = 24  # labels drawn; the table beneath lists all

# A browser that honours it refuses every script and every request, whatever a sample contains.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Agreement:
    """Share of labels, in [0, 1], that an independent classifier agrees with.

    Attributes:
        synthetic: of the kept sentences.
        valid: of the real valid set; None where there is none.
        verdict: one sentence that says whether the set is worth using; "" for none.
    """

    synthetic: float | None
    valid: float | None
    verdict: str = ""


@dataclass(frozen=True)
class Report:
    """All that the page shows.

    Attributes:
        name: of the data.
        labels: ``(name, text)`` of each.
        counts: what was kept and rejected.
        reasons: what each reason for rejection says of a sample.
        agreement: of the labels; None where no classifier could be trained.
        facts: measures beside the real set.
        curves, log: of the training, and the log's path; None where there is no log.
        rejected: a few texts of each reason.
        seed, tokens, seconds: of the generation.
        provenance: ``(what, value)``, in order.
        notes: sentences for the reader.
    """

    name: str
    labels: Sequence[tuple[str, str]]
    counts: Tally
    reasons: Mapping[str, str]
    agreement: Agreement | None
    facts: Facts
    curves: Curves | None
    log: str | None
    rejected: Mapping[str, Sequence[str]]
    seed: int
    tokens: int
    seconds: float | None
    provenance: Sequence[tuple[str, object]]
    notes: Sequence[str]


def render(report: Report) -> str:
    """Write the page, as text."""
    facts = report.facts
    body = [
        _head(report),
        _counts(report),
        sections.training(report.curves, report.log),
        sections.variety(facts.lengths, facts.distinct, report.seed),
        sections.novelty(facts.novelty, facts.neighbours),
        sections.samples(report.labels, facts.neighbours),
        _rejected(report.rejected),
        _provenance(report.provenance, report.notes),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escape(report.name)}: augmented set</title>\n"
        f"<style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(section for section in body if section)
        + "\n<footer>Words are runs of letters and digits, or single other characters, without regard to "
        "case. Every subset is drawn with the generation's seed: the same input gives the same page.</footer>"
        "\n</main></body></html>\n"
    )


def _head(report: Report) -> str:
    counts, lengths = report.counts.total, report.facts.lengths
    copies = sum(count for reason, count in counts.reasons.items() if reason.startswith("copy_of_"))
    rate = report.tokens / report.seconds if report.seconds else None
    judged = report.agreement
    if judged is None:
        tile = ("–", "labels checked: no classifier could be trained on the real set")
    else:
        own = "no valid set to know it" if judged.valid is None else percent(judged.valid, 0)
        told = f"of the labels are those of a classifier trained on the real set (right on real text: {own})"
        tile = (percent(judged.synthetic, 0), told)
    # No tile rewards gibberish: text of random words is new, and varied, and worth nothing.
    tiles = [
        (percent(counts.kept_share), f"kept: {counts.kept:,} of {counts.generated:,} sentences"),
        tile,
        (number(counts.rejected), "rejected, each under one reason"),
        (number(copies), f"copies of real sentences dropped, and {counts.reasons['duplicate']:,} duplicates"),
        (
            number(lengths.median.get("synthetic")),
            f"words in the median sentence (real training set: {number(lengths.median.get('real'))})",
        ),
        (number(rate), "tokens generated per second"),
    ]
    verdict = f'<p class="lede"><b>{escape(judged.verdict)}</b></p>' if judged and judged.verdict else ""
    boxes = "".join(f'<div class="tile"><b>{value}</b><span>{text}</span></div>' for value, text in tiles)
    return (
        f'<p class="eyebrow">Augmented set</p><h1>{escape(report.name)}</h1>{verdict}'
        f'<p class="lede"><b>{counts.generated:,}</b> sentences were generated for '
        f"{len(report.labels)} labels with seed {report.seed}. <b>{counts.kept:,}</b> of them are "
        f"kept and {counts.rejected:,} are not; this page tells why, and what the kept ones are like.</p>"
        f'<div class="tiles">{boxes}</div>'
    )


def _counts(report: Report) -> str:
    counts, meanings = report.counts, report.reasons
    found = [reason for reason in meanings if counts.total.reasons[reason]]
    texts = dict(report.labels)
    bars = []
    for name, own in counts.labels.items():
        lost = [(reason_name(reason), f"p-{reason}", own.reasons[reason]) for reason in found]
        bars.append((texts[name], [("kept", "p-kept", own.kept), *lost]))
    colours = "".join(f".p-{part}{{background:var(--r-{part})}}" for part in meanings)
    rows = []
    for name, own in [*counts.labels.items(), (None, counts.total)]:
        label = "all" if name is None else label_cell(name, texts[name])
        cells = [f"{own.generated:,}", f"{own.kept:,}", percent(own.kept_share)]
        rows.append([label, *cells, *(count_cell(own.reasons[reason]) for reason in found)])
    hidden = f"The first {MOST_BARS} of {len(bars)} labels are drawn." if len(bars) > MOST_BARS else ""
    meaning = [f"<li><b>{reason_name(reason)}</b>: the sample {meanings[reason]}</li>" for reason in found]
    keys = [("kept", "p-kept")] + [(reason_name(reason), f"p-{reason}") for reason in found]
    return (
        f"<style>.p-kept{{background:var(--kept)}}{colours}</style><h2>What was kept, and what was not</h2>"
        f'<div class="card">{legend(keys)}{figures.stacked_bars(bars[:MOST_BARS])}'
        + f'<p class="note">{hidden}</p>'
        + table(["label", "generated", "kept", "share", *map(reason_name, found)], rows, total=True)
        + f'<ul class="meaning note">{"".join(meaning) or "<li>Nothing was rejected.</li>"}</ul>'
        + "</div>"
    )


def _rejected(rejected: Mapping[str, Sequence[str]]) -> str:
    parts = []
    for reason, texts in rejected.items():
        if texts:
            items = "".join(f"<li><bdi>{escape(text) or _EMPTY}</bdi></li>" for text in texts)
            parts.append(f'<h3>{reason_name(reason)}</h3><ul class="texts">{items}</ul>')
    if not parts:
        return ""
    return (
        '<h2>A look at what was rejected</h2><details class="card">'
        f"<summary>The first few of each reason</summary>{''.join(parts)}</details>"
    )


_EMPTY = '<span class="zero">(no text)</span>'


def _provenance(provenance: Sequence[tuple[str, object]], notes: Sequence[str]) -> str:
    rows = [[escape(what), f"<code>{escape(str(value))}</code>"] for what, value in provenance]
    told = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f'<h2>Where it comes from</h2>{told}<div class="card">{table([], rows, css="plain")}</div>'
