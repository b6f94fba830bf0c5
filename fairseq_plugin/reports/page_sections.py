"""The report's sections after the first screen: lengths, diversity, likeness, rejections, training."""

from collections.abc import Mapping, Sequence

from fairseq_plugin.reports import figures
from fairseq_plugin.reports.display import escape, number, percent
from fairseq_plugin.reports.facts import Facts, Lengths, Pair
from fairseq_plugin.reports.page_first import pair
from fairseq_plugin.reports.page_parts import (
    SIDES,
    colour,
    count_cell,
    figure,
    folded,
    label_cell,
    meter,
    reason_name,
    table,
)
from fairseq_plugin.reports.tally import Tally
from fairseq_plugin.reports.training_log import Curves, Points, best_validation

ALIKE = 0.1  # of the real figure: a smaller difference says nothing


def lengths(found: Lengths) -> str:
    """How long the sentences are, beside the training set."""
    sides = ("real", "synthetic")
    median = "Median: " + ", ".join(f"{found.median[side]} in the {SIDES[side]}" for side in sides)
    shares = [(SIDES[side], side, found.shares[side]) for side in sides]
    drawing = figures.histogram_chart(
        found.edges, shares, "words per sentence", f"Share of sentences by length. {median}"
    )
    mean = ", ".join(f"{found.mean[side]:.1f} in the {SIDES[side]}" for side in sides)
    keys = [(SIDES[side], side) for side in sides]
    return (
        f'<h2>Lengths</h2><p class="note">Words in a sentence. {median}. Mean: {mean}.</p>'
        f'<div class="charts">{figure("Share of sentences by length", drawing, keys)}</div>'
    )


def diversity(facts: Facts, seed: int) -> str:
    """Every figure beside that of held-out real text, which is the aim: neither more nor less."""
    side, everything = facts.yardstick, facts.distinct[0].pair
    rows = [
        (f"different among all {unit}", everything.real[n], everything.synthetic[n])
        for n, unit in enumerate(("words", "pairs of words", "triples of words"))
    ]
    new, real = facts.novelty["synthetic"], facts.novelty.get(side)
    if real is not None:
        rows += [
            (f"{unit} that are not in train", real.new[n], new.new[n])
            for n, unit in enumerate(("words", "pairs of words", "triples of words"))
        ]
        rows.append(("sentences with a word that is not in train", real.with_new_word, new.with_new_word))
        rows.append(("sentences copied whole, or as a part, from train", real.whole, new.whole))
    shown = [
        [what, percent(theirs), percent(ours), compared(ours, theirs)]
        for what, theirs, ours in rows
        if theirs is not None and ours is not None
    ]
    head = ["share of", SIDES[side], SIDES["synthetic"], "compared"]
    if real is None:
        held = "No real text is held out, so the training set itself is the yardstick, and novelty has none. "
    else:
        held = "The yardstick is real text that the model was not trained on. "
    return (
        f'<h2>Diversity</h2><p class="note">{held}Good text has about its figures: below them it repeats '
        "itself, above them it falls apart: random words have the highest of all. Different words and "
        f"sequences are counted in {everything.words:,} words of each side: whole sentences in an order "
        f'drawn with seed {seed}, the last one cut.</p><div class="card">'
        f"{table(head, shown, css='compared')}</div>{_by_label(facts)}"
    )


def compared(ours: float, real: float) -> str:
    """A share beside that of real text, in words: none of them is praise.

    >>> compared(0.5, 0.52), compared(0.3, 0.6), compared(0.9, 0.6)
    ('as real text', 'lower than real text', 'higher than real text')
    """
    if abs(ours - real) <= max(ALIKE * real, 0.005):
        return "as real text"
    return "higher than real text" if ours > real else "lower than real text"


def _by_label(facts: Facts) -> str:
    rows = [
        [label_cell(entry.label, entry.label), f"{entry.pair.words:,}"]
        + [
            percent(getattr(entry.pair, side)[n], 0)
            for n in range(len(entry.pair.real))
            for side in ("real", "synthetic")
        ]
        for entry in facts.distinct
        if entry.label is not None
    ]
    units = ("words", "pairs", "triples")
    head = ["label", "words each", *(f"{unit},<br>{side}" for unit in units for side in ("real", "new"))]
    return folded("Different words and sequences, label by label", table(head, rows))


