"""Checkpoints of other labels and trainings with other settings are refused, through the stock commands."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import child_environment
from tests.pipeline.fixtures import MODEL
from tests.pipeline.open_ended import in_process

TASK = ("--task", "conditional_augmentation", "--cpu")


@pytest.fixture(scope="module")
def other_labels(reviews, tmp_path_factory):
    """The same data under another name of a label: the same dictionary, tokenizer and prompts."""
    from fairseq_plugin.labelled.manifest import Manifest

    folder = tmp_path_factory.mktemp("other") / "data"
    shutil.copytree(reviews.folder, folder)
    manifest = Manifest.load(folder)
    manifest.labels[0].name = manifest.labels[0].text = "dreadful"
    manifest.save(folder)
    return folder


def read(command: str, data: Path, checkpoint: Path) -> str:
    """Give a checkpoint to a command of fairseq, in this process."""
    words, stdin = {
        "generate": (("--beam", 1, "--gen-subset", "valid", "--max-len-b", 2, "--quiet"), ""),
        "interactive": (("--beam", 1, "--max-len-b", 2), "positive\n"),
        "eval_lm": (("--gen-subset", "valid"), ""),
        "validate": (("--max-tokens", 512), ""),
    }[command]
    return in_process(command, data, *TASK, "--path", checkpoint, *words, stdin=stdin)


@pytest.mark.parametrize("command", ["generate", "interactive", "eval_lm", "validate"])
def test_a_checkpoint_of_other_labels_is_refused(trained, reviews, other_labels, command):
    with pytest.raises(SystemExit, match="other labels.*'dreadful'"):
        read(command, other_labels, trained.checkpoint)
    assert "does not say which labels" not in read(command, reviews.folder, trained.checkpoint)


def test_an_older_checkpoint_that_does_not_say_is_read_with_a_line(trained, reviews, tmp_path):
    state = torch.load(trained.checkpoint, weights_only=True)
    del state["task_state"]["data"]
    torch.save(state, tmp_path / "older.pt")
    assert "does not say which labels" in read("eval_lm", reviews.folder, tmp_path / "older.pt")


def go_on(data: Path, folder: Path, *words: object) -> str:
    """The same training again, in this process; ``words`` replace flags."""
    return in_process(
        "train", data, "--task", "conditional_augmentation", *MODEL, "--save-dir", folder, "--max-epoch", 3,
        "--no-save", *words,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--seed", 4), "--seed 4 (the checkpoint: 3)"),
        (("--max-tokens", 256), "--max-tokens 256 (the checkpoint: 512)"),
        (("--batch-size", 7), "--batch-size 7 (the checkpoint: None)"),
        (("--update-freq", 2), "--update-freq [2] (the checkpoint: [1])"),
        (("--gamma", 0.25), "--gamma 0.25 (the checkpoint: 0.5)"),
        (("--criterion", "cross_entropy"), "--criterion cross_entropy (the checkpoint: scale_grad)"),
        (("--dropout", 0.2), "--dropout 0.2 (the checkpoint: 0.1)"),
        (("--attention-dropout", 0), "--attention-dropout 0.0 (the checkpoint: 0.1)"),
        (("--n-head", 4), "--n-head 4 (the checkpoint: 2)"),
        (("--score-prompt",), "--score-prompt True (the checkpoint: False)"),
    ],
)  # fmt: skip
def test_changed_settings_are_refused_with_both_values(trained, reviews, words, told):
    given = list(MODEL)
    if words[0] == "--criterion":  # --gamma belongs to the other
        given = [word for word in given if word not in ("--gamma", "0.5")]
    with pytest.raises(SystemExit) as error:
        in_process(
            "train", reviews.folder, "--task", "conditional_augmentation", *given,
            "--save-dir", trained.folder,
            "--max-epoch", 3, "--no-save", *words,
        )  # fmt: skip
    assert told in str(error.value) and "--accept-changed-settings" in str(error.value)


def test_several_changes_are_all_named_and_the_number_of_processes_is_one_of_them(trained, reviews, tmp_path):
    state = torch.load(trained.checkpoint, weights_only=True)
    state["cfg"]["distributed_training"]["distributed_world_size"] = 2
    torch.save(state, tmp_path / "checkpoint_last.pt")
    with pytest.raises(SystemExit) as error:
        go_on(reviews.folder, tmp_path, "--seed", 9)
    assert "--seed 9" in str(error.value)
    assert "--distributed-world-size 1 (the checkpoint: 2)" in str(error.value)


def test_changed_data_are_refused(trained, reviews, other_labels, tmp_path):
    shutil.copytree(reviews.folder, tmp_path / "data")
    with pytest.raises(SystemExit, match="data .labels.*accept-changed-settings"):
        go_on(other_labels, trained.folder)
    from fairseq_plugin.labelled.manifest import Manifest

    manifest = Manifest.load(tmp_path / "data")
    manifest.files["train.bin"] = "0" * 64
    manifest.save(tmp_path / "data")
    with pytest.raises(SystemExit, match="data .files.*accept-changed-settings"):
        go_on(tmp_path / "data", trained.folder)


def test_accepted_changes_and_those_that_are_free_go_on_with_a_line(trained, reviews):
    printed = go_on(reviews.folder, trained.folder, "--gamma", 0.25, "--accept-changed-settings")
    assert "--accept-changed-settings: going on" in printed and "--gamma 0.25" in printed
    printed = go_on(reviews.folder, trained.folder, "--lr", 0.001, "--log-interval", 3, "--patience", 9)
    assert "with --lr [0.001] (the checkpoint: [0.003])" in printed
    assert "Loaded checkpoint" in printed


def test_a_changed_setting_of_the_optimizer_is_used_and_not_only_told(trained, reviews, tmp_path):
    (tmp_path / "checkpoint_last.pt").write_bytes((trained.folder / "checkpoint_last.pt").read_bytes())
    printed = in_process(
        "train", reviews.folder, "--task", "conditional_augmentation", *MODEL, "--save-dir", tmp_path,
        "--max-epoch", 4, "--weight-decay", 0.25, "--adam-eps", 1e-6,
    )  # fmt: skip
    assert "--weight-decay 0.25 (the checkpoint: 0.0)" in printed
    state = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    groups = state["last_optimizer_state"]["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0.25, 0.0]
    assert {group["eps"] for group in groups} == {1e-6}
    assert state["cfg"]["checkpoint"]["optimizer_overrides"] == "{}"


@pytest.mark.parametrize(
    "words",
    [
        ("--seed", "-1"),
        ("--update-freq", "0"),
        ("--update-freq", "2,-1"),
        ("--batch-size", "0"),
        ("--max-tokens", "-1"),
        ("--num-shards", "0"),
    ],
)
def test_numbers_that_fairseq_would_stumble_over_are_refused(trained, reviews, words, capsys):
    with pytest.raises(SystemExit):
        go_on(reviews.folder, trained.folder, *words)
    assert " ".join(words) in capsys.readouterr().err


def test_another_optimizer_is_refused_with_the_mend(trained, reviews):
    with pytest.raises(SystemExit, match="--optimizer fused_adamw.*--reset-optimizer"):
        go_on(reviews.folder, trained.folder, "--optimizer", "adam", "--accept-changed-settings")


_HOLDER = """
import sys, time
from fairseq_plugin.storage.lock import FolderLock
FolderLock(sys.argv[1] + "/training", "--save-dir").acquire()
print("locked", flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_a_second_training_in_a_folder_is_refused_and_a_dead_ones_lock_is_taken_over(
    trained, reviews, tmp_path
):
    shutil.copy(trained.folder / "checkpoint_last.pt", tmp_path)
    before = (tmp_path / "checkpoint_last.pt").read_bytes()
    words = ("train", reviews.folder, "--task", "conditional_augmentation", *MODEL, "--save-dir", tmp_path)
    words = (*words, "--max-epoch", 4, "--no-epoch-checkpoints", "--disable-validation")
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, tmp_path], stdout=subprocess.PIPE, text=True, env=child_environment()
    )
    try:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(SystemExit, match=f"--save-dir {tmp_path} is in use by process {holder.pid} on"):
            in_process(*words)
        assert (tmp_path / "checkpoint_last.pt").read_bytes() == before
    finally:
        holder.kill()
        holder.wait()
    assert "taken over" in in_process(*words)
    state = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    assert state["extra_state"]["train_iterator"]["epoch"] == 5
    # The names of the copies that fairseq read do not stay in the configuration that it saves.
    assert state["cfg"]["checkpoint"]["restore_file"] == "checkpoint_last.pt"
    assert "/proc/" not in json.dumps(state["cfg"])


