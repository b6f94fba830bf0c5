"""A set whose labels are noise is called so; one whose labels fit is not, however many rows a label has."""

import pytest

from fairseq_plugin.augment.verdict.by_labels import agreement, verdict

KNOWS = [[95, 5], [4, 96]]  # the judge on real rows
NAMES = ("ham", "spam")
GUESSES = [[52, 48], [49, 51]]


def test_agreement_is_the_mean_over_labels():
    assert agreement([[90, 10], [150, 50]]) == pytest.approx((0.9 + 0.25) / 2)
    assert agreement([[9, 1], [0, 0]]) == 0.9


@pytest.mark.parametrize("synthetic", [[[90, 10], [8, 92]], [[900, 100], [0, 0]], [[5, 1], [80, 220]]])
def test_labels_that_fit_are_worth_using(synthetic):
    found = verdict(NAMES, KNOWS, synthetic)
    assert found.is_worth_using is True
    assert ("Nothing was kept of 'spam'." in found.sentence) == (synthetic[1] == [0, 0])


@pytest.mark.parametrize("synthetic", [GUESSES, [[98, 2], [97, 3]], [[10, 90], [90, 10]], [[0, 0], [0, 0]]])
def test_labels_that_are_noise_are_not_and_the_sentence_begins_so(synthetic):
    found = verdict(NAMES, KNOWS, synthetic)
    assert found.is_worth_using is False
    assert found.sentence.startswith("Not worth using: ")


def test_labels_that_fit_in_part_are_said_to():
    assert "fit the sentences: " in verdict(NAMES, KNOWS, [[92, 8], [9, 91]]).sentence
    assert "fit the sentences only in part: " in verdict(NAMES, KNOWS, [[75, 25], [25, 75]]).sentence


def test_a_weak_judge_is_compared_with_itself():
    """70 % on real rows: 68 % on new ones is nearly all that it can say, 53 % is close to guessing."""
    weak = [[70, 30], [30, 70]]
    assert verdict(NAMES, weak, [[68, 32], [32, 68]]).is_worth_using is True
    assert verdict(NAMES, weak, [[53, 47], [47, 53]]).is_worth_using is False


@pytest.mark.parametrize(
    ("real", "synthetic", "reason"),
    [
        (None, KNOWS, "no real validation rows"),
        ([[0, 0], [0, 0]], KNOWS, "no real validation rows"),
        ([[9]], [[9]], "only one label"),
        (GUESSES, KNOWS, "does not know the real ones"),
    ],
)
def test_what_cannot_be_checked_is_said_to_be_unchecked(real, synthetic, reason):
    found = verdict(NAMES[: len(synthetic)], real, synthetic)
    assert found.is_worth_using is None
    assert "are not checked" in found.sentence and reason in found.sentence
