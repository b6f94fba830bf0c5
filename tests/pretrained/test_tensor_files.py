"""Weights in shards, in torch's own formats, and in files that have gone bad."""

import json
import random

import pytest
import torch
from safetensors.torch import load_file, save_file

from fairseq_plugin.errors import UserError
from tests.pretrained.made_folder import load


def test_sharded_weights_are_read(folder, original):
    expected, _ = load(original)
    shard(folder)
    network, _ = load(folder)
    for name, value in expected.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


def shard(folder):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weight_map = {}
    for number, part in enumerate((sorted(tensors)[::2], sorted(tensors)[1::2]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return weight_map


@pytest.mark.parametrize(
    "harm, named",
    [
        (lambda f, m: (f / "model-00002-of-00002.safetensors").unlink(), "model-00002"),
        (lambda f, m: m.update(dict.fromkeys(m, "../secret.safetensors")), "secret"),
        (lambda f, m: m.update(dict.fromkeys(m, 7)), "7"),
        (lambda f, m: m.pop("transformer.ln_f.bias"), "ln_f.bias"),
        (lambda f, m: m.update({"more": "model-00001-of-00002.safetensors"}), "more"),
        (lambda f, m: m.clear(), "no weight_map"),
    ],
)
def test_shards_that_disagree_are_refused(folder, harm, named):
    weight_map = shard(folder)
    harm(folder, weight_map)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(UserError, match=named):
        load(folder)


def test_a_pickle_of_tensors_is_read(folder):
    expected, _ = load(folder)
    pickle_weights(folder, load_file(folder / "model.safetensors"))
    network, _ = load(folder)
    for name, value in expected.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


def test_a_pickle_in_torchs_old_format_is_read_and_nothing_is_claimed_of_it(folder):
    """Models of 2019 are in it; it has no checksums."""
    expected, _ = load(folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    network, report = load(folder)
    for name, value in expected.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)
    assert "weights of this format have no checksum" in report
    torch.save(tensors, folder / "pytorch_model.bin")
    assert "all checksums hold" in load(folder)[1]


def pickle_weights(folder, content, **options):
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / "pytorch_model.bin", **options)


class Canary:
    """Unpickling this creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    "wrap", [lambda c: c, lambda c: {"wte.weight": c}, lambda c: {"wte.weight": torch.zeros(2), "x": [c]}]
)
@pytest.mark.parametrize("is_archive", [True, False])
def test_code_in_a_pickle_never_runs(folder, tmp_path, wrap, is_archive):
    canary = tmp_path / "code ran"
    pickle_weights(folder, wrap(Canary(canary)), _use_new_zipfile_serialization=is_archive)
    with pytest.raises(UserError, match=r"pytorch_model.bin is not a weights file that loads without"):
        load(folder)
    assert not canary.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)  # the canary works
    assert canary.exists()


@pytest.mark.parametrize("content", [[1, 2], {"wte.weight": 3}, torch.zeros(2)])
def test_a_pickle_of_anything_else_is_refused(folder, content):
    pickle_weights(folder, content)
    with pytest.raises(UserError, match="holds no tensors by name"):
        load(folder)


def mutate(data, rng):
    """One of the ways in which files go bad: cut, grown, bits or whole runs of bytes changed."""
    data = bytearray(data)
    kind = rng.randrange(5)
    header = int.from_bytes(data[:8], "little") + 8
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    if kind == 1:
        return bytes(data) + rng.randbytes(rng.randrange(1, 100))
    end = len(data) if kind == 2 else header if kind == 3 else 8
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(end)
        data[place] ^= 1 << rng.randrange(8)
    if kind == 3 and rng.random() < 0.5:
        place = rng.randrange(8, header)
        data[place : place + 9] = rng.randbytes(9)
    return bytes(data)


@pytest.mark.parametrize("cases", [200, pytest.param(2_000, marks=pytest.mark.slow)])
def test_mutated_weight_files_give_weights_or_clean_errors(folder, cases):
    original, rng = (folder / "model.safetensors").read_bytes(), random.Random(cases)
    refused = 0
    for _ in range(cases):
        (folder / "model.safetensors").unlink()  # it may still be mapped into memory
        (folder / "model.safetensors").write_bytes(mutate(original, rng))
        try:
            network, _ = load(folder)
        except UserError as error:
            assert "hf" in str(error)
            refused += 1
        else:  # a bit of a weight: nobody can tell, but it is a finite number
            assert all(torch.isfinite(p).all() for p in network.parameters())
    assert refused > cases / 2
