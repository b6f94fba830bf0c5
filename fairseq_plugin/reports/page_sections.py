"""The report's sections about the kept sentences: training, length and variety, novelty, samples."""

from collections.abc import Mapping, Sequence

from fairseq_plugin.reports import figures
from fairseq_plugin.reports.display import escape, number, percent, ratio, short
from fairseq_plugin.reports.facts import LabelDistinct, Lengths, Neighbours, Pair
from fairseq_plugin.reports.page_parts import SIDES, chip, figure, table
from fairseq_plugin.reports.statistics import Novelty
from fairseq_plugin.reports.training_log import CURVES, Curves


def training(curves: Curves | None, log: str | None) -> str:
    """Curves of the training log, or how to get them."""
    if curves is None:
        return (
            '<h2>Training</h2><p class="note">No training log was found beside the checkpoint. Train with '
            "<code>--log-format json --log-file FILE</code> and collect with <code>--train-log FILE</code> "
            "to see the curves here.</p>"
        )
    drawings = []
    for curve, title in CURVES.items():
        if curve == "nll_loss" and curves.train.get(curve) == curves.train.get("loss"):
            continue  # maximum likelihood: the same curve
        series = [
            (name, css, curves.of_split(split)[curve])
            for split, name, css in (("train", "training", "real"), ("valid", "valid", "valid"))
            if curve in curves.of_split(split)
        ]
        if not series:
            continue
        last = "; ".join(f"{name} ends at {number(points[-1][1])}" for name, _, points in series)
        drawing = figures.line_chart(series, "updates", f"{title} over updates: {last}", log_y=curve == "ppl")
        drawings.append(figure(title, drawing, [(name, css) for name, css, _ in series]))
    told = ""
    perplexities = curves.valid.get("ppl")
    if perplexities:
        update, best = min(perplexities, key=lambda point: (point[1], point[0]))
        told = f"The best perplexity on the valid set, {number(best)}, was reached at update {update:,}. "
    return (
        f'<h2>Training</h2><p class="note">{told}Read from <code>{escape(log or "")}</code>.</p>'
        f'<div class="charts">{"".join(drawings)}</div>'
    )


def variety(lengths: Lengths, distinct: Sequence[LabelDistinct], seed: int) -> str:
    """Lengths and distinct-n, side by side."""
    sides = ("real", "synthetic")
    keys = [(SIDES[side], side) for side in sides]
    median = " and ".join(f"{lengths.median[side]} in the {SIDES[side]}" for side in sides)
    shares = [(SIDES[side], side, lengths.shares[side]) for side in sides]
    by_length = figures.histogram_chart(
        lengths.edges, shares, "words per sentence", f"Share of sentences by length. Median: {median}"
    )
    everything = distinct[0]
    groups = [(SIDES[side], side, getattr(everything.pair, side)) for side in sides]
    names = ["1 word", "2 words", "3 words"]
    told = "; ".join(f"{name}: {', '.join(map(ratio, values))}" for name, _, values in groups)
    bars = figures.grouped_bars(
        names, groups, "length of the sequence", f"distinct-1, -2 and -3 of all labels, {told}"
    )
    rows = []
    for entry in [*distinct[1:], everything]:
        label = "all" if entry.label is None else f"<bdi>{escape(short(entry.label, 40))}</bdi>"
        cells = [ratio(getattr(entry.pair, side)[n]) for n in range(3) for side in sides]
        rows.append([label, f"{entry.pair.words:,}", *cells])
    head = ["label", "words each", *(f"distinct-{n}<br>{side}" for n in (1, 2, 3) for side in sides)]
    return (
        '<h2>Length and variety</h2><p class="note">The median number of words per sentence is '
        f"{median}. distinct-n is the number of different n-word sequences over all of them. It falls as a "
        "text grows, so both sides are cut to the same number of words: whole sentences in an order drawn "
        f'with seed {seed}, the last one cut.</p><div class="charts">'
        + figure("Share of sentences by length", by_length, keys)
        + figure("Different sequences of words, in per cent of all", bars, keys)
        + f'</div><div class="card">{table(head, rows, total=True)}</div>'
    )


