"""From scratch to a Hugging Face folder and on from there, by the stock commands."""

import numpy as np
import pytest
import torch
from fairseq.data import indexed_dataset

from tests.pretrained.conftest import TEXTS, write_data


@pytest.fixture
def training_data(tmp_path, codec):
    """A binarised language-modelling folder that carries its tokenizer."""
    folder = write_data(tmp_path / "data", codec, range(codec.num_ids))
    for split in ("train", "valid"):
        builder = indexed_dataset.make_builder(str(folder / f"{split}.bin"), impl="mmap", vocab_size=1000)
        for ids in codec.encode_batch(TEXTS):
            builder.add_item(torch.from_numpy(np.array([i + 4 for i in ids] + [2])))
        builder.finalize(str(folder / f"{split}.idx"))
    return folder


@pytest.mark.slow
def test_training_goes_on_from_an_exported_folder(training_data, run_stock, run_script, tmp_path):
    def train(to, *flags):
        run_stock(
            "fairseq-train", training_data, "--task", "language_modeling", "--tokens-per-sample", 32, "--cpu",
            "--max-tokens", 256, "--criterion", "cross_entropy", "--optimizer", "adam", "--max-update", 2,
            "--save-dir", tmp_path / to, *flags,
        )  # fmt: skip
        return tmp_path / to / "checkpoint_last.pt"

    sizes = ("--n-layer", 2, "--n-embd", 32, "--n-head", 2, "--n-positions", 32)
    first = train("first", "--arch", "gpt2_tiny", *sizes, "--lr", 1e-3)
    run_script("convert_gpt2.py", "export", first, "--data", training_data, "--to", tmp_path / "hf")
    # With a learning rate of 0 nothing but the import decides the weights; --arch is corrected by the folder.
    second = train("second", "--arch", "gpt2_mini", "--pretrained-model", tmp_path / "hf", "--lr", 0)
    before, after = (torch.load(path, weights_only=True) for path in (first, second))
    for name, value in before["model"].items():
        if name == "decoder.gpt2.wte.weight":  # <s>, <pad> and <unk> have no row in the folder
            value[[0, 1, 3]] = 0
        assert torch.equal(value, after["model"][name]), name
    assert after["cfg"]["model"]["pretrained_model"] is None
    assert (after["cfg"]["model"]["n_layer"], after["cfg"]["model"]["n_positions"]) == (2, 32)
    for file in (tmp_path / "hf").iterdir():
        file.unlink()
    done = run_stock(
        "fairseq-eval-lm", training_data, "--path", second, "--gen-subset", "valid", "--cpu",
        "--tokens-per-sample", 32, "--batch-size", 4,
    )  # fmt: skip
    assert "Perplexity" in done.stdout + done.stderr
