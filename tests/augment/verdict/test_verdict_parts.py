"""The parts of a verdict: arms of equal size, fair choice of settings, keyed changes, honest intervals."""

from collections import Counter

import numpy as np
import pytest

from fairseq_plugin.augment.verdict.arms import BOTH, EDA, REAL, REPEATED, SYNTHETIC, arms, repeats
from fairseq_plugin.augment.verdict.eda import change, wordnet_synonyms
from fairseq_plugin.augment.verdict.held_rows import FOLDS, LEAST, hold
from fairseq_plugin.augment.verdict.paired_bootstrap import holm, paired_gain
from fairseq_plugin.augment.verdict.students import bag_of_words_answers, chosen

TRAIN = [(0, "a warm film"), (0, "good songs here"), (0, "all is well"), (1, "a dull mess")]
NEW = [(0, "new"), (1, "old"), (1, "cold"), (1, "grey"), (0, "blue")]


def counts(rows):
    return Counter(label for label, _ in rows)


def test_cheap_arms_have_as_many_rows_of_each_label_as_the_new_rows_add():
    made = arms(TRAIN, NEW, seed=1)
    assert made[REAL] == TRAIN and made[SYNTHETIC] == NEW and made[BOTH] == TRAIN + NEW
    assert counts(made[REPEATED]) == counts(made[EDA]) == counts(made[BOTH])
    assert set(made[REPEATED]) == set(TRAIN) and set(made[EDA]) > set(TRAIN)


def test_rows_are_repeated_equally_often():
    found = Counter(repeats(TRAIN, {0: 7, 1: 2, 5: 3}, seed=1))
    assert sorted(found.values()) == [2, 2, 2, 3]
    assert repeats(TRAIN, {0: 1}, 1) == repeats(TRAIN, {0: 1}, 1)
    assert len({tuple(repeats(TRAIN, {0: 1}, seed)) for seed in range(20)}) == 3


def test_a_setting_is_never_chosen_by_the_rows_it_is_counted_with():
    """The second setting is right on group 1 alone, so it is what group 0 gets; and the other way round."""
    right = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]], dtype=bool)
    groups = np.array([0, 0, 1, 1, 1])
    assert chosen(right, groups, np.ones(5, dtype=bool)).tolist() == [False] * 5
    assert chosen(right, groups, groups == 0).tolist() == [False] * 2
    assert chosen(right[:, :2], groups[:2], np.ones(2, dtype=bool)).tolist() == [True, True]  # nobody chooses


def test_a_student_of_one_label_or_no_text_still_answers():
    assert bag_of_words_answers([(3, "a")], ["b", "c"], 1).tolist() == [[3, 3]] * 3
    assert bag_of_words_answers(TRAIN, [], 1).shape == (3, 0)


def rows(num_rows, name):
    return [(number % 2, f"{name} {number}") for number in range(num_rows)]


@pytest.mark.parametrize(
    ("valid", "test", "name", "counted"),
    [
        (5, LEAST, "test", LEAST),
        (0, LEAST, "test", LEAST),
        (LEAST, LEAST - 1, "valid", LEAST),
        (LEAST, 0, "valid", LEAST),
        (5, 5, FOLDS, 20),
    ],
)
def test_the_largest_claim_comes_from_rows_that_nothing_has_seen(valid, test, name, counted):
    held = hold({"train": rows(20, "train"), "valid": rows(valid, "v"), "test": rows(test, "t")}, seed=1)
    assert (held.name, held.num_rows) == (name, counted)
    for part in held.parts:
        assert not set(part.train) & set(part.rows)
        groups = set(part.groups_N[part.counted_N])
        assert name == FOLDS or set(part.groups_N) - groups or len(groups) == 2  # others choose


def test_folds_hold_every_row_once_but_a_labels_only_one():
    train = [*rows(12, "x"), (7, "alone")]
    held = [row for part in hold({"train": train}, seed=1).parts for row in part.rows]
    assert sorted(held) == sorted(rows(12, "x"))


TEXT = "one two three four five six seven eight nine ten eleven twelve"


def test_a_change_depends_on_seed_sample_and_text_alone():
    assert change(TEXT, 1, 2) == change(TEXT, 1, 2)
    made = {change(TEXT, seed, sample) for seed in range(5) for sample in range(20)}
    assert len(made) > 60 and change("word", 1, 1) == "word"
    swapped = {change("日本語です", 1, sample) for sample in range(20)}  # its words are its characters
    assert len(swapped) > 5 and not any(" " in text for text in swapped)


def test_changes_are_small_and_use_synonyms_where_there_are_some():
    words = set(TEXT.split())
    for sample in range(200):
        text = change(TEXT, 1, sample).split()
        assert set(text) <= words and 6 <= len(text) <= 14
    assert any("II" in change(TEXT, 1, sample, lambda word: ["II"]) for sample in range(20))


def test_wordnet_is_used_only_where_it_is_there():
    synonyms = wordnet_synonyms()
    if synonyms is None:
        pytest.skip("nltk or its WordNet is not installed")
    assert "movie" in synonyms("film")


def test_a_gain_is_the_mean_difference_and_its_interval_is_a_literal_resample():
    generator = np.random.default_rng(0)
    first, second = generator.random((3, 40)) < 0.5, generator.random((3, 40)) < 0.7
    found = paired_gain(first, second, seed=5)
    difference = second.astype(float) - first
    assert found.value == pytest.approx(difference.mean())
    literal = []
    for _ in range(4000):
        draws, columns = generator.integers(3, size=3), generator.integers(40, size=40)
        literal.append(np.mean([[difference[d, n] for n in columns] for d in draws]))
    low, high = np.quantile(literal, [0.025, 0.975])
    assert found.interval == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))
    assert paired_gain(first, second, seed=5) == found
    swapped = paired_gain(second, first, seed=5)
    assert swapped.value == -found.value and swapped.p == found.p


def test_no_difference_is_neither_above_nor_below():
    same = np.ones((2, 9), dtype=bool)
    found = paired_gain(same, same)
    assert (found.value, found.interval, found.p) == (0, (0, 0), 1)
    assert not found.is_above and not found.is_below


def test_two_equal_students_differ_in_at_most_a_few_of_fifty_trials():
    generator = np.random.default_rng(1)
    claims = 0
    for trial in range(50):
        first, second = (generator.random((5, 60)) < 0.7 for _ in range(2))
        claims += paired_gain(first, second, seed=trial).is_above
    assert claims <= 3


def test_holm_is_bonferroni_for_the_smallest_and_never_falls():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5]) == [0.5] and holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]
