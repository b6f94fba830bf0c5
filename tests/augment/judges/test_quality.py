"""Calibration and doubtful rows against counts by hand."""

import math

import numpy as np
import pytest

from fairseq_plugin.augment.judges.quality import calibrate, doubtful_rows

NAMES = ["a", "b"]
PROBABILITIES = np.array([[0.9, 0.1], [0.95, 0.05], [0.45, 0.55], [0.0, 1.0]])


def test_calibration_is_a_count_in_bins_of_confidence():
    found = calibrate("judge", PROBABILITIES, [0, 1, 1, 1])
    assert (found.judge, found.rows, found.accuracy) == ("judge", 4, 3 / 4)
    assert found.log_loss == pytest.approx(-sum(map(math.log, (0.9, 0.05, 0.55, 1))) / 4)
    told = [(own.confidence, own.accuracy, own.count) for own in found.bins]
    assert told[0] == (0.55, 1, 1)
    assert told[1] == (pytest.approx((0.9 + 0.95 + 1) / 3), pytest.approx(2 / 3), 3)


def test_a_wrong_certainty_has_a_finite_loss():
    assert calibrate("judge", PROBABILITIES[3:], [0]).log_loss == pytest.approx(-math.log(1e-12))


def test_the_least_believed_rows_come_first_and_only_those_with_another_answer():
    examples = [(0, "fine"), (1, "very doubtful"), (0, "a bit"), (0, "wrong")]
    found = doubtful_rows(examples, PROBABILITIES, NAMES)
    assert [(row.text, row.label, row.judged) for row in found] == [
        ("wrong", "a", "b"),
        ("very doubtful", "b", "a"),
        ("a bit", "a", "b"),
    ]
    assert (found[1].probability, found[1].judged_probability) == (0.05, 0.95)
    assert doubtful_rows(examples, PROBABILITIES, NAMES, most=1) == found[:1]
    assert doubtful_rows([], np.zeros((0, 2)), NAMES) == []
