"""Counts of characters in a row: their formula, word for word, and their sums."""

import math

import numpy as np
import pytest

from fairseq_plugin.reports.letter_counts import _Positions, _probabilities, letter_bits

TEXTS = ["the film", "a good film", "the end", "", "\x00 好"]


def literal(texts, text, order):
    """Bits of a text, by counting anew for every character; an end is one byte."""
    end = "END"
    texts, total = [[*one, end] for one in texts], 0.0
    text = [*text, end]
    for place, character in enumerate(text):
        p = 256.0 ** -(1 if character == end else len(character.encode("utf-8", "surrogatepass")))
        for length in range(min(order, place) + 1):
            context = text[place - length : place]
            places = [(one, i) for one in texts for i in range(len(one) - length)]
            after = [one[i + length] for one, i in places if one[i : i + length] == context]
            if after:
                kinds = len(set(after))
                p = (after.count(character) + kinds * p) / (len(after) + kinds)
            else:
                break
        total -= math.log2(p)
    return total


@pytest.mark.parametrize("before", [0, 1, 3, 4])
@pytest.mark.parametrize("train", [TEXTS, [""], ["aaaa"]])
def test_characters_are_counted_as_their_formula_says(train, before):
    held = ["a film", "zebra", "", "好电影", "the the", "\x00", "\ud800", "aaaaaaa"]
    expected = [literal(train, text, before) for text in held]
    assert letter_bits(train, held, before) == pytest.approx(expected)


def test_probabilities_of_what_may_come_next_add_up_to_no_more_than_one():
    held = ["ab" + character for character in map(chr, range(128))] + ["ab"]  # and its end
    positions = _Positions.of(["abcab", "bca", *held])
    probabilities = _probabilities(positions, 2, 3)
    assert 0.9 < probabilities[(positions.place_P == 2) & (positions.text_P >= 2)].sum() <= 1


def test_a_text_costs_less_the_more_is_known_before():
    rng = np.random.default_rng(0)
    text = "".join("abcdefgh"[(7 * i * i + i // 3) % 8] for i in rng.integers(0, 40, 4000))
    text = "".join(text[:200] for _ in range(20))  # it repeats
    bits = [letter_bits([text], [text[:500]], before)[0] for before in (0, 1, 2, 4)]
    assert bits == sorted(bits, reverse=True) and bits[-1] < 0.3 * bits[0]
