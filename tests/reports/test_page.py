"""The page: whatever a sample or a label contains, it is shown as text and asks nobody for anything."""

import dataclasses
import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairseq_plugin.augment.filters.chain import tally
from fairseq_plugin.reports import facts, figures, page, page_first, page_sections
from fairseq_plugin.reports.display import escape, number, percent, ratio, tick_texts
from fairseq_plugin.reports.opinions import (
    Arm,
    Bin,
    Calibration,
    DoubtfulRow,
    Fidelity,
    LabelFidelity,
    Verdict,
)
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


def make_report(labels, texts, curves=None, **given):
    """A report in which every label and every sample is one of ``texts``."""
    real = {"train": [(0, "a real film"), (len(labels) - 1, texts[0])], "valid": [(0, "another real film")]}
    kept = [(i % len(labels), text) for i, text in enumerate(texts)]
    reasons = [None] * len(kept) + list(REASONS)
    of = [label for label, _ in kept] + [0] * len(REASONS)
    fidelity = Fidelity(0.5, 0.9, [LabelFidelity((i + 1) / len(labels), 0.9) for i in range(len(labels))])
    report = page.Report(
        name=texts[0],
        labels=labels,
        counts=tally(of, reasons, [name for name, _ in labels], list(REASONS)),
        reasons=REASONS,
        verdict=Verdict("no gain", f"No gain: {texts[0]}", texts[0], [Arm(texts[0], 9, 0.5, 0.4, 0.6)]),
        fidelity=fidelity,
        curves=curves,
        log=texts[-1],
        facts=facts.measure([text for _, text in labels], real, kept, 7),
        rejected={reason: list(texts) for reason in REASONS},
        seed=7,
        tokens=1234,
        seconds=2.0,
        provenance=[(text, text) for text in texts],
        notes=list(texts),
        calibrations=[Calibration(texts[0], 9, 0.5, 0.7, [Bin(0.6, 0.5, 9)])],
        doubtful=[DoubtfulRow(text, text, 0.1, text, 0.9) for text in texts],
    )
    return dataclasses.replace(report, **given)


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
        without_texts = without_texts.replace(escape(text), "")
    for pattern in (r"https?:", r"//", r"@import", r"url\s*\(", r"<link", r"<script", r"javascript:"):
        assert not re.search(pattern, without_texts, re.IGNORECASE), pattern
    assert "default-src 'none'" in without_texts


def test_every_drawing_is_told_in_words(hostile_page):
    drawings = re.findall(r"<svg[^>]*>", hostile_page)
    assert len(drawings) == 4  # lengths, likeness, calibration, loss
    assert all(
        'role="img"' in drawing and re.search(r'aria-label="[^"]{20,}"', drawing) for drawing in drawings
    )


def test_counts_and_reasons_are_on_the_page(hostile_page):
    for reason in REASONS:
        assert f"<b>{reason.replace('_', ' ')}</b>" in hostile_page
    total = len(HOSTILE) + len(REASONS)
    assert f"<b>{len(HOSTILE)}</b><span>kept of {total} generated" in hostile_page
    asked = page.render(make_report([("a", "a"), ("b", "b")], ["one", "two"], asked=5))
    assert "<b>2</b><span>kept of 5 asked for, and of 4 generated" in asked


def test_a_page_without_curves_says_how_to_get_them():
    report = make_report([("0", "neg"), ("1", "pos")], ["a film", "the cast"])
    assert "--train-log FILE" in page.render(report)


TWO = [("0", "neg"), ("1", "pos")]


def test_what_decides_comes_first_and_where_it_comes_from_last():
    """The order in which a person reads."""
    shown = page.render(make_report(TWO, ["a film", "the cast"], CURVES))
    order = ["No gain:", "read by a judge as the label", "kept of", "Do the labels fit?", "nearest to each"]
    order += [
        "Lengths",
        "Diversity",
        "Likeness",
        "What was not kept",
        "How far the judges",
        "to look at again",
    ]
    order += ["<h2>Training", "Where it comes from"]
    places = [shown.index(words) for words in order]
    assert places == sorted(places)
    assert "<details" in shown[places[-1] :]  # hashes and versions are folded
    without = make_report(TWO, ["a film"], verdict=None, fidelity=None, calibrations=(), doubtful=())
    shown = page.render(without)
    assert "Nobody has judged" in shown and "no classifier could be trained" in shown
    assert "How far the judges" not in shown and "to look at again" not in shown


def test_nothing_praises_gibberish():
    """Random words are new, and varied: the page holds them against real text that was not trained on."""
    train = [(0, f"the film {i} is good and the cast {i % 7} is fine") for i in range(60)]
    valid = [(0, f"the cast {i} is good and the film {i % 5} is fine") for i in range(30)]
    gibberish = [(0, " ".join(f"{letter}x{i}" for letter in "abcdefgh")) for i in range(30)]
    measured = facts.measure(["pos"], {"train": train, "valid": valid}, gibberish, 1)
    shown = page_sections.diversity(measured, 1)
    assert shown.count("higher than real text") >= 6 and "Random words" in shown.replace("random", "Random")
    alike = facts.measure(["pos"], {"train": train, "valid": valid}, valid, 1)
    assert "higher than" not in page_sections.diversity(alike, 1)
    assert "lower than" not in page_sections.diversity(alike, 1)
    first = page.render(make_report(TWO, ["qx zv", "wq jj kk"])).split("<h2>Lengths")[0]
    assert not re.search("not in train|different words|distinct|triples|unique", first)


