"""Words and tables in any script."""

import pytest

from fairseq_plugin.text.table import aligned, cells, isolated
from fairseq_plugin.text.words import has_spaces, words, words_as_written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's GOOD!", ["it", "'", "s", "good", "!"]),
        ("Straße 12\t\n", ["strasse", "12"]),
        (" \n", []),
        ("好电影 ok", ["好", "电", "影", "ok"]),
        ("人々がいる", ["人", "々", "が", "い", "る"]),
        ("ที่ดี", ["ที่", "ดี"]),  # marks stay with their letter
        ("हिन्दी में", ["हिन्दी", "में"]),  # vowel signs and viramas are no letters, but part of the word
        ("كَتَبَ، وقال", ["كَتَبَ", "،", "وقال"]),
        ("می\u200cروم", ["می\u200cروم"]),  # a joiner that Persian is spelt with
        ("cafe\u0301 ok", ["cafe\u0301", "ok"]),
        ("👩\u200d🎤 ❤\ufe0f👍🏽", ["👩\u200d🎤", "❤\ufe0f", "👍🏽"]),
    ],
)
def test_words_of_any_script(text, expected):
    assert words(text) == expected
    assert "".join(words_as_written(text)) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("这部电影很好", False),
        ("この映画はとても良い", False),
        ("หนังเรื่องนี้ดีมาก", False),
        ("이 영화는 정말 좋다", True),
        ("фильм очень хорош", True),
        ("a film called 你好", True),
        ("1984", True),
        ("", True),
    ],
)
def test_scripts_without_spaces_are_told_apart(text, has):
    assert has_spaces([text]) is has


def test_columns_of_a_table_stand_below_each_other_in_any_script():
    lines = aligned([["split", "好评", "ok"], ["train", "72", "1"], ["é" * 3, "8", "1"]])
    assert {cells(line) for line in lines} == {15}
    assert lines[0] == "split  好评  ok" and lines[1] == "train    72   1"


def test_words_read_from_the_right_do_not_swap_columns():
    (head, _) = aligned([["label", "سلبي", "إيجابي"], ["all", "12", "8"]])
    assert head == "label  \u2068سلبي\u2069  \u2068إيجابي\u2069"
    assert isolated("plain") == "plain"
