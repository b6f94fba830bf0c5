"""Documents and splits: every character stays, and each begins where it should."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.corpus.documents import cut_by_share, find_documents, lines_of, looks_like_wikitext
from tests.corpus.made_text import wiki

MODES = ("file", "blank-lines", "line", "wikitext")
LINES = ("a", " = T = ", " = = S = = ", " ", "", "\r", "\u2028", "b\rc", "\x0c", "word " * 3)
TEXTS = st.lists(st.sampled_from(LINES), min_size=1, max_size=14).map("\n".join)


def blocks_of(text, size):
    return [text[start : start + size] for start in range(0, len(text), size)]


def documents(text, mode, size=7):
    """The documents of a text that arrives in blocks."""
    found = []
    for stretch, new in find_documents(blocks_of(text, size), mode):
        if new:
            found.append("")
        found[-1] += stretch
    return found


def documents_oracle(text, mode):
    """The same, line by line over the whole text."""
    pieces = text.split("\n")
    lines = [line + "\n" for line in pieces[:-1]] + [line for line in pieces[-1:] if line]
    found = []
    for number, line in enumerate(lines):
        before_is_blank = number == 0 or lines[number - 1].strip() == ""
        heading = (
            line.rstrip("\r\n").startswith(" = ") and line[3] != "=" and line.rstrip("\r\n").endswith(" = ")
        )
        starts = {
            "file": False,
            "line": line.strip() != "",
            "blank-lines": line.strip() != "" and before_is_blank,
            "wikitext": heading and before_is_blank,
        }[mode]
        if not found or (starts and found[-1].strip()):
            found.append("")
        found[-1] += line
    return found


@settings(max_examples=300, deadline=None)
@given(text=TEXTS.filter(bool), mode=st.sampled_from(MODES), size=st.integers(1, 30))
def test_documents_are_those_of_a_literal_reading(text, mode, size):
    assert documents(text, mode, size) == documents_oracle(text, mode)


def test_documents_of_each_kind():
    text = "\n = A = \n\nx\n = no heading = \n = = B = = \n\ny\n\n = C = \n"
    assert documents(text, "file") == [text]
    assert documents(text, "wikitext") == [text[: text.index(" = C")], " = C = \n"]
    assert documents(text, "blank-lines") == [
        "\n = A = \n\n", "x\n = no heading = \n = = B = = \n\n", "y\n\n", " = C = \n",
    ]  # fmt: skip
    assert documents("a\n\n\nb\rc\u2028d\ne", "line") == ["a\n\n\n", "b\rc\u2028d\n", "e"]


def test_a_long_document_comes_in_stretches(monkeypatch):
    monkeypatch.setattr("fairseq_plugin.corpus.documents.STRETCH", 100)
    stretches = list(find_documents(blocks_of(wiki(3), 50), "wikitext"))
    assert max(len(text) for text, _ in stretches) < 300
    assert sum(new for _, new in stretches) == 3
    assert "".join(text for text, _ in stretches) == wiki(3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (wiki(1), True), ("\n\n = T = \n", True), (" = T = ", True), (" = = S = = \n", False),
        ("text\n = T = \n", False), ("== T ==\n", False), ("\n \n", False), (" =  = \n", False),
    ],
)  # fmt: skip
def test_wikitext_is_told_by_its_first_heading(text, expected):
    assert looks_like_wikitext([text]) is expected


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=40), size=st.integers(1, 9))
def test_lines_end_at_newlines_only(text, size):
    lines = list(lines_of(blocks_of(text, size)))
    assert "".join(lines) == text
    assert all("\n" not in line[:-1] for line in lines)
    assert all(line.endswith("\n") for line in lines[:-1])


def parts(text, shares, mode="file", size=1 << 20):
    """``{split: [documents]}`` of a text that is cut by share."""
    found = {}
    at_lines, total = mode == "file", len(text.encode())
    for split, stretch, new in cut_by_share(
        find_documents(blocks_of(text, size), mode), shares, total, at_lines
    ):
        if new:
            found.setdefault(split, []).append("")
        found[split][-1] += stretch
    return found


THREE = {"train": 0.6, "valid": 0.2, "test": 0.2}


@settings(max_examples=300, deadline=None)
@given(
    text=st.lists(st.text(max_size=9), min_size=1, max_size=30).map("\n".join).filter(bool),
    size=st.integers(1, 40),
)
def test_a_single_document_is_cut_after_the_first_newline_past_each_share(text, size):
    found = parts(text, THREE, size=size)
    assert "".join(document for part in found.values() for document in part) == text
    content, start = text.encode(), 0
    expected = []
    for limit in (0.6, 0.8, 1.0):
        newline = content.find(b"\n", max(math.ceil(limit * len(content)) - 1, start))
        end = len(content) if limit == 1.0 or newline < 0 else newline + 1
        if start < end:
            expected.append([content[start:end].decode()])
        start = end
    assert list(found.values()) == expected


def test_articles_stay_whole():
    """Each split ends where the first article begins at or after its share."""
    text = wiki(20)
    articles, total = documents(text, "wikitext"), len(text)
    starts = [sum(map(len, articles[:number])) for number in range(20)]
    train = next(number for number in range(20) if starts[number] >= 0.6 * total)
    valid = next(number for number in range(20) if starts[number] >= 0.8 * total)
    found = parts(text, THREE, "wikitext", size=100)
    assert found == {"train": articles[:train], "valid": articles[train:valid], "test": articles[valid:]}


def test_a_split_without_a_place_does_not_occur():
    assert list(parts("one line only", THREE)) == ["train"]
    assert list(parts(wiki(3), THREE, "wikitext")) == ["train", "valid"]
