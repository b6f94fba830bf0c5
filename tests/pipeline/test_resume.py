"""A killed training ends in the same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, child_environment
from tests.pipeline.fixtures import MODEL

WORDS = ("--task", "conditional_augmentation", "--max-epoch", 4, "--save-interval-updates", 5)


def state_of(path):
    state = torch.load(path, weights_only=True)
    return state["model"], state["last_optimizer_state"]


def assert_equal_bits(one, other, name=""):
    assert type(one) is type(other), name
    if isinstance(one, dict):
        assert one.keys() == other.keys(), name
        for key in one:
            assert_equal_bits(one[key], other[key], f"{name}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), name
        for i, pair in enumerate(zip(one, other)):
            assert_equal_bits(*pair, f"{name}[{i}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), name
    else:
        assert one == other, name


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, reviews, train):
    folder = tmp_path_factory.mktemp("undisturbed")
    train(reviews.folder, folder, *WORDS)
    return state_of(folder / "checkpoint_last.pt")


def train_until(data, folder, ready):
    """Start the same training and kill it with SIGKILL as soon as ``ready()`` is true."""
    command = [Path(sys.executable).parent / "fairseq-train", data, *MODEL, *WORDS, "--save-dir", folder]
    command += ["--user-dir", ROOT / "fairseq_plugin", "--log-interval", "1"]
    with open(folder / "log", "w") as log:
        child = subprocess.Popen(
            list(map(str, command)), stdout=log, stderr=log, env=child_environment(), start_new_session=True
        )
        deadline = time.monotonic() + 200
        while not ready():
            assert child.poll() is None, "training ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", ["checkpoint_2_55.pt", "checkpoint_3_90.pt"])
def test_kill_in_the_middle_of_an_epoch_changes_no_bit(reviews, train, undisturbed, tmp_path, checkpoint):
    """SIGKILL while or just after a checkpoint of epoch 2 or 3 is written; the same command again."""
    train_until(reviews.folder, tmp_path, lambda: (tmp_path / checkpoint).exists())
    done = train(reviews.folder, tmp_path, *WORDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Loaded checkpoint" in done.stdout + done.stderr, "training anew would end in the same bits"
    assert_equal_bits(undisturbed, state_of(tmp_path / "checkpoint_last.pt"))


@pytest.mark.slow
def test_a_restart_counts_on_how_often_validation_has_not_improved(reviews, train, tmp_path):
    """At this step size no epoch is better than the first, so patience ends the training after epoch 4."""
    words = ("--patience", 3, "--lr", 0.5, "--warmup-updates", 1)
    done = train(reviews.folder, tmp_path / "whole", *words, "--max-epoch", 30)
    assert "hasn't improved for last 3 runs" in done.stdout + done.stderr
    train(reviews.folder, tmp_path / "parts", *words, "--max-epoch", 2)
    train(reviews.folder, tmp_path / "parts", *words, "--max-epoch", 30)
    whole, parts = (
        torch.load(tmp_path / name / "checkpoint_last.pt", weights_only=True) for name in ("whole", "parts")
    )
    assert parts["task_state"]["patience"] == whole["task_state"]["patience"]
    assert whole["task_state"]["patience"]["num_runs"] == 3
    epochs = [one["extra_state"]["train_iterator"]["epoch"] for one in (whole, parts)]
    assert epochs[0] == epochs[1] < 30
    assert_equal_bits(*(one["model"] for one in (whole, parts)))
