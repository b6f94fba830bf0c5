"""Schedules and sequence-level updates on stock language models: resumed, in two processes, validated."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, child_environment
from tests.pipeline.test_resume import assert_equal_bits, state_of
from tests.pipeline.test_two_processes import (  # noqa: F401
    GPT2,
    TRAINING,
    TRANSFORMER,
    finish,
    free_port,
    text,
    weights,
)

BASE = " ".join(TRAINING).replace("--criterion scale_grad --gamma 0.5 ", "").split()
SCHEDULE = "--criterion scale_grad --gamma 0.2 --gamma-schedule linear --gamma-updates 30".split()
SEQUENCE = (
    "--criterion unlikelihood --sequence-share 0.5 --sequence-prefix 4 --sequence-continuation 20 "
    "--sequence-ngram 2"
).split()
CONTRASTIVE = "--criterion contrastive_token --ct-length 0.5".split()
REPETITION_DROPOUT = "--criterion scale_grad --gamma 0.2 --repetition-dropout 0.6".split()
DITTO = "--criterion ditto".split()
STOPPING = "--dropout 0.1 --max-update 40 --save-interval-updates 10 --update-freq 2 --log-interval 1".split()

GLOO = (
    "--distributed-backend gloo --ddp-backend legacy_ddp --distributed-world-size 2 --distributed-no-spawn "
    "--distributed-rank"
).split()


def start(data, save_dir, *words):
    """Start ``fairseq-train`` as it comes, without waiting for it."""
    command = [Path(sys.executable).parent / "fairseq-train", data, "--user-dir", ROOT / "fairseq_plugin"]
    return subprocess.Popen(
        [str(word) for word in [*command, *BASE, "--save-dir", save_dir, *words]],
        env=child_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def load(path):
    return torch.load(path, weights_only=True)


def train(data, folder, *words):
    """To the end; the JSON lines of the log."""
    (output,) = finish(start(data, folder, *words, "--log-format", "json"))
    lines = [line.partition("| INFO | train_inner | ")[2] for line in output.split("\n")]
    return [json.loads(line) for line in lines if line]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "objective"),
    [(TRANSFORMER, SCHEDULE), (GPT2, SEQUENCE)],
    ids=["transformer_lm-schedule", "gpt2-sequence"],
)
def test_a_resumed_training_ends_in_the_same_bits(text, tmp_path, model, objective):  # noqa: F811
    """What a kill leaves: an earlier checkpoint, from which another process goes on."""
    words = (*model, *objective, *STOPPING)
    whole = train(text, tmp_path / "whole", *words)
    restored = tmp_path / "whole" / "checkpoint_1_20.pt"
    rest = train(text, tmp_path / "resumed", *words, "--restore-file", restored)
    names = ("checkpoint_1_40.pt", "checkpoint_2_40.pt", "checkpoint_last.pt")
    last = next(name for name in names if (tmp_path / "whole" / name).exists())
    assert_equal_bits(state_of(tmp_path / "whole" / last), state_of(tmp_path / "resumed" / last))
    assert [line["num_updates"] for line in rest] == [line["num_updates"] for line in whole[20:]]
    key = "gamma" if objective is SCHEDULE else "loss"
    assert [line.get(key) for line in rest] == [line.get(key) for line in whole[20:]]
    if objective is SCHEDULE:
        gammas = [float(line["gamma"]) for line in whole]
        assert gammas == pytest.approx([max(0.2, 1 - 0.8 * update / 30) for update in range(40)], abs=1e-3)
    else:
        kinds = [line.get("sequence_repeats") is not None for line in whole]
        assert 8 < sum(kinds) < 32
        for line, sequence_level in zip(whole, kinds):
            for key in ("nll_loss", "ppl", "accuracy"):  # null, not a 0 that looks like a value
                assert (line.get(key) is None) == sequence_level


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "objective"),
    [
        (GPT2, SEQUENCE),
        (GPT2, CONTRASTIVE),
        (TRANSFORMER, CONTRASTIVE),
        (GPT2, REPETITION_DROPOUT),
        (GPT2, DITTO),
    ],
    ids=["sequence", "contrastive", "transformer_lm-contrastive", "repetition-dropout", "ditto"],
)
def test_two_processes_train_the_weights_of_one(text, tmp_path, model, objective):  # noqa: F811
    address = f"tcp://127.0.0.1:{free_port()}"
    words = (*model, *objective, "--max-update", 20)
    finish(
        start(text, tmp_path / "one", *words, "--update-freq", 2),
        *(
            start(text, tmp_path / "two", *words, *GLOO, rank, "--distributed-init-method", address)
            for rank in (0, 1)
        ),
    )
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in one.items():
        assert (value.double() - two[name].double()).abs().max() <= 1e-5, name


@pytest.mark.slow
def test_fairseq_validate_shows_the_single_token_metrics(text, tmp_path, run_stock):  # noqa: F811
    """After a few updates: shares in order, ranks and types within their bounds."""
    num_symbols = len((text / "dict.txt").read_text("utf-8").split("\n")) - 1 + 4
    finish(start(text, tmp_path, *GPT2, *SEQUENCE, "--max-update", 10))
    done = run_stock(
        "fairseq-validate", text, "--task", "language_modeling", "--path", tmp_path / "checkpoint_last.pt",
        "--batch-size", 8, "--cpu", "--num-workers", 0, "--log-format", "json", "--no-progress-bar",
    )  # fmt: skip
    line = [line for line in (done.stdout + done.stderr).split("\n") if '"valid_rep_128"' in line][-1]
    shown = {key: float(value) for key, value in json.loads(line[line.index("{") :]).items()}
    for window in (16, 32, 128, 512):
        assert shown[f"valid_wrep_{window}"] <= shown[f"valid_rep_{window}"] <= 1
        assert 0 < shown[f"valid_human_rep_{window}"] <= 1
    assert shown["valid_rep_16"] <= shown["valid_rep_32"] == shown["valid_rep_512"]  # rows of 32 tokens
    assert shown["valid_accuracy"] <= shown["valid_hits10"] <= 1
    assert 1 <= shown["valid_rank"] <= num_symbols
    assert 1 <= shown["valid_uniq"] <= num_symbols
    assert shown["valid_human_uniq"] == 31  # distinct squares of the made text, and the end


@pytest.mark.slow
def test_a_training_that_diverges_stops_by_name_and_saves_nothing_as_good(text, tmp_path):  # noqa: F811
    """A learning rate that ruins the weights: the next update is refused with its number and its samples."""
    words = (*TRANSFORMER, *SEQUENCE, "--sequence-share", 0, "--lr", 1e30, "--max-update", 20)
    process = start(text, tmp_path, *words, "--save-interval-updates", 1)
    output = process.communicate(timeout=240)[0]
    assert process.returncode not in (0, None)
    assert re.search(r"FloatingPointError: loss nan.* in update 2, sample ids \[\d+", output), output[-2000:]
    saved = [
        state["optimizer_history"][-1]["num_updates"] for state in map(load, sorted(tmp_path.glob("*.pt")))
    ]
    assert saved and set(saved) == {1}  # nothing that the failed update touched
