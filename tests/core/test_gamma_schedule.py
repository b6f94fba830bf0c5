"""Gamma over the updates, counted from 0."""

import pytest

from fairseq_plugin.core.gamma_schedule import GammaSchedule


def test_linear_starts_at_the_start_and_arrives_after_n_updates():
    schedule = GammaSchedule(0.2, "linear", 1.0, 4)
    assert [schedule.at(update) for update in range(6)] == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.2])
    assert schedule.at(0) == 1.0 and schedule.at(4) == schedule.at(10**9) == 0.2


def test_warmup_holds_the_start_for_n_updates():
    schedule = GammaSchedule(0.2, "warmup", 0.9, 3)
    assert [schedule.at(update) for update in range(5)] == [0.9, 0.9, 0.9, 0.2, 0.2]


def test_constant_is_constant():
    schedule = GammaSchedule(0.3)
    assert schedule.is_constant and schedule.at(0) == schedule.at(10**9) == 0.3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((0.0,), "--gamma 0.0"),
        ((0.5, "cosine"), "--gamma-schedule cosine"),
        ((0.5, "linear"), "--gamma-schedule linear needs --gamma-updates"),
        ((0.5, "warmup", 1.0, -3), "not -3"),
        ((0.5, "linear", 0.0, 10), "--gamma-start 0.0"),
        ((0.5, "linear", float("nan"), 10), "--gamma-start nan"),
        ((0.5, "constant", 1.0, 10), "--gamma-updates 10 has no effect"),
        ((0.5, "constant", 0.9), "--gamma-start 0.9 has no effect"),
    ],
)
def test_what_cannot_be_or_would_be_ignored_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        GammaSchedule(*settings)
