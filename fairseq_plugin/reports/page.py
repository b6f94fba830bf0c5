"""The report as one HTML page: no script, nothing fetched from anywhere, every text escaped."""

from fairseq_plugin.reports import figures
from fairseq_plugin.reports.display import escape, number, percent, ratio, short
from fairseq_plugin.reports.filters import REASONS
from fairseq_plugin.reports.page_style import STYLE
from fairseq_plugin.reports.training_log import CURVES

MOST_BARS = 24  # labels drawn; the table beneath lists all

# A browser that honours it refuses every script and every request, whatever a sample contains.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_SIDES = {"real": "real training set", "synthetic": "synthetic", "valid": "real valid set"}


def render(report):
    """Write the page.

    Args:
        report: dictionary with ``name`` (of the data), ``labels`` (list of ``(name, text)``), ``counts``
            (:func:`~.filters.tally`), ``facts`` (:func:`~.facts.measure`), ``curves`` (of
            :mod:`~.training_log` or None), ``log`` (its path or None), ``rejected`` (reason -> list of texts),
            ``seed``, ``tokens``, ``seconds``, ``provenance`` (list of ``(what, value)``), ``notes`` (list of texts).

    Returns:
        The page, as text.
    """
    sections = [
        _head(report),
        _counts(report),
        _training(report["curves"], report["log"]),
        _variety(report["facts"]["lengths"], report["facts"]["distinct"], report["seed"]),
        _novelty(report["facts"]["novelty"], report["facts"]["neighbours"]),
        _samples(report["labels"], report["facts"]["neighbours"]),
        _rejected(report["rejected"]),
        _provenance(report["provenance"], report["notes"]),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escape(report['name'])}: augmented set</title>\n<style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(section for section in sections if section)
        + "\n<footer>Words are runs of letters and digits, or single other characters, without regard to case. "
        "Every subset is drawn with the generation's seed, so the same input gives this same page.</footer>"
        "\n</main></body></html>\n"
    )


def table(head, rows, css="", total=False):
    """A table; cells are HTML already. The first cell of a row is its heading; ``total`` marks the last row."""
    header = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    lines = []
    for index, (first, *cells) in enumerate(rows):
        mark = ' class="total"' if total and index == len(rows) - 1 else ""
        body = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f'<tr{mark}><th scope="row">{first}</th>{body}</tr>')
    top = f"<thead><tr>{header}</tr></thead>" if head else ""
    return f'<div class="scroll"><table class="{css}">{top}<tbody>{"".join(lines)}</tbody></table></div>'


def _figure(caption, drawing, keys=()):
    return f"<figure><figcaption>{escape(caption)}</figcaption>{_key(keys)}{drawing}</figure>"


def _key(entries):
    """A legend: list of ``(name, css class)``."""
    if not entries:
        return ""
    return f'<div class="key">{"".join(f"<span><i class={css}></i>{escape(name)}</span>" for name, css in entries)}</div>'


def _head(report):
    counts, facts = report["counts"], report["facts"]
    kept_share = counts["kept"] / counts["generated"]
    novelty = facts["novelty"]
    yardstick = f" (real valid set: {percent(novelty['valid']['new'][2], 0)})" if "valid" in novelty else ""
    rate = report["tokens"] / report["seconds"] if report["seconds"] else None
    distinct = facts["distinct"][0]
    tiles = [
        (number(counts["kept"]), f"sentences kept, {percent(kept_share)} of {counts['generated']:,}"),
        (number(counts["rejected"]), "rejected, each under one reason"),
        (number(counts["reasons"]["duplicate"]), "duplicates of an earlier sample"),
        (percent(novelty["synthetic"]["new"][2], 0), f"of 3-word sequences stand nowhere in train{yardstick}"),
        (ratio(distinct["synthetic"][1]), f"distinct-2 (real training set: {ratio(distinct['real'][1])})"),
        (number(rate), "tokens generated per second"),
    ]
    boxes = "".join(f'<div class="tile"><b>{value}</b><span>{text}</span></div>' for value, text in tiles)
    return (
        f'<p class="eyebrow">Augmented set</p><h1>{escape(report["name"])}</h1>'
        f'<p class="lede"><b>{counts["generated"]:,}</b> sentences were generated for {len(report["labels"])} labels '
        f"with seed {report['seed']}. <b>{counts['kept']:,}</b> of them are kept and {counts['rejected']:,} are not; "
        f'this page tells why, and what the kept ones are like.</p><div class="tiles">{boxes}</div>'
    )


