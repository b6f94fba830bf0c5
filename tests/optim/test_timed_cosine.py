"""``--lr-scheduler timed_cosine`` falls to zero when the training stops, whatever the clock does."""

import math

import pytest
import torch
from fairseq.distributed import utils as distributed_utils
from fairseq.optim import build_optimizer
from fairseq.optim.lr_scheduler import build_lr_scheduler
from omegaconf import OmegaConf

import fairseq_plugin  # noqa: F401  (registers)
from fairseq_plugin.optim import timed_cosine


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test sets."""
    now = [1000.0]
    monkeypatch.setattr(timed_cosine.time, "monotonic", lambda: now[0])
    return now


def schedule(**changes):
    settings = {"_name": "timed_cosine", "lr": [0.1], "warmup_updates": 10, "max_update": 110}
    settings |= {"stop_time_hours": 0.0} | changes
    optimizer_settings = {"_name": "fused_adamw", "lr": [0.1], "adam_betas": "(0.9, 0.999)", "adam_eps": 1e-8}
    optimizer_settings |= {"weight_decay": 0.0}
    optimizer = build_optimizer(OmegaConf.create(optimizer_settings), [torch.nn.Parameter(torch.ones(2, 2))])
    return build_lr_scheduler(OmegaConf.create(settings), optimizer)


def test_without_a_clock_it_is_the_cosine_that_ends_at_zero(clock):
    found = schedule()
    for update in (0, 5, 10, 60, 110):
        clock[0] += 1000
        expected = 0.1 * update / 10 if update < 10 else 0.05 * (1 + math.cos(math.pi * (update - 10) / 100))
        assert found.step_update(update) == pytest.approx(expected, abs=1e-12)
        assert found.optimizer.get_lr() == pytest.approx(expected, abs=1e-12)


def test_a_training_that_the_clock_ends_early_ends_at_zero(clock):
    """1 hour of 3,600 s, 40 s an update: the clock ends it at update 90 of 110."""
    found = schedule(stop_time_hours=1.0)
    rates = []
    for update in range(1, 91):
        clock[0] += 40
        rates.append(found.step_update(update))
    assert rates[-1] == pytest.approx(0.0, abs=1e-12) and rates[-2] < 1e-4
    assert max(rates) == pytest.approx(0.1) and rates[10:] == sorted(rates[10:], reverse=True)


def test_a_long_validation_shortens_the_fall(clock):
    found = schedule(stop_time_hours=1.0)
    for update in range(50):
        clock[0] += 1
        found.step_update(update)
    clock[0] += 3540
    assert found.step_update(50) < 2e-4


def test_a_resumed_training_counts_the_seconds_of_the_run_before(clock):
    first = schedule(stop_time_hours=1.0)
    for update in range(41):
        clock[0] += 40
        first.step_update(update)
    state = first.state_dict()
    clock[0] += 50_000  # nobody trains meanwhile
    second = schedule(stop_time_hours=1.0)
    second.load_state_dict(state)
    assert second.step_update(40) == pytest.approx(first.optimizer.get_lr(), rel=1e-9)
    assert second.seconds() == pytest.approx(1640)


def test_a_state_of_another_schedule_begins_the_clock_anew(clock):
    found = schedule(stop_time_hours=1.0)
    found.load_state_dict({"best": 3.0})
    assert found.best == 3.0 and found.seconds() == 0.0


def test_no_end_to_fall_to_is_refused(clock):
    with pytest.raises(SystemExit, match="error: --lr-scheduler timed_cosine .*--max-update"):
        schedule(max_update=0)


def test_several_processes_are_refused(clock, monkeypatch):
    monkeypatch.setattr(distributed_utils, "get_data_parallel_world_size", lambda: 2)
    with pytest.raises(SystemExit, match="error: --lr-scheduler timed_cosine follows one clock"):
        schedule()
