"""A gain is claimed over the best that costs nothing alone, and after Holm; harm over the real rows."""

import numpy as np
import pytest

from fairseq_plugin.augment.verdict.study.arms import CHEAP, FILTERED, JUDGED, PATIENCE, SYNTHETIC
from fairseq_plugin.augment.verdict.study.comparisons import GAIN, HARM, LEVEL, NONE, compare
from fairseq_plugin.augment.verdict.study.points import ArmResult, Key, Point
from tests.augment.verdict.study.made_study import STUDENT, points


def outcomes(made, ks=(10,)):
    return {(one.k, one.arm): one for one in compare(made, ks).comparisons}


def test_better_than_all_that_is_cheap_is_a_gain():
    found = outcomes(points([10], 5, {"real": 0.6, PATIENCE: 0.65}, {FILTERED: 0.85, SYNTHETIC: 0.3}))
    assert found[10, FILTERED].outcome == GAIN and found[10, FILTERED].best_cheap == PATIENCE
    assert found[10, FILTERED].gain.value == pytest.approx(0.2, abs=0.05)
    assert found[10, SYNTHETIC].outcome == HARM and found[10, JUDGED].outcome == NONE


def test_better_than_the_real_rows_alone_is_none_where_patience_does_as_well():
    found = outcomes(points([10], 5, {"real": 0.6, PATIENCE: 0.85}, {FILTERED: 0.85}))
    assert found[10, FILTERED].outcome == NONE and found[10, FILTERED].change.is_above


def test_holm_takes_all_k_together():
    """Ten k with a small difference each: one alone would be claimed, ten together are not."""
    ks = list(range(10, 20))
    made = points(ks, 5, {"real": 0.6}, {FILTERED: 0.62})
    many, one = outcomes(made, ks), outcomes({key: own for key, own in made.items() if key.k == 10})
    assert one[10, FILTERED].p <= many[10, FILTERED].p
    for k in ks:
        own = many[k, FILTERED]
        assert own.outcome == (GAIN if own.gain.is_above and own.p <= LEVEL else NONE)


def test_new_points_are_paired_with_the_real_ones_of_their_own_splits():
    made = points([10], 5, {"real": 0.6}, {FILTERED: 0.8})
    cut = {key: own for key, own in made.items() if not (key.generator and key.split > 3)}
    one = outcomes(cut)[10, FILTERED]
    assert one.num_splits == 3 and one.is_few
    real = compare(cut, [10]).cheap[STUDENT, 10]["real"]
    assert len(real.accuracies) == 5 and real.spread > 0
    lonely = {key: own for key, own in made.items() if key.generator}
    assert compare(lonely, [10]).comparisons == ()


def test_a_figure_that_some_splits_lack_is_the_mean_of_the_others():
    """Where nothing was accepted there is no fidelity."""
    made = points([10], 3, {"real": 0.6}, {})
    first = next(key for key in made if key.generator)
    made[first] = Point(first, made[first].arms, {"generated": 40.0, "accepted": 0.0})
    facts = compare(made, [10]).facts[10, 0.5, 1.0]
    assert facts["fidelity"] == pytest.approx(0.7) and facts["generated"] == 80.0


def test_every_label_counts_alike_in_balanced_accuracy():
    right, labels, key = np.array([True] * 9 + [False]), [0] * 9 + [1], Key(10, 1, STUDENT)
    point = Point(key, {name: ArmResult(5, 0.1, right) for name in CHEAP})
    way = compare({key: point}, [10], labels).cheap[STUDENT, 10]["real"]
    assert way.accuracy == pytest.approx(0.9) and way.balanced == pytest.approx(0.5)
