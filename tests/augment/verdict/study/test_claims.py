"""Real students on real draws: more rows of a kind are a gain; gibberish, copies, wrong labels are none."""

import pytest

from fairseq_plugin.augment.verdict.study.arms import (
    FILTERED,
    NEW,
    STUDENTS,
    SYNTHETIC,
    real_arms,
    train_and_answer,
)
from fairseq_plugin.augment.verdict.study.comparisons import GAIN, HARM, compare
from fairseq_plugin.augment.verdict.study.points import Key, Point
from fairseq_plugin.augment.verdict.study.splits import LabelledSet, draw_split
from tests.augment.made_rows import gibberish, reviews, shuffled

K, NUM_SPLITS, NEW_ROWS = 20, 5, 200
STUDENT = "bag-of-words"


@pytest.fixture(scope="module")
def whole():
    real, _ = reviews(1500, num_held=300)
    pool = list(dict.fromkeys(real["train"]))
    return LabelledSet("reviews", ["neg", "pos"], pool, real["valid"], "test.tsv", {}, {})


@pytest.fixture(scope="module")
def claims(whole):
    """``{kind of new rows: {arm: Comparison}}``."""
    cheap, student = {}, STUDENTS[STUDENT]
    makers = {
        "more": lambda split: [row for row in whole.pool if row not in split.train][:NEW_ROWS],
        "gibberish": lambda split: gibberish(split.train, 2, NEW_ROWS, right=0.1),
        "copies": lambda split: split.train * (NEW_ROWS // len(split.train)),
        "turned": lambda split: shuffled([row for row in whole.pool if row not in split.train][:NEW_ROWS]),
    }
    points = {kind: {} for kind in makers}
    for number in range(1, NUM_SPLITS + 1):
        split = draw_split(whole, K, number)
        wanted = {0: NEW_ROWS // 2, 1: NEW_ROWS // 2}
        arms = real_arms(split, wanted, student, number, None)
        key = Key(K, number, STUDENT)
        cheap[key] = Point(key, train_and_answer(student, arms, split, whole.test, number))
        for kind, make in makers.items():
            new, key = make(split), Key(K, number, STUDENT, 1.0, 1.0)
            rows = {name: [*split.train, *new] if name != SYNTHETIC else new for name in NEW}
            points[kind][key] = Point(key, train_and_answer(student, rows, split, whole.test, number))
    return {
        kind: {one.arm: one for one in compare(cheap | own, [K]).comparisons} for kind, own in points.items()
    }


def test_more_rows_of_the_same_kind_are_a_gain(claims):
    assert claims["more"][FILTERED].outcome == GAIN and claims["more"][FILTERED].gain.value > 0.03


@pytest.mark.parametrize("kind", ["gibberish", "copies", "turned"])
def test_nothing_else_is(claims, kind):
    assert all(one.outcome != GAIN for one in claims[kind].values())


def test_right_sentences_under_wrong_labels_do_harm(claims):
    assert claims["turned"][SYNTHETIC].outcome == HARM