def _counts(report):
    counts = report["counts"]
    found = [reason for reason in REASONS if counts["reasons"][reason]]
    texts = dict(report["labels"])
    bars = [
        (texts[name], [("kept", "p-kept", own["kept"])] + [(_plain(r), f"p-{r}", own["reasons"][r]) for r in found])
        for name, own in counts["labels"].items()
    ]
    colours = "".join(f".p-{part}{{background:var(--r-{part})}}" for part in REASONS)
    rows = []
    for name, own in [*counts["labels"].items(), (None, counts)]:
        label = "all" if name is None else _label(name, texts[name])
        cells = [f"{own['generated']:,}", f"{own['kept']:,}", percent(own["kept"] / max(1, own["generated"]))]
        rows.append([label, *cells, *(_count(own["reasons"][reason]) for reason in found)])
    hidden = f'<p class="note">The first {MOST_BARS} of {len(bars)} labels are drawn.</p>' if len(bars) > MOST_BARS else ""
    meaning = "".join(f"<li><b>{_plain(reason)}</b>: the sample {REASONS[reason]}</li>" for reason in found)
    keys = [("kept", "p-kept")] + [(_plain(reason), f"p-{reason}") for reason in found]
    return (
        f"<style>.p-kept{{background:var(--kept)}}{colours}</style><h2>What was kept, and what was not</h2>"
        f'<div class="card">{_key(keys)}{figures.stacked_bars(bars[:MOST_BARS])}{hidden}'
        + table(["label", "generated", "kept", "share", *map(_plain, found)], rows, total=True)
        + (f'<ul class="meaning note">{meaning}</ul>' if found else '<p class="note">Nothing was rejected.</p>')
        + "</div>"
    )


def _plain(reason):
    return reason.replace("_", " ")


def _count(count):
    return f"{count:,}" if count else '<span class="zero">0</span>'


def _label(name, text):
    shown = f"<bdi>{escape(short(text, 40))}</bdi>"
    return shown if name == text else f'{shown} <span class="zero">({escape(short(name, 20))})</span>'


def _training(curves, log):
    if curves is None:
        return (
            '<h2>Training</h2><p class="note">No training log was found beside the checkpoint. Train with '
            "<code>--log-format json --log-file FILE</code> and collect with <code>--train-log FILE</code> "
            "to see the curves here.</p>"
        )
    drawings = []
    for curve, title in CURVES.items():
        if curve == "nll_loss" and curves["train"].get(curve) == curves["train"].get("loss"):
            continue  # maximum likelihood: the same curve
        series = [
            (name, css, curves[split][curve])
            for split, name, css in (("train", "training", "real"), ("valid", "valid", "valid"))
            if curve in curves[split]
        ]
        if not series:
            continue
        last = "; ".join(f"{name} ends at {number(points[-1][1])}" for name, _, points in series)
        drawing = figures.line_chart(series, "updates", f"{title} over updates: {last}", log_y=curve == "ppl")
        drawings.append(_figure(title, drawing, [(name, css) for name, css, _ in series]))
    told = ""
    perplexities = curves["valid"].get("ppl")
    if perplexities:
        update, best = min(perplexities, key=lambda point: (point[1], point[0]))
        told = f"The best perplexity on the valid set, {number(best)}, was reached at update {update:,}. "
    return (
        f'<h2>Training</h2><p class="note">{told}Read from <code>{escape(log)}</code>.</p>'
        f'<div class="charts">{"".join(drawings)}</div>'
    )


def _variety(lengths, distinct, seed):
    """Lengths and distinct-n, side by side."""
    sides = ("real", "synthetic")
    keys = [(_SIDES[side], side) for side in sides]
    median = " and ".join(f"{lengths['median'][side]} in the {_SIDES[side]}" for side in sides)
    shares = [(_SIDES[side], side, lengths["shares"][side]) for side in sides]
    by_length = figures.histogram_chart(
        lengths["edges"], shares, "words per sentence", f"Share of sentences by length. Median words: {median}"
    )
    everything = distinct[0]
    groups = [(_SIDES[side], side, everything[side]) for side in sides]
    names = ["1 word", "2 words", "3 words"]
    told = "; ".join(f"{name}: {', '.join(map(ratio, values))}" for name, _, values in groups)
    bars = figures.grouped_bars(names, groups, "length of the sequence", f"distinct-1, -2 and -3 of all labels, {told}")
    rows = []
    for entry in [*distinct[1:], everything]:
        label = "all" if entry["label"] is None else f"<bdi>{escape(short(entry['label'], 40))}</bdi>"
        cells = [ratio(entry[side][n]) for n in range(3) for side in sides]
        rows.append([label, f"{entry['words']:,}", *cells])
    head = ["label", "words each", *(f"distinct-{n}<br>{side}" for n in (1, 2, 3) for side in sides)]
    return (
        '<h2>Length and variety</h2><p class="note">The median number of words per sentence is '
        f"{median}. distinct-n is the number of different n-word sequences over all of them. It falls as a text grows, so "
        "both sides are cut to the same number of words: whole sentences in an order drawn with "
        f'seed {seed}, the last one cut.</p><div class="charts">'
        + _figure("Share of sentences by length", by_length, keys)
        + _figure("Different sequences of words, in per cent of all", bars, keys)
        + f'</div><div class="card">{table(head, rows, total=True)}</div>'
    )


