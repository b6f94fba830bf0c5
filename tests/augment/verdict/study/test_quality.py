"""Copies and random words each look best in some figure, and real text in no figure far from real text."""

import random

import pytest

from fairseq_plugin.augment.verdict.study.quality import REAL, measure_quality
from fairseq_plugin.augment.verdict.study.splits import read_set
from fairseq_plugin.augment.verdict.study.yardstick import Yardstick
from fairseq_plugin.text.words import words
from tests.augment.verdict.study.made_study import sentences, write_set


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    sides = [
        [*sentences(count, "a", seed), *sentences(count, "b", seed)] for count, seed in ((80, 1), (40, 2))
    ]
    whole = read_set(write_set(tmp_path_factory.mktemp("set"), *sides))
    generator, learnt = random.Random(1), whole.pool[:40] + whole.pool[-40:]
    lexicon = sorted({word for _, text in learnt for word in words(text)})
    sets = {
        REAL: whole.test,
        "copies": learnt,
        "salad": [(n % 2, " ".join(generator.sample(lexicon, 8))) for n in range(80)],
        "invented": [(label, f"{text} {text[::-1]}") for label, text in learnt],
        "one": learnt[:1] * 80,
    }
    yardstick = Yardstick.of(whole)
    return yardstick, measure_quality(sets, learnt, whole.pool, yardstick)


def test_fidelity_of_real_rows_is_the_judges_own_accuracy(found):
    yardstick, (_, _, quality) = found
    assert quality[REAL].fidelity == yardstick.accuracy > 0.9
    assert 0.2 < quality["salad"].fidelity < 0.8


def test_copies_are_faithful_and_said_to_be_copies(found):
    _, (_, _, quality) = found
    assert quality["copies"].fidelity == 1 == quality["copies"].copied
    assert quality[REAL].copied == quality["salad"].copied == 0
    assert quality["copies"].novel == 0 < quality[REAL].novel <= quality["salad"].novel


def test_random_words_are_the_most_diverse_and_one_sentence_the_least(found):
    _, (num_words, num_sentences, quality) = found
    assert num_sentences == 80 and num_words > 500
    assert quality["salad"].distinct[1] > quality[REAL].distinct[1] > quality["one"].distinct[1]
    assert quality["salad"].self_bleu < quality[REAL].self_bleu < quality["one"].self_bleu == pytest.approx(1)


def test_invented_words_are_those_of_no_real_row(found):
    _, (_, _, quality) = found
    assert quality["copies"].invented == quality["salad"].invented == 0 and quality["invented"].invented == 1
