"""``report.html``: one plain sentence first, every figure beside counts, no text can break the page."""

import math
import re
from html.parser import HTMLParser

import pytest

from fairseq_plugin.augment.verdict.by_labels import Verdict
from fairseq_plugin.corpus.prepare import Request, prepare
from fairseq_plugin.imitation.learnt import Learnt, _last, measure_learnt
from fairseq_plugin.imitation.page import ImitationReport, render
from fairseq_plugin.imitation.written import measure_written
from fairseq_plugin.reports.letter_counts import letter_bits
from fairseq_plugin.reports.markdown import quote, unquote
from fairseq_plugin.reports.sample_book import SampleBook
from fairseq_plugin.reports.training_log import Curves

HOSTILE = "<script>alert(1)</script> & \u202e\x00 *b* \\ `c`\n1. <b>no prompt</b>"


def learnt(model=1.5, five=1.6, is_worth_using=True):
    sentence = "The model has learnt context." if is_worth_using else "Not worth using: hardly any context."
    return Learnt(
        model, {1: 3.2, 5: five}, 1000, 5.2, Verdict(sentence, is_worth_using), {"train": 0.3, "valid": 0.3}
    )


@pytest.fixture
def report(tmp_path):
    """``report(changes)``: all that the page shows, every text hostile."""

    def make(**changes):
        book = SampleBook(tmp_path / "samples.md")
        for update in (10, 20, 30):
            book.write(
                update=update, epoch=1, samples=[(HOSTILE, f"{HOSTILE} {update} {way}") for way in "ab"]
            )
        given = {
            "name": HOSTILE,
            "learnt": learnt(),
            "written": [measure_written("temperature 0.8", [(HOSTILE, HOSTILE)], {"alert"})],
            "entries": book.entries(),
            "curves": Curves(
                train={"loss": [(10, 9.0), (20, 7.0)]},
                valid={"loss": [(10, 8.0), (20, 6.0)]},
                epochs=[(10, 0.5), (20, 1.0)],
            ),
            "provenance": {"text": HOSTILE},
        }
        return ImitationReport(**{**given, **changes})

    return make


class _Tags(HTMLParser):
    """Opened and closed tags of a page."""

    VOID = frozenset({"meta", "line", "polyline", "polygon", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_no_text_breaks_the_page(report):
    page, tags = render(report()), _Tags()
    tags.feed(page)
    assert tags.open == [] and not tags.seen & {"script", "link", "img", "iframe"}
    assert page.count("default-src 'none'") == 1 and not re.search("https?://", page)
    assert page.count("&lt;script&gt;") >= 5 and "\u202e" not in page


@pytest.mark.parametrize(
    ("found", "tone", "told"),
    [
        (
            learnt(1.5, 1.6),
            "good",
            "has learnt more than 5 characters in a row tell: 1.50 nats per character",
        ),
        (learnt(1.7, 1.6), "fair", "has not yet learnt what counts of 5 characters in a row know"),
        (learnt(1.5, 1.6, False), "bad", "Not worth using: hardly any context."),
    ],
)
def test_the_first_sentence_says_what_was_learnt(report, found, tone, told):
    page = render(report(learnt=found))
    first = re.search(r'<p class="verdict (\w+)">.*?<b>(.*?)</b>', page)
    assert first[1] == tone and told in first[2]


def test_what_is_missing_is_left_out(report):
    page = render(report(entries=[], curves=Curves()))
    assert "While it learnt" not in page and "Training</h2>" not in page and "What it writes" in page


def test_the_rivals_of_the_model_are_counts_of_the_same_splits(tmp_path):
    text = "".join(f"line {number % 7} of the book, again and again {number}\n" for number in range(400))
    (tmp_path / "a.txt").write_text(text)
    prepare(
        Request(
            str(tmp_path / "a.txt"), str(tmp_path / "data"), split=(0.9, 0.1), codec="bytes", vocab_size=300
        )
    )
    found = measure_learnt(tmp_path / "data", bits=2.0)
    cut = len(text) - len(text[int(0.9 * len(text)) :].partition("\n")[2])
    splits = [
        (text[:place], text[place:]) for place in range(cut - 200, cut + 200) if text[place - 1] == "\n"
    ]
    rivals = [letter_bits([train], [valid], 4)[0] * math.log(2) / len(valid) for train, valid in splits]
    assert any(found.counts[5] == pytest.approx(rival) for rival in rivals)
    assert found.counts[5] < found.counts[1] < 5
    assert found.model == pytest.approx(2.0 * found.nats_per_bit["valid"])


def test_only_the_last_of_a_long_text_is_counted():
    assert _last(["abc", "def"], 4) == ["c", "def"] and _last(["abc", "def"], 99) == ["abc", "def"]
    assert _last(["abc", "def"], 3) == ["def"]


def test_the_best_sample_has_words_and_does_not_repeat_itself():
    vocabulary = {"the", "cat", "sees", "a", "king", "and", "river"}
    samples = [
        ("", "the cat the cat the cat the cat the cat"),
        ("p", "the cat sees a king and a river"),
        ("", "xq zz"),
    ]
    found = measure_written("temperature 1", samples, vocabulary)
    assert found.best == samples[1] and found.num == 3
    assert found.known == pytest.approx(18 / 20) and 0 < found.repeated < 1
    assert measure_written("nothing", [("", " ")], vocabulary).known is None


@pytest.mark.parametrize(
    "sample",
    [
        ("To be,", " or *not*\nto be"),
        ("two\nlines", "\nand more"),
        ("", "no prompt"),
        ("# head", "1. one\n- two\n2) three\n  indented \\"),
        ("<b>x</b>", "</b> <b>y</b> &nbsp; &#35;"),
        ("ends in a line\n", "then"),
    ],
)
def test_a_quoted_sample_is_read_back(sample):
    assert "".join(unquote(quote(*sample))) == "".join(sample)


def test_empty_lines_are_counted_and_not_shown(report):
    page = render(report(written=[measure_written("temperature 1", [("p", "a" + "\n" * 40 + "b")], {"a"})]))
    assert "(39 empty lines)" in page and "\n\n\n\n\n" not in page
