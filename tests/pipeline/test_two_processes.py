"""Training on two processes is the same training as on one; a process that was left alone does not train."""

import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fairseq.data import Dictionary, indexed_dataset

from tests.conftest import ROOT, child_environment

TRANSFORMER = (
    "--arch transformer_lm --decoder-layers 1 --decoder-embed-dim 16 --decoder-ffn-embed-dim 32 "
    "--decoder-attention-heads 2 --share-decoder-input-output-embed"
).split()
GPT2 = "--arch gpt2_tiny --n-layer 1 --n-embd 16 --n-head 2 --n-positions 32".split()
TRAINING = (
    "--task language_modeling --sample-break-mode complete --tokens-per-sample 32 --dropout 0 "
    "--criterion scale_grad --gamma 0.5 --optimizer fused_adamw --weight-decay 0.01 --lr 0.003 "
    "--clip-norm 1.0 --seed 7 --max-update 50 --batch-size 4 --cpu --num-workers 0 "
    "--no-epoch-checkpoints --disable-validation --no-progress-bar --log-format simple"
).split()


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A binarised text of 480 lines of different lengths: batches differ in their number of tokens."""
    folder = tmp_path_factory.mktemp("text")
    random_numbers = random.Random(0)
    lines = [
        " ".join(str(random_numbers.randrange(40) ** 2 // 40) for _ in range(random_numbers.randint(2, 20)))
        for _ in range(480)
    ]
    dictionary = Dictionary()
    for line in lines:
        dictionary.encode_line(line, add_if_not_exist=True)
    dictionary.save(str(folder / "dict.txt"))
    for split in ("train", "valid"):
        path = str(folder / f"{split}.bin")
        builder = indexed_dataset.make_builder(path, impl="mmap", vocab_size=len(dictionary))
        for line in lines:
            builder.add_item(dictionary.encode_line(line, add_if_not_exist=False))
        builder.finalize(str(folder / f"{split}.idx"))
    return folder


def start(text, save_dir, *words, **environment):
    """Start ``fairseq-train`` as it comes, without waiting for it."""
    command = [Path(sys.executable).parent / "fairseq-train", text, "--user-dir", ROOT / "fairseq_plugin"]
    return subprocess.Popen(
        [str(word) for word in [*command, *TRAINING, "--save-dir", save_dir, *words]],
        env=child_environment(**environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finish(*processes):
    """Wait for all; the output of each."""
    try:
        outputs = [process.communicate(timeout=240)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, output in zip(processes, outputs):
        assert process.returncode == 0, output[-3000:]
    return outputs


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def weights(folder):
    return torch.load(folder / "checkpoint_last.pt", weights_only=True)["model"]


@pytest.mark.slow
@pytest.mark.parametrize("model", [TRANSFORMER, GPT2], ids=["transformer_lm", "gpt2"])
def test_two_processes_train_the_weights_of_one(text, tmp_path, model):
    """50 updates without dropout; one process takes two batches per update (--update-freq 2)."""
    port = free_port()
    finish(
        start(text, tmp_path / "one", *model, "--update-freq", 2),
        *(
            start(
                text,
                tmp_path / "two",
                *model,
                "--distributed-backend",
                "gloo",
                "--ddp-backend",
                "legacy_ddp",
                "--distributed-world-size",
                2,
                "--distributed-rank",
                rank,
                "--distributed-no-spawn",
                "--distributed-init-method",
                f"tcp://127.0.0.1:{port}",
            )  # fmt: skip
            for rank in (0, 1)
        ),
    )
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert (value.double() - two[name].double()).abs().max() <= 1e-5, name


def test_a_process_of_several_that_was_left_alone_refuses_to_train(text, tmp_path):
    """What torchrun does on a machine where fairseq counts one device."""
    process = start(text, tmp_path / "alone", *TRANSFORMER, WORLD_SIZE=2, RANK=0, LOCAL_RANK=0)
    output = process.communicate(timeout=240)[0]
    assert process.returncode not in (0, None)
    assert "error: WORLD_SIZE=2 in the environment" in output and "--distributed-world-size 2" in output
    assert "Traceback" not in output
    assert not (tmp_path / "alone").exists() or not list((tmp_path / "alone").glob("*.pt"))
