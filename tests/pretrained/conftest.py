"""A small trained tokenizer, its data folder, and a checkpoint as fairseq's trainer writes one."""

import pytest
import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.pretrained.vocabulary import fingerprint, read_symbols
from fairseq_plugin.text.codec import load_codec, train_bytes_codec
from tests.pretrained.made_folder import CONFIG
from tests.reference.gpt2_reference import hugging_face_model

SIZES = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 24, "layer_norm_epsilon": 1e-5}
TEXTS = [
    "a tidy little film , full of wit",
    "the plot is thin and the wit thinner",
    "a full and tidy plot",
] * 20


@pytest.fixture(scope="session")
def codec():
    return train_bytes_codec(TEXTS, 290)


@pytest.fixture(scope="session")
def other_codec(codec):
    """Another tokenizer with as many ids."""
    other = train_bytes_codec([text[::-1] for text in TEXTS], codec.num_ids)
    assert other.num_ids == codec.num_ids
    return other


@pytest.fixture
def data(tmp_path, codec):
    """A prepared folder: the tokenizer and a dictionary of all its ids."""
    return write_data(tmp_path / "data", codec, range(codec.num_ids))


def write_data(folder, codec, ids):
    folder.mkdir()
    codec.save(folder)
    (folder / "dict.txt").write_text("".join(f"{i} 1\n" for i in ids), encoding="utf-8")
    return folder


@pytest.fixture
def network(data):
    """Random weights over the dictionary of ``data``; the rows of symbols without a token are zero."""
    torch.manual_seed(3)
    network = GPT2(GPT2Config(vocab_size=len(read_symbols(data / "dict.txt")), **SIZES)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        network.wte.weight[[0, 1, 3]] = 0
        network.wte.weight[network.config.vocab_size :] = 0
    return network


def write_checkpoint(path, network, data, **changes):
    weights = {f"decoder.gpt2.{name}": value for name, value in network.state_dict().items()}
    weights["decoder.dictionary_fingerprint"] = torch.tensor(
        fingerprint(read_symbols(data / "dict.txt"), load_codec(data))
    )
    torch.save(
        {"args": None, "cfg": {"model": {"_name": "gpt2", **SIZES}}, "model": weights, **changes}, path
    )
    return path


@pytest.fixture
def checkpoint(tmp_path, network, data):
    return write_checkpoint(tmp_path / "checkpoint.pt", network, data)


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    hugging_face_model(CONFIG).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    """A copy of the folder to do harm to."""
    copy = tmp_path / "hf"
    copy.mkdir()
    for name in ("config.json", "model.safetensors"):
        (copy / name).write_bytes((original / name).read_bytes())
    return copy
