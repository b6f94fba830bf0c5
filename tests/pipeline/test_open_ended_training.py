"""Training with ``--task open_ended_generation``: samples and pictures that do not disturb it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, child_environment
from tests.pipeline.fixtures import MODEL
from tests.pipeline.open_ended import OPEN_ENDED
from tests.pipeline.test_resume import assert_equal_bits, state_of

pytestmark = pytest.mark.slow  # each starts trainings of its own

EVERY = [word for what in ("save", "validate", "sample") for word in (f"--{what}-interval-updates", 7)]
RUN = (*OPEN_ENDED, "--max-epoch", 3, *EVERY)


def entries(folder):
    """``{update: [(prompt, continuation)]}`` of a samples.md, as its reader sees them."""
    page = (folder / "samples.md").read_text("utf-8")
    found = {}
    for part in re.split(r"^## Update ", page, flags=re.M)[1:]:
        update = int(part.split(" ")[0].replace(",", ""))
        assert update not in found, f"update {update} stands there twice"
        found[update] = part
    return found


def test_samples_are_written_at_every_validation(learnt):
    log = learnt.log.read_text()
    updates = sorted(set(map(int, re.findall(r'"valid_num_updates": "(\d+)"', log))))
    found = entries(learnt.folder)
    assert list(found) == updates and len(updates) == 2
    for part in found.values():
        assert "validation loss" in part and len(re.findall(r"^Sample \d", part, re.M)) == 6
        assert part.count("> <b>") >= 6, "every prompt stands there in bold"
    assert len(set(found.values())) == 2


def test_curves_are_drawn_at_the_end(learnt):
    assert (learnt.folder / "training.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert b"<svg" in (learnt.folder / "training.svg").read_bytes()


def test_samples_change_no_bit_of_the_training(text, train, tmp_path):
    """The same weights and optimizer state with samples every 3 updates and without any; dropout is on."""
    words = (*OPEN_ENDED, "--max-update", 20)
    (tmp_path / "prompts.txt").write_text("The cat\n\nNobody\\n\n")
    chosen = ("--sample-prompts", tmp_path / "prompts.txt", "--sample-interval-updates", 3)
    train(text.folder, tmp_path / "with", *words, *chosen, "--tensorboard-logdir", tmp_path / "tb")
    train(text.folder, tmp_path / "without", *words, "--num-sample-prefixes", 0)
    assert list(entries(tmp_path / "with")) == [3, 6, 9, 12, 15, 18, 20]
    assert "<b>The cat</b>" in entries(tmp_path / "with")[3]
    assert not (tmp_path / "without" / "samples.md").exists()
    states = [state_of(tmp_path / name / "checkpoint_last.pt") for name in ("with", "without")]
    assert_equal_bits(*states)
    assert list((tmp_path / "tb" / "samples").iterdir())


def test_samples_work_in_bf16(text, train, tmp_path):
    words = ("--max-update", 8, "--sample-interval-updates", 4, "--compute-dtype", "bf16")
    train(text.folder, tmp_path, *OPEN_ENDED, *words)
    assert list(entries(tmp_path)) == [4, 8]


def test_a_stock_model_writes_samples_undisturbed(text, run_stock, tmp_path):
    """fairseq's generator uses torch's own random numbers: they are put back."""
    model = (
        "--arch", "transformer_lm", "--decoder-layers", 1, "--decoder-embed-dim", 16,
        "--decoder-ffn-embed-dim", 32, "--decoder-attention-heads", 2, "--dropout", 0.1, "--optimizer",
        "adam", "--lr", 0.01, "--max-tokens", 512, "--max-update", 9, "--cpu", "--log-format", "json",
    )  # fmt: skip
    words = ("fairseq-train", text.folder, *OPEN_ENDED, *model)
    run_stock(*words, "--save-dir", tmp_path / "with", "--sample-interval-updates", 2)
    run_stock(*words, "--save-dir", tmp_path / "without", "--num-sample-prefixes", 0)
    assert list(entries(tmp_path / "with")) == [2, 4, 6, 8, 9]
    assert_equal_bits(*(state_of(tmp_path / name / "checkpoint_last.pt") for name in ("with", "without")))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, text, train):
    folder = tmp_path_factory.mktemp("undisturbed")
    train(text.folder, folder, *RUN)
    return folder


def train_until(data, folder, ready):
    """Start the same training and kill it with SIGKILL as soon as ``ready()`` is true."""
    command = [Path(sys.executable).parent / "fairseq-train", data, *MODEL, *RUN, "--save-dir", folder]
    command += ["--user-dir", ROOT / "fairseq_plugin"]
    folder.mkdir(exist_ok=True)
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


@pytest.mark.parametrize("moment", ["while samples are written", "after a checkpoint"])
def test_a_killed_training_ends_with_the_same_samples_and_bits(text, train, undisturbed, tmp_path, moment):
    """SIGKILL in the middle of epoch 2; the same command again. Nothing is lost or repeated."""
    folder, updates = tmp_path / "run", list(entries(undisturbed))
    middle = updates[len(updates) // 2]
    mark = f'<!-- samples {{"update": {middle},'

    def samples_are_there():
        page = folder / "samples.md"
        return page.exists() and mark in page.read_text("utf-8")

    def checkpoint_is_there():
        return bool(list(folder.glob(f"checkpoint_*_{middle}.pt")))

    train_until(text.folder, folder, samples_are_there if moment.startswith("while") else checkpoint_is_there)
    assert 0 < len(entries(folder)) < len(updates)
    done = train(text.folder, folder, *RUN, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Loaded checkpoint" in done.stdout + done.stderr
    assert (folder / "samples.md").read_bytes() == (undisturbed / "samples.md").read_bytes()
    assert_equal_bits(state_of(undisturbed / "checkpoint_last.pt"), state_of(folder / "checkpoint_last.pt"))


def test_a_picture_that_fails_does_not_fail_the_training(caplog, tmp_path):
    from fairseq_plugin.tasks.end_of_training import DrawAtTheEnd

    DrawAtTheEnd(tmp_path / "no.log", tmp_path).draw()
    (tmp_path / "text.log").write_text("no JSON at all\n")
    DrawAtTheEnd(tmp_path / "text.log", tmp_path).draw()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert not list(tmp_path.glob("training*"))


def test_no_plot_is_drawn_without_a_log_or_a_wish(text, train, tmp_path):
    words = (*OPEN_ENDED, "--max-update", 2, "--no-plot", "--log-file", tmp_path / "log")
    train(text.folder, tmp_path / "run", *words)
    assert not list((tmp_path / "run").glob("training*"))
    assert (
        torch.load(tmp_path / "run" / "checkpoint_last.pt", weights_only=True)["cfg"]["task"]["no_plot"]
        is True
    )
