"""Damaged weights give one line and no numbers, wherever a checksum exists; absurd sizes take no memory."""

import json
import random
import tracemalloc
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import load_file

from fairseq_plugin.checksums import read_checksums
from fairseq_plugin.core.gpt2 import GPT2Config
from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained import tensor_files
from fairseq_plugin.pretrained.export import export_checkpoint
from fairseq_plugin.pretrained.hf_folder import read_folder, read_sizes
from fairseq_plugin.storage.torch_archive import in_memory
from fairseq_plugin.text.codec import load_codec
from tests.reference.gpt2_reference import hugging_face_model

FLIPS = 200


@pytest.fixture
def foreign(tmp_path):
    """A folder as transformers writes it, without a record of ours."""
    folder = tmp_path / "foreign"
    config = GPT2Config(vocab_size=21, n_positions=12, n_embd=8, n_layer=2, n_head=2)
    hugging_face_model(config).save_pretrained(folder)
    return folder


@pytest.fixture
def exported(tmp_path, checkpoint, data):
    export_checkpoint(checkpoint, data, tmp_path / "exported")
    return tmp_path / "exported"


def flipped(content, seed):
    bit = random.Random(seed).randrange(8 * len(content))
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def weights(folder):
    """Every number of a folder."""
    _, tensors = read_folder(folder)
    return {name: tensors[name] for name in tensors}


def pickled(folder, num_files):
    """Write the folder's weights in torch's own format, in one file or in shards."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if num_files == 1:
        torch.save(tensors, folder / "pytorch_model.bin")
        return [folder / "pytorch_model.bin"]
    weight_map = {
        name: f"pytorch_model-{number % num_files + 1:05}-of-{num_files:05}.bin"
        for number, name in enumerate(tensors)
    }
    for file in set(weight_map.values()):
        torch.save({name: tensors[name] for name in tensors if weight_map[name] == file}, folder / file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return [folder / file for file in sorted(set(weight_map.values()))]


@pytest.mark.parametrize("num_files", [1, 2])
def test_no_flip_in_a_pickled_weights_file_changes_a_number(foreign, num_files):
    expected = weights(foreign)
    refused = 0
    files = pickled(foreign, num_files)
    for seed in range(FLIPS):
        path = files[seed % num_files]
        content = path.read_bytes()
        path.write_bytes(flipped(content, seed))
        try:  # a flip in the archive's padding changes nothing
            found = weights(foreign)
        except UserError as error:
            assert path.name in str(error) and "\n" not in str(error)
            refused += 1
        else:
            assert all(torch.equal(found[name], expected[name]) for name in expected), seed
        path.write_bytes(content)
    assert refused > FLIPS / 3
    assert weights(foreign).keys() == expected.keys()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_every_flip_in_what_is_read_of_our_export_is_refused(exported, name):
    content = (exported / name).read_bytes()
    for seed in range(FLIPS):
        (exported / name).write_bytes(flipped(content, seed))
        with pytest.raises(UserError, match=f"{name} is not the file that was written"):
            weights(exported)
    (exported / name).write_bytes(content)
    assert weights(exported)


def test_every_flip_in_any_file_of_our_export_is_found_by_a_check(exported):
    names = sorted(path.name for path in exported.iterdir() if path.name != "README.md")
    assert len(names) == 9
    for name in names:
        content = (exported / name).read_bytes()
        for seed in range(FLIPS // 4):
            (exported / name).write_bytes(flipped(content, seed))
            with pytest.raises(UserError, match=r"checksums\.json"):
                read_checksums(exported).check_all()
        (exported / name).unlink()
        if name != "checksums.json":
            with pytest.raises(UserError, match=f"{name} is not the file"):
                read_checksums(exported).check_all()
        (exported / name).write_bytes(content)
    read_checksums(exported).check_all()


def test_a_file_that_is_written_while_it_is_read_is_refused(foreign, monkeypatch):
    """safetensors has no checksum by which a mixture of two models could be told."""

    @contextmanager
    def beside_a_writer(path):
        with in_memory(path) as stream:
            path.write_bytes(path.read_bytes() + b"\0")
            yield stream

    weights(foreign)
    monkeypatch.setattr(tensor_files, "in_memory", beside_a_writer)
    with pytest.raises(UserError, match=r"model.safetensors was written while it was read"):
        weights(foreign)


def test_a_damaged_tokenizer_of_our_export_is_refused(exported):
    assert load_codec(exported).encode("a tidy plot")
    for name in ("vocab.json", "merges.txt"):
        content = (exported / name).read_bytes()
        (exported / name).write_bytes(content.replace(b"t", b"w", 1))
        with pytest.raises(UserError, match=f"{name} is not the file that was written"):
            load_codec(exported)
        (exported / name).write_bytes(content)


def test_the_card_may_be_edited_and_the_record_removed(exported):
    (exported / "README.md").write_text("my model")
    read_checksums(exported).check_all()
    (exported / "checksums.json").unlink()
    (exported / "config.json").write_text((exported / "config.json").read_text() + "\n")
    assert weights(exported)


def reconfigure(folder, **values):
    old = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**old, **values}))


@pytest.mark.parametrize(
    "values, named",
    [
        ({"n_embd": 2**20}, "n_embd must be a whole number in 1 .. 65,536, not 1048576"),
        ({"vocab_size": 10**9}, "vocab_size must be .* not 1000000000"),
        ({"vocab_size": -1}, "vocab_size must be .* not -1"),
        ({"n_positions": 0}, "n_positions must be .* not 0"),
        ({"n_layer": -12}, "n_layer must be .* not -12"),
        ({"n_embd": 65_536, "n_head": 2}, r"config.json: vocab_size 21.*n_embd 65,536.* bytes"),
        ({"n_layer": 1000}, r"config.json: .*n_layer 1,000.* bytes"),
        ({"n_positions": 10_000_000}, r"config.json: .*n_positions 10,000,000.* bytes"),
        ({"vocab_size": 10_000_000}, r"config.json: vocab_size 10,000,000.* bytes"),
    ],
)
def test_absurd_sizes_are_refused_before_memory_is_taken(foreign, values, named):
    reconfigure(foreign, **values)
    tracemalloc.start()
    with pytest.raises(UserError, match=named):
        read_sizes(foreign)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_mutated_config_gives_sizes_that_fit_the_weights_or_one_line(foreign):
    """Its numbers have no checksum; what can be known is that no model is built beyond the files' size."""
    content, rng = (foreign / "config.json").read_bytes(), random.Random(5)
    num_bytes = (foreign / "model.safetensors").stat().st_size
    refused = 0
    for _ in range(500):
        damaged = bytearray(content)
        for _ in range(rng.randrange(1, 4)):
            place = rng.randrange(len(damaged))
            if rng.random() < 0.3:
                damaged[place:place] = rng.choice([b"9", b"000000", b"-", b"e9", b"\x00", b'"', b"}", b"NaN"])
            else:
                damaged[place] ^= 1 << rng.randrange(8)
        (foreign / "config.json").write_bytes(damaged)
        try:
            sizes = read_sizes(foreign)
            assert sizes["n_layer"] * 12 * sizes["n_embd"] ** 2 <= num_bytes
            read_folder(foreign)
        except UserError as error:
            assert "foreign" in str(error) and "\n" not in str(error)
            refused += 1
    assert refused > 100
