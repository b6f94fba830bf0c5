"""New rows that help are said to, and nothing else is: gibberish, wrong labels and copies never pass."""

import json

import numpy as np
import pytest

from fairseq_plugin.augment.verdict.arms import TAUGHT
from fairseq_plugin.augment.verdict.held_rows import FOLDS
from fairseq_plugin.augment.verdict.quick import (
    DO_NOT_USE,
    NO_GAIN,
    UNCHECKED,
    USE,
    describe,
    judge_rows,
)
from fairseq_plugin.errors import UserError
from scripts.reviews import LABELS
from tests.augment.made_rows import by_subject, gibberish, reviews, shuffled


@pytest.fixture(scope="module")
def world():
    return reviews(100)


def test_rows_of_the_same_kind_are_worth_using(world):
    real, more = world
    found = judge_rows(LABELS, real, more)
    assert found.outcome == USE and found.sentence.startswith("Use this: ")
    assert found.gain.interval[0] > 0.05 and found.measured_on == "valid" and found.rows == 300
    assert "checkpoint was chosen by these rows" in describe(found)[0]


@pytest.mark.parametrize("right", [0.0, 0.1])
def test_gibberish_beside_ten_rows_per_class_is_not(right):
    names, real = by_subject(10, 400)
    found = judge_rows(names, real, gibberish(real["train"], len(names), 400, right))
    assert found.outcome == DO_NOT_USE and found.sentence.startswith("Do not use this: ")
    assert found.change.interval[1] < 0 and found.measured_on == "test"


def test_gibberish_in_two_classes_is_not(world):
    real, _ = world
    assert judge_rows(LABELS, real, gibberish(real["train"], 2, 1000)).outcome == DO_NOT_USE


def test_right_sentences_under_wrong_labels_are_not(world):
    real, more = world
    assert judge_rows(LABELS, real, shuffled(more)).outcome == DO_NOT_USE


@pytest.mark.parametrize("times", [1, 10])
@pytest.mark.parametrize("num_train", [20, 100])
def test_copies_of_train_are_no_gain(num_train, times):
    real, _ = reviews(num_train)
    found = judge_rows(LABELS, real, real["train"] * times)
    assert found.outcome == NO_GAIN and abs(found.gain.value) < 0.02


def test_copies_of_what_measures_are_left_out_and_counted(world):
    real, more = world
    copies = [(label, text.upper()) for label, text in real["valid"]]
    assert judge_rows(LABELS, real, more + copies).copies == len(copies)
    assert judge_rows(LABELS, real, copies).outcome == DO_NOT_USE


def test_rows_that_the_model_has_read_prove_no_gain(world):
    """Where too little is held out, folds of train measure; good rows look good, and no gain is claimed."""
    real, more = world
    found = judge_rows(LABELS, {"train": real["train"], "valid": real["valid"][:20]}, more)
    assert found.measured_on == FOLDS and found.rows == 100 and found.gain.is_above
    assert found.outcome == NO_GAIN and "Hold out more rows" in found.sentence


def test_harm_shows_in_folds_too(world):
    real, more = world
    train = real["train"] + more[:150]
    found = judge_rows(LABELS, {"train": train}, shuffled(more))
    assert found.measured_on == FOLDS and found.outcome == DO_NOT_USE


def test_the_same_rows_and_seed_give_the_same_figures(world):
    real, more = world
    first, second = (json.dumps(judge_rows(LABELS, real, more[:100], seed=4).to_json()) for _ in range(2))
    assert first == second


def test_what_cannot_be_compared_is_said_to_be_unchecked(world):
    real, _ = world
    one = {"train": [(0, "a"), (0, "b")], "valid": [(0, "c")] * 40}
    assert judge_rows(["only"], one, [(0, "d")]).outcome == UNCHECKED
    alone = {"train": [(0, "a"), (1, "b")], "valid": [(0, "c")]}
    assert judge_rows(["x", "y"], alone, [(0, "d")]).outcome == UNCHECKED
    assert judge_rows(LABELS, real, []).outcome == DO_NOT_USE


def test_a_label_with_one_row_and_new_rows_of_one_label_are_survived():
    names, real = by_subject(10, 100)
    alone = next(row for row in real["train"] if row[0] == 0)
    train = [alone, *(row for row in real["train"] if row[0])]
    for held in ({"test": real["test"]}, {}):
        found = judge_rows(names, {"train": train, **held}, [(2, "so so"), (0, "fine")])
        assert found.outcome == NO_GAIN and len(found.arms) == 5


class Teacher:
    """Knows the labels of some texts, and says so with some doubt."""

    name = "--teacher mine"

    def __init__(self, rows):
        self.known = {text: label for label, text in rows}

    def probabilities(self, texts):
        none = [float("nan")] * 2
        soft = {0: [0.9, 0.1], 1: [0.1, 0.9]}
        return np.array([soft[self.known[text]] if text in self.known else none for text in texts])


def test_a_teacher_mends_wrong_labels_and_its_own_accuracy_is_told(world):
    real, more = world
    teacher = Teacher([*more, *real["valid"]])
    found = judge_rows(LABELS, real, shuffled(more), teacher=teacher)
    assert found.outcome == USE and "under the teacher's labels" in found.sentence
    assert found.teacher == 1.0 and [arm.name for arm in found.arms][-1] == TAUGHT
    assert any("the teacher itself is right on 100" in line for line in describe(found))
    with pytest.raises(UserError, match="--teacher mine has no scores for"):
        judge_rows(LABELS, real, more, teacher=Teacher(more[1:]))


def test_a_teacher_that_is_wrong_is_found_out(world):
    real, more = world
    wrong = Teacher([(1 - label, text) for label, text in more])
    found = judge_rows(LABELS, real, more, teacher=wrong)
    assert found.outcome == DO_NOT_USE and found.teacher is None