def _novelty(novelty, neighbours):
    sides = [side for side in ("valid", "synthetic") if side in novelty]
    keys = [(_SIDES[side], side) for side in sides]
    groups = [(_SIDES[side], side, novelty[side]["new"]) for side in sides]
    names = [f"{n} word{'s' * (n > 1)}" for n in (1, 2, 3, 4)]
    told = "; ".join(f"{name}: {', '.join(map(percent, values))}" for name, _, values in groups)
    bars = figures.grouped_bars(names, groups, "length of the sequence", f"Share of sequences not in train, {told}")
    edges = [step / 20 for step in range(21)]
    shares = [
        (_SIDES[side], side, [_share(neighbours["similarities"][side], low, low + 0.05) for low in edges[:-1]])
        for side in sides
    ]
    curve = figures.histogram_chart(
        edges, shares, "similarity to the nearest training sentence", "Share of sentences by similarity to train"
    )
    rows = [
        [_SIDES[side], f"{own['sentences']:,}", *map(percent, own["new"]), f"{own['longest_mean']:.1f} words"]
        + [f"{own['longest_max']} words", percent(own["whole"])]
        for side, own in ((side, novelty[side]) for side in sides)
    ]
    head = ["", "sentences", *(f"new<br>{name}" for name in names), "longest copied<br>run, mean"]
    head += ["longest copied<br>run of all", "copied<br>whole"]
    yardstick = "Real sentences that were never trained on are the yardstick. " if "valid" in sides else ""
    return (
        f'<h2>Novelty</h2><p class="note">How much of the text is not simply train again? {yardstick}A copied run is a sequence '
        "of words that stands in one training sentence; &ldquo;copied whole&rdquo; is a sentence that stands in one as it is, "
        'alone or as a part of it.</p><div class="charts">'
        + _figure("Sequences that stand nowhere in train", bars, keys)
        + _figure("Similarity to the nearest training sentence", curve, keys)
        + f'</div><div class="card">{table(head, rows)}</div>'
    )


def _share(values, low, high):
    """Share of similarities in [low, high); the last bin takes 1.0."""
    last = high > 0.999
    return sum(low - 1e-9 <= value < high - 1e-9 or last and value >= high - 1e-9 for value in values) / len(values)


def _samples(labels, neighbours):
    lists = [
        ("Drawn at random", neighbours["random"]),
        ("Least like anything in train", neighbours["most_novel"]),
        ("Most like something in train", neighbours["least_novel"]),
    ]
    parts = [
        f'<h3>{title}</h3><div class="card">{"".join(_pair(labels, pair) for pair in pairs)}</div>'
        for title, pairs in lists
    ]
    return (
        '<h2>Samples beside their nearest real sentence</h2><p class="note">Left the generated sentence, right the most '
        f"similar of {neighbours['searched']:,} training sentences (cosine of weighted 2- to 4-character "
        "sequences: 1 is all the same, 0 nothing).</p>" + "".join(parts)
    )


def _pair(labels, pair):
    similarity = pair["similarity"]
    return (
        f'<div class="pair"><div><div class="who">{_chip(labels, pair["label"])} generated</div>'
        f'<p><bdi>{escape(pair["text"])}</bdi></p></div><div class="from"><div class="who">'
        f'{_chip(labels, pair["real_label"])} real <span class="meter" role="img" '
        f'aria-label="similarity {similarity:.2f}"><i style="width:{100 * similarity:.0f}%"></i></span> {similarity:.2f}'
        f'</div><p><bdi>{escape(pair["real_text"])}</bdi></p></div></div>'
    )


def _chip(labels, index):
    return f'<span class="chip"><bdi>{escape(labels[index][1])}</bdi></span>'


def _rejected(rejected):
    parts = [
        f"<h3>{_plain(reason)}</h3><ul class=\"texts\">{''.join(f'<li><bdi>{escape(t) or _EMPTY}</bdi></li>' for t in texts)}</ul>"
        for reason, texts in rejected.items()
        if texts
    ]
    if not parts:
        return ""
    return f'<h2>A look at what was rejected</h2><details class="card"><summary>The first few of each reason</summary>{"".join(parts)}</details>'


_EMPTY = '<span class="zero">(no text)</span>'


def _provenance(provenance, notes):
    rows = [[escape(what), f"<code>{escape(str(value))}</code>"] for what, value in provenance]
    told = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f'<h2>Where it comes from</h2>{told}<div class="card">{table([], rows, css="plain")}</div>'
