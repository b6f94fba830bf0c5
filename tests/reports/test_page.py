"""The page: whatever a sample or a label contains, it is shown as text and asks nobody for anything."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairseq_plugin.augment.filters import tally
from fairseq_plugin.reports import facts, figures, page
from fairseq_plugin.reports.display import escape, number, percent, ratio, short, tick_texts
from fairseq_plugin.reports.training_log import Curves

HOSTILE = (
    "<script>alert(1)</script>",
    "</title></style></svg><img src=x onerror=alert(1)>",
    '"><a href="http://x.example">',
    "' onload='alert(1)",
    "url(http://x.example)",
    "a\u202egnp.exe",
    "\x00\x1b[31m",
    "&lt;b&gt;",
    "]]>",
    "<!--",
    "\u2028\ufeff",
)
REASONS = {"empty": "has no text", "duplicate": "repeats an earlier sample of its label"}
JUDGED = page.Agreement(synthetic=0.5, valid=0.9)
VOID = {"meta", "br", "img", "link"}


class Reader(HTMLParser):
    """Collects tags, attributes and text; fails on tags that do not nest."""

    def __init__(self, content):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.texts = [], set(), [], []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)


def make_report(labels, texts, curves=None, agreement=JUDGED):
    """A report in which every label and every sample is one of ``texts``."""
    real = {"train": [(0, "a real film"), (len(labels) - 1, texts[0])], "valid": [(0, "another real film")]}
    kept = [(i % len(labels), text) for i, text in enumerate(texts)]
    reasons = [None] * len(kept) + list(REASONS)
    rejected = {reason: list(texts) for reason in REASONS}
    given = [label for label, _ in kept] + [0] * len(REASONS)
    names = [name for name, _ in labels]
    return page.Report(
        name=texts[0],
        labels=labels,
        counts=tally(given, reasons, names, list(REASONS)),
        reasons=REASONS,
        curves=curves,
        log=texts[-1],
        agreement=agreement,
        facts=facts.measure([text for _, text in labels], real, kept, 7),
        rejected=rejected,
        seed=7,
        tokens=1234,
        seconds=2.0,
        provenance=[(text, text) for text in texts],
        notes=list(texts),
    )


CURVES = Curves(
    train={
        "loss": [(1, 9.0), (50, 5.5), (100, 4.0)],
        "ppl": [(1, 512.0), (100, 16.0)],
        "lr": [(1, 0.0), (100, 1e-4)],
    },
    valid={"loss": [(100, 5.0)], "ppl": [(100, 32.0)]},
)


@pytest.fixture(scope="module")
def hostile_page():
    return page.render(make_report([(text, text) for text in HOSTILE], HOSTILE, CURVES))


def test_hostile_texts_stay_texts(hostile_page):
    reader = Reader(hostile_page)
    assert not reader.tags & {"script", "img", "link", "iframe", "object", "a", "form", "base", "embed"}
    assert not [
        name
        for name, _ in reader.attributes
        if name.startswith("on") or name in ("href", "src", "xlink:href")
    ]
    shown = "".join(reader.texts)
    for text in HOSTILE[:5]:
        assert text in shown
    assert not set(hostile_page) & set("\x00\x1b\u202e\u2028\ufeff")


def test_the_page_asks_nobody_for_anything(hostile_page):
    without_texts = hostile_page
    for text in HOSTILE:
        without_texts = (
            without_texts.replace(escape(text), "")
            .replace(escape(short(text)), "")
            .replace(escape(short(text, 20)), "")
        )
    for pattern in (r"https?:", r"//", r"@import", r"url\s*\(", r"<link", r"<script", r"javascript:"):
        assert not re.search(pattern, without_texts, re.IGNORECASE), pattern
    assert "default-src 'none'" in without_texts


def test_every_drawing_is_told_in_words(hostile_page):
    drawings = re.findall(r"<svg[^>]*>", hostile_page)
    assert len(drawings) == 3 + 4
    assert all(
        'role="img"' in drawing and re.search(r'aria-label="[^"]{20,}"', drawing) for drawing in drawings
    )


def test_counts_and_reasons_are_on_the_page(hostile_page):
    for reason in REASONS:
        assert f"<b>{reason.replace('_', ' ')}</b>" in hostile_page
    assert f"<b>{len(HOSTILE) + len(REASONS)}</b> sentences were generated" in hostile_page


def test_a_page_without_curves_says_how_to_get_them():
    report = make_report([("0", "neg"), ("1", "pos")], ["a film", "the cast"])
    assert "--train-log FILE" in page.render(report)


def test_the_page_begins_with_what_cannot_be_had_by_gibberish():
    """Kept share and agreement come first, and nothing on top praises words that train does not hold."""
    labels, texts = [("0", "neg"), ("1", "pos")], ["qx zv", "wq jj kk"]
    shown = page.render(make_report(labels, texts))
    tiles = re.findall(r'<div class="tile"><b>(.*?)</b><span>(.*?)</span>', shown)
    assert tiles[0][1].startswith("kept: ") and tiles[1][0] == percent(0.5, 0) and "90" in tiles[1][1]
    assert not [told for _, told in tiles if re.search("train yet|distinct|triples|new", told)]
    assert "no classifier could be trained" in page.render(make_report(labels, texts, agreement=None))
    bad = page.Agreement(synthetic=0.5, valid=0.9, verdict="Not worth using: <b>.")
    assert '</h1><p class="lede"><b>Not worth using: &lt;b&gt;.</b>' in page.render(
        make_report(labels, texts, agreement=bad)
    )
    assert "no better than one far below" in shown  # real text is the yardstick of novelty


def test_many_labels_are_drawn_in_part_and_listed_in_full():
    labels = [(str(i), f"label {i}") for i in range(40)]
    shown = page.render(make_report(labels, [f"text {i}" for i in range(40)]))
    assert shown.count('class="bar-row"') == page.MOST_BARS and f"first {page.MOST_BARS} of 40" in shown
    assert "label 39" in shown
    Reader(shown)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=3))
@settings(max_examples=25, deadline=None)
def test_any_text_gives_a_page_of_the_same_tags(texts):
    plain = Reader(page.render(make_report([("0", "neg"), ("1", "pos")], ["a"] * len(texts))))
    found = Reader(page.render(make_report([("0", "neg"), ("1", "pos")], texts)))
    assert found.tags == plain.tags
    assert {name for name, _ in found.attributes} == {name for name, _ in plain.attributes}


@given(st.text())
def test_escaped_text_holds_no_mark_of_html(text):
    shown = escape(text)
    assert not set(shown) & set("<>\"'\n\r\t\x00")
    assert re.fullmatch(r"(?:[^&]|&(?:lt|gt|amp|quot|#x27);)*", shown)
    if text.isascii() and text.isprintable():
        reader = Reader(f"<p>{shown}</p>")
        assert "".join(reader.texts) == text


def test_numbers_read_as_a_person_writes_them():
    values = (0, 12345, 0.28311, 2e-5, 1234.5, None, 3.0)
    assert [number(value) for value in values] == ["0", "12,345", "0.283", "2e-5", "1,234", "–", "3"]
    assert (percent(0.123), percent(None), ratio(0.6), ratio(None)) == ("12.3\u00a0%", "–", "0.600", "–")


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
@example(0.0078125, 1e-6)
def test_ticks_are_few_inside_and_told_apart(low, span):
    span = max(span, 1e-5 * abs(low))
    ticks = figures.nice_ticks(low, low + span)
    assert 1 <= len(ticks) <= 7 and ticks == sorted(ticks)
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    texts = tick_texts(ticks)
    assert len(set(texts)) == len(ticks)
    assert [float(text.replace(",", "")) for text in texts] == pytest.approx(ticks, abs=0.01 * span, rel=1e-9)


POINTS = st.lists(st.tuples(st.integers(0, 10**6), st.floats(1e-9, 1e9)), min_size=1, max_size=5)


@given(st.lists(POINTS, min_size=1, max_size=2), st.booleans())
def test_every_curve_stays_inside_its_frame(curves, log_y):
    series = [("a", "real", sorted(dict(curve).items())) for curve in curves]
    drawing = figures.line_chart(series, "updates", "a picture", log_y)
    for points in re.findall(r'points="([^"]*)"', drawing):
        for point in points.split():
            x, y = map(float, point.split(","))
            assert figures.LEFT - 0.1 <= x <= figures.WIDTH - figures.RIGHT + 0.1
            assert figures.TOP - 0.1 <= y <= figures.HEIGHT - figures.BOTTOM + 0.1


def test_bars_are_as_long_as_their_counts():
    drawing = figures.stacked_bars(
        [("a", [("kept", "p", 30), ("lost", "q", 10)]), ("b", [("kept", "p", 10), ("lost", "q", 0)])]
    )
    assert re.findall(r"width:([\d.]+)%", drawing) == ["100.000", "25.000"]
    assert re.findall(r"flex:(\d+)", drawing) == ["30", "10", "10"]
