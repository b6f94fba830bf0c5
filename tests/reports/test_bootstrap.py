"""Intervals are the percentile bootstrap's, cover what they should, and pair systems on the same draws."""

import numpy as np
import pytest

from fairseq_plugin.reports.bootstrap import (
    Bootstrap,
    Difference,
    differences,
    interval,
    measure,
    resample_sums,
)

MEAN = {"mean": lambda sums: sums["x"] / sums["one"]}


def mean_of(x, units="u", **options):
    return measure({"x": x, "one": np.ones(len(x))}, MEAN, units, Bootstrap(**options))


def test_a_resample_is_as_many_units_drawn_with_replacement():
    draws_RU = resample_sums(np.eye(7), resamples=400, seed=3)  # each unit's own column counts it
    assert (draws_RU.sum(1) == 7).all() and (draws_RU % 1 == 0).all() and (draws_RU >= 0).all()
    assert draws_RU.max() > 1 and draws_RU.min() == 0
    assert np.abs(draws_RU.mean(0) - 1).max() < 0.2


def test_sums_of_a_resample_are_sums_of_its_units():
    values_US = np.random.default_rng(0).normal(size=(9, 3))
    draws_RU = resample_sums(np.eye(9), resamples=50, seed=5)
    assert resample_sums(values_US, resamples=50, seed=5) == pytest.approx(draws_RU @ values_US)


def test_the_interval_is_between_percentiles():
    assert interval(np.arange(1001.0), level=0.95) == pytest.approx((25, 975))
    assert interval(np.array([])) is None
    assert interval(np.array([1.0, np.nan])) is None


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    x = np.random.default_rng(1).normal(size=40)
    assert mean_of(x).intervals == mean_of(x).intervals
    assert mean_of(x).intervals != mean_of(x, seed=2).intervals


def test_intervals_cover_the_truth_as_often_as_they_say():
    generator = np.random.default_rng(2)
    covered = 0
    for trial in range(300):
        low, high = mean_of(generator.exponential(size=80), seed=trial, resamples=300).intervals["mean"]
        covered += low <= 1 <= high
    assert 0.89 <= covered / 300 <= 0.97  # 0.95, a little less for 80 skewed values


def test_the_interval_is_as_wide_as_the_mean_is_uncertain():
    x = np.random.default_rng(3).normal(size=400)
    low, high = mean_of(x, resamples=2000).intervals["mean"]
    assert high - low == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.1)


def test_equal_units_leave_no_doubt():
    assert mean_of(np.full(30, 0.25)).intervals["mean"] == (0.25, 0.25)


def test_a_quotient_without_denominator_has_neither_value_nor_interval():
    found = measure({"a": [1, 2], "b": [0, 0]}, {"q": lambda s: s["a"] / s["b"]}, units=1)
    assert found.values == {"q": None} and found.intervals == {"q": None}


def test_pairing_takes_out_what_the_units_have_in_common():
    hard = np.random.default_rng(4).normal(scale=10, size=100)  # units differ far more than systems
    first, second = mean_of(hard), mean_of(hard + 0.5)
    found = differences(first, second)["mean"]
    assert found.value == pytest.approx(0.5)
    assert found.interval == pytest.approx((0.5, 0.5))
    assert differences(first, first)["mean"] == Difference(0.0, (0.0, 0.0))


def test_systems_on_different_units_are_not_paired():
    assert differences(mean_of(np.ones(3), units="a"), mean_of(np.ones(3), units="b")) is None


def test_no_units_are_refused():
    with pytest.raises(ValueError, match="nothing to measure"):
        mean_of(np.array([]))