def test_without_held_out_text_the_page_says_that_it_has_no_yardstick_for_novelty():
    measured = facts.measure(["pos"], {"train": [(0, "a film"), (0, "a cast")]}, [(0, "a plot")], 1)
    assert measured.yardstick == "train" and set(measured.novelty) == {"synthetic"}
    shown = page_sections.diversity(measured, 1)
    assert "No real text is held out" in shown and "not in train" not in shown


def test_every_label_has_its_fidelity_its_judges_accuracy_and_its_count():
    shown = page.render(make_report(TWO, ["a film", "the cast", "a plot"]))
    table = shown.split("Do the labels fit?")[1].split("</table>")[0]
    assert "neg" in table and "pos" in table and table.count("90\u00a0%</td>") == 2
    assert "50\u00a0%</td>" in table and "100\u00a0%</td>" in table
    assert "2 <small>of 4</small>" in table and "1 <small>of 1</small>" in table


def test_of_many_labels_those_that_fit_least_are_in_sight_and_all_can_be_opened():
    labels = [(str(i), f"label {i}") for i in range(60)]
    shown = page.render(make_report(labels, [f"text {i}" for i in range(60)]))
    sight, _, folded = shown.split("Do the labels fit?")[1].partition("<details")
    assert sight.count('class="label"') == page_first.MOST_LABELS == len(re.findall("label [0-7]<", sight))
    assert "All 60 labels" in folded and folded.count("label 59<") >= 1
    Reader(shown)


def test_labels_are_not_clipped():
    long = "a label that goes on and on, " * 5
    shown = page.render(make_report([(long, long), ("ليبل", "標籤")], ["a film", "the cast"]))
    assert long in shown and "標籤" in shown and "ليبل" in shown
    assert "text-overflow" not in shown


def test_eight_samples_stand_beside_their_nearest_real_rows():
    texts = [f"sentence {i} about a film" for i in range(30)]
    for num_labels, expected in ((1, 8), (2, 8), (7, 8), (20, 8)):
        labels = [(str(i), f"label {i}") for i in range(num_labels)]
        report = make_report(labels, texts)
        pairs = report.facts.neighbours.examples
        assert len(pairs) == expected and len({pair.label for pair in pairs}) == min(num_labels, 8)
        assert page.render(report).split("<h2>Lengths")[0].count("nearest real row") == expected
    assert report.facts == make_report(labels, texts).facts  # the same samples every time
    few = facts.by_turns([(0, "a"), (0, "b"), (0, "c"), (1, "d")], 8, 1)
    assert few == [(0, "a"), (0, "b"), (0, "c"), (1, "d")]


def test_training_is_one_panel_of_the_loss_whose_axis_holds_zero():
    shown = page.render(make_report(TWO, ["a film"], CURVES)).split("<h2>Training")[1]
    assert shown.count("<svg") == 1 and "learning rate" not in shown
    assert "Lowest loss on the valid set: 5.000" in shown and "perplexity 32" in shown
    noisy = [(i, 4.0 + 0.01 * (i % 2)) for i in range(50)]
    drawing = figures.line_chart([("a", "real", noisy)], "updates", "noise")
    heights = [float(point.split(",")[1]) for point in re.search('points="([^"]*)"', drawing)[1].split()]
    assert max(heights) - min(heights) < 0.01 * figures.HEIGHT


def test_a_judge_that_is_right_as_often_as_it_says_is_on_the_line():
    drawing = figures.reliability_chart([(0.1, 0.1, 5), (0.9, 0.9, 50)], "reliable")
    ends = [tuple(map(float, end.split(","))) for end in re.search('points="([^"]*)"', drawing)[1].split()]
    (left, bottom), (right, top) = ends
    for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', drawing):
        along = (float(x) - left) / (right - left)
        assert float(y) == pytest.approx(bottom + along * (top - bottom), abs=0.2)


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


@given(st.lists(POINTS, min_size=1, max_size=2))
def test_every_curve_stays_inside_its_frame(curves):
    series = [("a", "real", sorted(dict(curve).items())) for curve in curves]
    drawing = figures.line_chart(series, "updates", "a picture")
    for points in re.findall(r'points="([^"]*)"', drawing):
        for point in points.split():
            x, y = map(float, point.split(","))
            assert figures.LEFT - 0.1 <= x <= figures.WIDTH - figures.RIGHT + 0.1
            assert figures.TOP - 0.1 <= y <= figures.HEIGHT - figures.BOTTOM + 0.1
