"""Checkpoints are read whole, verified and without running anything; a restart finds the right one."""

import fractions
import os
import pickle
import subprocess
import sys
from argparse import Namespace

import pytest
import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.checkpoint_restart import choose_restart
from fairseq_plugin.storage.checkpoints import (
    DamagedCheckpoint,
    newest_whole,
    open_checkpoint,
    read_checkpoint,
)
from tests.storage.made_checkpoints import made_state, tear, write


def test_what_fairseq_opens_are_the_bytes_that_were_verified(tmp_path):
    path = write(tmp_path / "checkpoint_best.pt", 7)
    before = path.read_bytes()
    checkpoint = open_checkpoint(path)
    write(path, 8)  # rewritten in place, as fairseq does
    with open(checkpoint.name, "rb") as stream:
        assert stream.read() == before
    child = subprocess.run(  # a worker of a distributed run opens it too
        [sys.executable, "-c", f"print(len(open({checkpoint.name!r}, 'rb').read()))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(child.stdout) == len(before)
    checkpoint.close()
    assert not os.path.exists(checkpoint.name)
    assert checkpoint.num_updates == 7 and checkpoint.state["model"]["layer_3"].sum() == 3500


def test_a_copy_without_memory_files_is_a_temporary_file(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    path = write(tmp_path / "checkpoint_best.pt", 7)
    checkpoint = open_checkpoint(path)
    with open(checkpoint.name, "rb") as stream:
        assert stream.read() == path.read_bytes()
    checkpoint.close()
    assert not os.path.exists(checkpoint.name)


_WRITER = """
import sys, time
from pathlib import Path
target, versions = Path(sys.argv[1]), [Path(name).read_bytes() for name in sys.argv[2:]]
for i in range(100_000):
    with open(target, "wb") as stream:  # in place, as fairseq copies over checkpoint_last.pt
        half = len(versions[i % 2]) // 2
        stream.write(versions[i % 2][:half]); stream.flush()
        time.sleep(0.002)
        stream.write(versions[i % 2][half:])
    if i == 0:
        print("writing", flush=True)
    time.sleep(0.018)
"""


@pytest.mark.slow
def test_a_reader_beside_a_writer_gets_a_whole_checkpoint_or_none(tmp_path):
    """Rewritten every 20 ms during 300 loads: 0 mixed, 0 crashes."""
    versions = [write(tmp_path / f"{number}.pt", number) for number in (1, 2)]
    path = tmp_path / "checkpoint_last.pt"
    child = subprocess.Popen(
        [sys.executable, "-c", _WRITER, path, *versions], stdout=subprocess.PIPE, text=True
    )
    try:
        child.stdout.readline()
        num_whole, seen = 0, set()
        for _ in range(300):
            try:
                state = read_checkpoint(path)
            except DamagedCheckpoint:
                continue
            num_whole += 1
            numbers = {float(value) for weight in state["model"].values() for value in weight.unique()}
            assert numbers == {float(state["optimizer_history"][0]["num_updates"])}, "mixed"
            seen |= numbers
        assert child.poll() is None and seen == {1.0, 2.0} and num_whole > 250
    finally:
        child.kill()
        child.wait()


# -- what is refused --------------------------------------------------------------------------------------


def refuse(path, match):
    with pytest.raises(UserError, match=match) as error:
        open_checkpoint(path, "--path")
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_a_pickle_is_refused_in_one_line(tmp_path):
    path = tmp_path / "old.pt"
    path.write_bytes(pickle.dumps({"model": {}}))
    refuse(path, "ZIP format")
    torch.save(made_state(), path, _use_new_zipfile_serialization=False)
    refuse(path, "ZIP format")


def test_a_missing_file_and_one_that_is_something_else_are_named(tmp_path):
    refuse(tmp_path / "nowhere.pt", "there is no checkpoint")
    torch.save({"weights": torch.ones(3)}, tmp_path / "weights.pt")
    refuse(tmp_path / "weights.pt", "not a fairseq checkpoint")
    torch.save({"model": {}, "cfg": fractions.Fraction(1, 3)}, tmp_path / "foreign.pt")
    refuse(tmp_path / "foreign.pt", "more than tensors")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model": {"_name": "wav2vec2", "conv_feature_layers": "[]"}}, "'wav2vec2'"),
        ({"model": {"arch": "fconv_lm"}}, "'fconv_lm'"),
        ({"model": {"_name": None, "wav2vec": {}}}, "names the model None"),
        ({"model": Namespace(_name="fconv", decoder_layers="[]")}, "'fconv'"),
        ({"model": None}, "names the model None"),
        ({"task": {"_name": "audio_pretraining"}}, "--task 'audio_pretraining'"),
        ({"criterion": {"_name": "ctc", "wer_args": "()"}}, "--criterion 'ctc'"),
        ({"common": {"user_dir": "${oc.env:HOME}"}}, r"cfg.common.user_dir is '\$\{oc.env:HOME\}'"),
        ({"common": {"names": ["a", {"deep": "x${y}"}]}}, r"cfg.common.names.deep is 'x\$\{y\}'"),
        ({"common": {"${now:}": 1}}, r"\$\{now:\}"),
        ({"model": {"_name": "transformer_lm", "adaptive_softmax_cutoff": "print(1)"}}, "evaluate as code"),
        ({"model": {"_name": "transformer_lm", "character_filters": "9**9**9"}}, "evaluate as code"),
        ({"model": {"_name": "transformer", "encoder": {"xformers_att_config": "{}"}}}, "evaluate as code"),
        ({"model": Namespace(_name="transformer", decoder_xformers_att_config="f()")}, "evaluate as code"),
    ],
)  # fmt: skip
def test_settings_that_could_run_or_read_anything_are_refused(tmp_path, config, words):
    path = tmp_path / "checkpoint_best.pt"
    with torch.serialization.safe_globals([Namespace]):
        refuse(write(path, **config), words)


def test_old_args_are_refused(tmp_path):
    path = tmp_path / "checkpoint_best.pt"
    torch.save(made_state() | {"args": Namespace(arch="gpt2")}, path)
    with torch.serialization.safe_globals([Namespace]):
        refuse(path, "old 'args'")


@pytest.mark.parametrize(
    "model",
    [
        {"_name": "gpt2_tiny", "n_layer": 2, "dropout": 0.1, "pretrained_model": None},
        {
            "_name": "transformer_lm",
            "character_filters": "[(1, 64), (2, 8)]",
            "adaptive_softmax_cutoff": "10,20",
        },
        Namespace(_name="transformer", adaptive_softmax_cutoff=None, lr=[0.1], data="a/b"),
    ],
    ids=["gpt2", "transformer_lm", "transformer"],
)  # fmt: skip
def test_settings_of_the_models_we_document_pass(tmp_path, model):
    with torch.serialization.safe_globals([Namespace]):
        open_checkpoint(write(tmp_path / "checkpoint_best.pt", model=model)).close()


# -- where a restart goes on ------------------------------------------------------------------------------


def test_a_new_folder_starts_from_scratch_and_a_whole_last_checkpoint_is_taken(tmp_path):
    assert choose_restart(tmp_path) is None
    write(tmp_path / "checkpoint_1_9.pt", 9)
    last = write(tmp_path / "checkpoint_last.pt", 8)
    start = choose_restart(tmp_path)
    assert start.checkpoint.path == last and start.message is None and not start.is_new


def test_a_torn_or_missing_last_checkpoint_gives_way_to_the_one_trained_longest(tmp_path):
    longest = write(tmp_path / "checkpoint_2_14.pt", 14)
    later = write(tmp_path / "checkpoint_best.pt", 7)  # written last, trained less
    os.utime(longest, (1000, 1000))
    start = choose_restart(tmp_path)  # killed before the last one was written
    assert start.checkpoint.path == longest
    assert "there is no" in start.message and "update 14" in start.message
    last = write(tmp_path / "checkpoint_last.pt", 15)
    tear(last)
    start = choose_restart(tmp_path)
    assert start.checkpoint.path == longest and "checkpoint_last.pt" in start.message
    tear(longest)
    assert choose_restart(tmp_path).checkpoint.path == later


@pytest.mark.parametrize("share", [0, 1, 7, 33, 60, 99])
def test_where_none_is_whole_nothing_starts_from_scratch(tmp_path, share):
    for name in ("checkpoint_last.pt", "checkpoint_1_7.pt"):
        content = write(tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) * share // 100])
    with pytest.raises(UserError, match="none is whole.*another --save-dir"):
        choose_restart(tmp_path)
    (tmp_path / "checkpoint_last.pt").unlink()
    with pytest.raises(UserError, match="none is whole"):
        choose_restart(tmp_path, finetune_from=str(tmp_path / "checkpoint_1_7.pt"))


def test_a_folder_where_a_checkpoint_belongs_is_refused_before_training(tmp_path):
    (tmp_path / "checkpoint_last.pt").mkdir()
    with pytest.raises(UserError, match=r"checkpoint_last\.pt is a folder.*move it away"):
        choose_restart(tmp_path)


def test_a_file_that_was_asked_for_is_taken_or_refused(tmp_path):
    other = write(tmp_path / "checkpoint_1_7.pt", 7)
    write(tmp_path / "checkpoint_last.pt", 9)
    assert choose_restart(tmp_path, "checkpoint_1_7.pt").checkpoint.path == other
    assert choose_restart(tmp_path, str(other)).checkpoint.path == other
    with pytest.raises(UserError, match="--restore-file: there is no checkpoint"):
        choose_restart(tmp_path, "checkpoint_9.pt")
    tear(other)
    with pytest.raises(UserError, match="newest whole one beside it is .*checkpoint_last.pt"):
        choose_restart(tmp_path, str(other))


def test_a_model_to_start_from_is_used_once(tmp_path):
    model = write(tmp_path / "pretrained.pt", 100)
    folder = tmp_path / "run"
    folder.mkdir()
    start = choose_restart(folder, finetune_from=str(model))
    assert start.checkpoint.path == model and start.is_new
    last = write(folder / "checkpoint_last.pt", 3)
    start = choose_restart(folder, finetune_from=str(model))
    assert start.checkpoint.path == last and not start.is_new


def test_the_newest_is_found_by_its_own_count(tmp_path):
    assert newest_whole(tmp_path) is None
    for number in (30, 200, 9):
        write(tmp_path / f"checkpoint_1_{number}.pt", number)
    assert newest_whole(tmp_path).num_updates == 200
