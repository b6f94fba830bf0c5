"""The first screen of the report: the verdict, the labels, and samples beside real rows.

Nothing here rewards gibberish: text of random words is new, and varied, and worth nothing.
"""

from collections.abc import Sequence

from fairseq_plugin.reports.display import escape, number, percent, percent_range
from fairseq_plugin.reports.facts import Lengths, Neighbours, Pair
from fairseq_plugin.reports.opinions import Fidelity, LabelFidelity, Verdict
from fairseq_plugin.reports.page_parts import (
    chip,
    folded,
    label_cell,
    legend,
    meter,
    table,
    tiles,
    verdict_box,
)
from fairseq_plugin.reports.tally import Counts, Tally

MOST_LABELS = 8  # in sight; with more, these are the ones with the least fidelity
_TONES = {"use this": "good", "no gain": "fair", "do not use this": "bad", "not checked": "open"}


def head(
    name: str,
    verdict: Verdict | None,
    counts: Counts,
    asked: int | None,
    fidelity: Fidelity | None,
    lengths: Lengths,
) -> str:
    """Title, verdict, and the figures that it rests on."""
    if fidelity is None:
        fit = ("–", "labels are not checked: no classifier could be trained on the real rows")
    else:
        fit = (
            percent(fidelity.synthetic, 0),
            "of the new sentences are read by a judge as the label they were made for; on real ones "
            + (
                "its own accuracy is not known: no valid set"
                if fidelity.real is None
                else f"it is right in {percent(fidelity.real, 0)}"
            ),
        )
    generated = f"{counts.generated:,} generated ({percent(counts.kept_share)})"
    kept = f"kept of {generated}" if asked is None else f"kept of {asked:,} asked for, and of {generated}"
    shown = [
        fit,
        (f"{counts.kept:,}", kept),
        (
            number(lengths.median.get("synthetic")),
            f"words in the median sentence; {number(lengths.median.get('real'))} in the real training set",
        ),
    ]
    return (
        f'<p class="eyebrow">Augmented set</p><h1><bdi>{escape(name)}</bdi></h1>{_verdict(verdict)}'
        f"{tiles(shown)}"
    )


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return '<p class="verdict open"><i>?</i><span>Nobody has judged this set yet.</span></p>'
    return verdict_box(_TONES[verdict.outcome], verdict.sentence)


def compared(verdict: Verdict | None) -> str:
    """The figures behind the verdict."""
    if verdict is None or not verdict.arms:
        return ""
    rows = [
        [
            escape(arm.name),
            f"{arm.rows:,}",
            percent(arm.accuracy),
            percent_range(arm.lowest, arm.highest).replace(
                "\u2013", "\u2013\u2060"
            ),  # a word joiner: no line break
            percent(arm.by_label),
        ]
        for arm in verdict.arms
    ]
    told = f'<p class="note">A plain classifier, measured on {escape(verdict.measured_on)}.</p>'
    figures = table(["trained on", "rows", "accuracy", "over draws", "mean over labels"], rows)
    return f'<h2>What was compared</h2><div class="card">{told}{figures}</div>'


def labels(names: Sequence[tuple[str, str]], counts: Tally, fidelity: Fidelity | None) -> str:
    """Each label: how often a judge reads it as given, in new and in real sentences, and what was kept."""
    own = fidelity.labels if fidelity else [LabelFidelity(None, None)] * len(names)
    rows = [
        [
            label_cell(name, text) + _track(found),
            percent(found.synthetic, 0),
            percent(found.real, 0),
            f"{counts.labels[name].kept:,} <small>of {counts.labels[name].generated:,}</small>",
        ]
        for (name, text), found in zip(names, own, strict=True)
    ]
    header = ["label", "new", "real", "kept"]
    shown, more = rows, ""
    if len(rows) > MOST_LABELS:
        worst = sorted(range(len(rows)), key=lambda index: (_lack(own[index]), index))[:MOST_LABELS]
        shown = [rows[index] for index in sorted(worst)]
        more = folded(f"All {len(rows)} labels", table(header, rows, css="labels"))
    told = "How often a judge reads the label as it is given." + (
        f" The {MOST_LABELS} of {len(rows)} labels that fit least:" if more else ""
    )
    keys = [("new sentences", "synthetic"), ("real ones: the judge's own accuracy", "valid")]
    return (
        f'<h2>Do the labels fit?</h2><div class="card"><p class="note">{told}</p>{legend(keys)}'
        f"{table(header, shown, css='labels')}</div>{more}"
    )


def _lack(found: LabelFidelity) -> float:
    """How far the new sentences of a label are from the real ones; labels without any come first."""
    if found.synthetic is None:
        return -1.0
    return found.synthetic / found.real if found.real else found.synthetic


def _track(found: LabelFidelity) -> str:
    """Both shares as marks on a line from 0 to 100 %."""
    places = [("valid", found.real), ("synthetic", found.synthetic)]
    marks = [
        f'<i class="{css}" style="left:{100 * share:.1f}%"></i>' for css, share in places if share is not None
    ]
    told = f"new {percent(found.synthetic, 0)}, real {percent(found.real, 0)}"
    return f'<span class="track" role="img" aria-label="{told}">{"".join(marks)}</span>' if marks else ""


def examples(names: Sequence[tuple[str, str]], neighbours: Neighbours) -> str:
    """A few new sentences of every label, each above the real one most like it."""
    pairs = "".join(pair(names, one) for one in neighbours.examples)
    return f'<h2>New sentences, and the real row nearest to each</h2><div class="card stacked">{pairs}</div>'


def pair(names: Sequence[tuple[str, str]], shown: Pair) -> str:
    """A new sentence and the real one most like it."""
    bar = meter(shown.similarity, f"similarity {shown.similarity:.2f}")
    similarity = f'<span class="together">{bar} {shown.similarity:.2f}</span>'
    return (
        f'<div class="pair"><div><div class="who">{chip(names[shown.label][1])} new</div>'
        f'<p><bdi>{escape(shown.text)}</bdi></p></div><div class="from"><div class="who">'
        f"{chip(names[shown.real_label][1])} nearest real row {similarity}</div>"
        f"<p><bdi>{escape(shown.real_text)}</bdi></p></div></div>"
    )