# -- said in one line where fairseq only asserts, or dies later ---------------------------------------------


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"--max-tokens": None}, "no batch size is given: add --max-tokens N"),
        ({"--max-tokens": 5}, "--max-tokens 5 is less than the longest example's [0-9]+ tokens"),
        ({"--n-embd": 2**20}, "--n-embd 1048576 .* the weights alone take [0-9,]+ GB and this machine has"),
    ],
)
def test_sizes_that_cannot_be_are_refused_in_one_line(reviews, tmp_path, change, match):
    words = list(MODEL)
    for flag, value in change.items():
        place = words.index(flag)
        words[place : place + 2] = [] if value is None else [flag, value]
    with pytest.raises(SystemExit, match=match) as error:
        in_process(
            "train", reviews.folder, "--task", "conditional_augmentation", *words, "--save-dir", tmp_path
        )
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no count\n", b"1 x\n", b"\xff\xfe 1\n", None])
def test_a_damaged_dictionary_is_named(reviews, trained, tmp_path, content):
    shutil.copytree(reviews.folder, tmp_path / "data")
    if content is None:
        (tmp_path / "data" / "dict.txt").unlink()
    else:
        (tmp_path / "data" / "dict.txt").write_bytes(content)
    with pytest.raises(SystemExit, match=r"dict.txt.*prepare (it|the data) again"):
        read("eval_lm", tmp_path / "data", trained.checkpoint)
