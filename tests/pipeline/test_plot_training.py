"""plot_training.py on logs that the stock command wrote: whole, killed and resumed, still running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairseq_plugin.reports.training_log import read_run
from tests.conftest import ROOT, child_environment
from tests.pipeline.fixtures import MODEL


def test_the_log_of_the_stock_command_is_drawn(trained, run_script, tmp_path):
    done = run_script("plot_training.py", trained.log, "--to", tmp_path / "curves")
    names = [f"curves{kind}.{ending}" for kind in ("", "-epochs") for ending in ("png", "svg")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    curves = read_run([trained.log])
    best = min(loss for _, loss in curves.valid["loss"])
    assert f"best validation loss {best:.4f} bits per token at update" in done.stdout
    assert {"loss", "ppl", "accuracy", "novel"} <= curves.valid.keys()


def test_runs_are_named_and_several_lie_over_each_other(trained, run_script, tmp_path):
    done = run_script(
        "plot_training.py", trained.log, trained.folder, "--names", "one", "two", "--to", tmp_path / "two"
    )
    assert [line.split(":")[0] for line in done.stdout.split("\n")[:2]] == ["one", "two"]


def test_a_mistake_is_one_line(trained, run_script, one_line_error, tmp_path):
    to = ("--to", tmp_path / "x")
    one_line_error(run_script("plot_training.py", "no.log", *to, check=False), "there is no log no.log")
    done = run_script("plot_training.py", trained.log, "--names", "a", "b", *to, check=False)
    one_line_error(done, "--names", "1 different name(s)")
    assert list(tmp_path.iterdir()) == []


def points(log, curve="loss"):
    curves = read_run([log])
    return curves.train[curve], curves.valid[curve]


@pytest.mark.slow
def test_a_run_that_was_killed_and_resumed_gives_the_curve_of_an_undisturbed_one(
    reviews, trained, train, tmp_path
):
    """SIGKILL twice in the middle of an epoch; the log then holds torn and repeated lines, not the curve."""
    folder = tmp_path / "killed"
    words = [
        reviews.folder,
        "--task",
        "conditional_augmentation",
        "--user-dir",
        ROOT / "fairseq_plugin",
        *MODEL,
    ]
    words += [
        "--save-dir",
        folder,
        "--max-epoch",
        3,
        "--save-interval-updates",
        7,
        "--log-file",
        folder / "train.log",
    ]
    folder.mkdir()
    for kill_after in (1, 3):
        command = [Path(sys.executable).parent / "fairseq-train", *words]
        process = subprocess.Popen(
            list(map(str, command)),
            env=child_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        before = time.monotonic()
        while len(list(folder.glob("checkpoint_*_*.pt"))) < kill_after and process.poll() is None:
            assert time.monotonic() - before < 200
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with open(folder / "train.log", "a", encoding="utf-8") as log:
            log.write('{"epoch": 1, "update": 0.1, "lo')  # what a kill in the middle of a line leaves
    rest = [
        "--max-epoch",
        3,
        "--save-interval-updates",
        7,
        "--log-file",
        folder / "train.log",
    ]
    train(reviews.folder, folder, *rest)
    (train_points, valid_points), (_, whole_valid) = points(folder / "train.log"), points(trained.log)
    updates = [update for update, _ in train_points]
    assert updates == sorted(set(updates)) and updates == [u for u, _ in points(trained.log)[0]]
    assert dict(whole_valid).items() <= dict(valid_points).items()
    assert '"lo' in (folder / "train.log").read_text("utf-8")  # the file does hold torn lines