def likeness(names: Sequence[tuple[str, str]], facts: Facts) -> str:
    """How near to train, beside held-out text, and the two ends of the scale."""
    found, side = facts.neighbours, facts.yardstick
    edges = [step / 20 for step in range(21)]
    sides = [own for own in (side, "synthetic") if own in found.similarities]
    shares = [(SIDES[own], colour(own), _shares(found.similarities[own], edges)) for own in sides]
    drawing = figures.histogram_chart(
        edges,
        shares,
        "similarity to the nearest training sentence",
        "Share of sentences by similarity to the nearest training sentence",
    )
    caption = "Share of sentences by similarity to the nearest training sentence"
    picture = figure(caption, drawing, [(SIDES[own], colour(own)) for own in sides])
    longest = "; ".join(
        f"{SIDES[own]}: {facts.novelty[own].longest_mean or 0:.1f} words on average, "
        f"{facts.novelty[own].longest_max} at most"
        for own in sides
        if own in facts.novelty
    )
    return (
        f'<h2>Likeness to train</h2><p class="note">Cosine of weighted 2- to 4-character sequences, among '
        f"{found.searched:,} training sentences: 1 is a copy, 0 shares nothing. Far left of the held-out "
        "text is as bad as far right: no real text is there. The longest run of words that is in a training "
        f'sentence too: {longest}.</p><div class="charts">{picture}</div>'
        + folded("The new sentences most like a training sentence", _pairs(names, found.least_novel))
        + folded("The new sentences least like any training sentence", _pairs(names, found.most_novel))
    )


def _pairs(names: Sequence[tuple[str, str]], pairs: Sequence[Pair]) -> str:
    return "".join(pair(names, one) for one in pairs)


def _shares(values: Sequence[float], edges: Sequence[float]) -> list[float]:
    """Share of similarities between two edges each; the last bin takes 1.0."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[min(int(value * len(counts) + 1e-9), len(counts) - 1)] += 1
    return [count / len(values) for count in counts]


def rejections(
    counts: Tally,
    reasons: Mapping[str, str],
    rejected: Mapping[str, Sequence[str]],
    names: Sequence[tuple[str, str]],
) -> str:
    """What was not kept, and why: all labels together, then each, then examples."""
    found = [reason for reason in reasons if counts.total.reasons[reason]]
    if not found:
        return '<h2>What was not kept</h2><p class="note">Nothing was rejected.</p>'
    total, rows = counts.total, []
    for reason in sorted(found, key=lambda reason: -total.reasons[reason]):
        count = total.reasons[reason]
        share = count / max(1, total.generated)
        bar = meter(share, f"{reason_name(reason)}: {percent(share)}")
        meaning = (
            f'<b>{escape(reason_name(reason))}</b><br><span class="note">{escape(reasons[reason])}</span>'
        )
        rows.append([meaning, f"{count:,}", percent(share), bar])
    texts, by_label = dict(names), []
    for name, own in counts.labels.items():
        cells = [
            f"{own.generated:,}",
            f"{own.kept:,}",
            *(count_cell(own.reasons[reason]) for reason in found),
        ]
        by_label.append([label_cell(name, texts[name]), *cells])
    head = ["label", "generated", "kept", *(escape(reason_name(reason)) for reason in found)]
    told = table(["the sentence ...", "count", "share", ""], rows)
    return (
        '<h2>What was not kept</h2><p class="note">Every rejected sentence is counted once, under the first '
        f'reason that applies.</p><div class="card">{told}</div>'
        + folded("Label by label", table(head, by_label))
        + _rejected_texts(rejected)
    )


_EMPTY = '<span class="faint">(no text)</span>'


def _rejected_texts(rejected: Mapping[str, Sequence[str]]) -> str:
    parts = []
    for reason, texts in rejected.items():
        if texts:
            items = "".join(f"<li><bdi>{escape(text) or _EMPTY}</bdi></li>" for text in texts)
            parts.append(f'<h3>{escape(reason_name(reason))}</h3><ul class="texts">{items}</ul>')
    return folded("The first few of each reason", "".join(parts)) if parts else ""


def training(curves: Curves | None, log: str | None) -> str:
    """The loss of the training, or how to get it."""
    series = _losses(curves) if curves is not None else []
    if curves is None or not series:
        return (
            '<h2>Training</h2><p class="note">No training log was found beside the checkpoint. Train with '
            "<code>--log-format json --log-file FILE</code> and collect with <code>--train-log FILE</code> "
            "to see the loss here.</p>"
        )
    last = "; ".join(f"{name} ends at {number(own[-1][1])}" for name, _, own in series)
    drawing = figures.line_chart(series, "updates", f"Loss in bits per token over updates: {last}")
    told, best = "", best_validation(curves)
    if best is not None:
        epoch = "" if best.epoch is None else f", epoch {best.epoch}"
        perplexity = dict(curves.valid.get("ppl", ())).get(best.update)
        also = "" if perplexity is None else f" (perplexity {number(perplexity)})"
        told = (
            f"Lowest loss on the valid set: {best.loss:.3f} bits per token{also}, at update "
            f"{best.update:,}{epoch}. "
        )
    return (
        f'<h2>Training</h2><p class="note">{told}Read from <code>{escape(log or "")}</code>.</p>'
        '<div class="charts">'
        f"{figure('Loss, bits per token', drawing, [(name, css) for name, css, _ in series])}</div>"
    )


def _losses(curves: Curves) -> list[tuple[str, str, Points]]:
    """Name, css class and points of the losses that were logged."""
    sides = (("train", "training", "real"), ("valid", "validation", "valid"))
    found = [(name, css, curves.of_split(split).get("loss", [])) for split, name, css in sides]
    return [own for own in found if own[2]]