def novelty(found: Mapping[str, Novelty], neighbours: Neighbours) -> str:
    """New sequences, copied runs and similarity, beside the real valid set."""
    sides = [side for side in ("valid", "synthetic") if side in found]
    keys = [(SIDES[side], side) for side in sides]
    groups = [(SIDES[side], side, found[side].new) for side in sides]
    names = [f"{n} word{'s' * (n > 1)}" for n in (1, 2, 3, 4)]
    told = "; ".join(f"{name}: {', '.join(map(percent, values))}" for name, _, values in groups)
    bars = figures.grouped_bars(
        names, groups, "length of the sequence", f"Share of sequences not in train, {told}"
    )
    edges = [step / 20 for step in range(21)]
    similarities = {side: _shares(neighbours.similarities[side], edges) for side in sides}
    shares = [(SIDES[side], side, similarities[side]) for side in sides]
    curve = figures.histogram_chart(
        edges,
        shares,
        "similarity to the nearest training sentence",
        "Share of sentences by similarity to train",
    )
    rows = [
        [SIDES[side], f"{own.sentences:,}", *map(percent, own.new), f"{own.longest_mean or 0:.1f} words"]
        + [f"{own.longest_max} words", percent(own.whole)]
        for side, own in ((side, found[side]) for side in sides)
    ]
    head = ["", "sentences", *(f"new<br>{name}" for name in names), "longest copied<br>run, mean"]
    head += ["longest copied<br>run of all", "copied<br>whole"]
    if "valid" in sides:
        yardstick = (
            "Random words score highest here: a figure far above that of the real sentences that were never "
            "trained on is no better than one far below. "
        )
    else:
        yardstick = (
            "There is no valid set to compare with, and without one these figures say nothing about quality. "
        )
    return (
        f'<h2>How close to train</h2><p class="note">{yardstick}A copied run is a sequence of words '
        "that is in one training sentence; &ldquo;copied whole&rdquo; is a sentence that is in one as it is, "
        'alone or as a part of it.</p><div class="charts">'
        + figure("Sequences that are not in train", bars, keys)
        + figure("Similarity to the nearest training sentence", curve, keys)
        + f'</div><div class="card">{table(head, rows)}</div>'
    )


def _shares(values: Sequence[float], edges: Sequence[float]) -> list[float]:
    """Share of similarities between two edges each; the last bin takes 1.0."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[min(int(value * len(counts) + 1e-9), len(counts) - 1)] += 1
    return [count / len(values) for count in counts]


def samples(labels: Sequence[tuple[str, str]], neighbours: Neighbours) -> str:
    """Generated sentences, each beside the real one most like it."""
    lists = [
        ("Drawn at random", neighbours.random),
        ("Least like anything in train", neighbours.most_novel),
        ("Most like something in train", neighbours.least_novel),
    ]
    parts = [
        f'<h3>{title}</h3><div class="card">{"".join(_pair(labels, pair) for pair in pairs)}</div>'
        for title, pairs in lists
    ]
    return (
        '<h2>Samples beside their nearest real sentence</h2><p class="note">Left the generated sentence, '
        f"right the most similar of {neighbours.searched:,} training sentences (cosine of weighted 2- to "
        "4-character sequences: 1 is all the same, 0 nothing).</p>" + "".join(parts)
    )


def _pair(labels: Sequence[tuple[str, str]], pair: Pair) -> str:
    similarity = pair.similarity
    return (
        f'<div class="pair"><div><div class="who">{chip(labels[pair.label][1])} generated</div>'
        f'<p><bdi>{escape(pair.text)}</bdi></p></div><div class="from"><div class="who">'
        f'{chip(labels[pair.real_label][1])} real <span class="meter" role="img" '
        f'aria-label="similarity {similarity:.2f}"><i style="width:{100 * similarity:.0f}%"></i></span> '
        f"{similarity:.2f}</div><p><bdi>{escape(pair.real_text)}</bdi></p></div></div>"
    )
