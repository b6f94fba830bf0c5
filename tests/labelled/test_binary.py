"""fairseq reads what we write; damage is seen before fairseq would trust it."""

import json
import random
import shutil
from pathlib import Path

import pytest
import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled import binary, label_folders
from fairseq_plugin.labelled.manifest import Manifest
from tests.labelled.made_data import SIZES, prepare_reviews
from tests.storage.damage import state_again

ENDS = (".bin", ".idx", ".labels.npy", ".rows.npy")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare_reviews(tmp_path_factory.mktemp("reviews"))[1]


@pytest.fixture
def folder(prepared, tmp_path):
    return Path(shutil.copytree(prepared, tmp_path / "copy"))


def test_fairseq_reads_dictionary_and_rows(prepared):
    from fairseq.data import Dictionary, data_utils

    dictionary = Dictionary.load(str(prepared / "dict.txt"))
    assert len(dictionary) == Manifest.load(prepared).vocabulary
    for split, count in SIZES.items():
        dataset = data_utils.load_indexed_dataset(str(prepared / split), dictionary)
        items = binary.read_items(prepared, split)
        assert len(dataset) == len(items) == count
        for ours, theirs in zip(items, dataset, strict=True):
            assert torch.equal(torch.from_numpy(ours), theirs)
            assert theirs[-1] == dictionary.eos()


def test_a_symbol_is_its_id(prepared):
    from fairseq.data import Dictionary

    from fairseq_plugin.text.codec import load_codec

    dictionary, codec = Dictionary.load(str(prepared / "dict.txt")), load_codec(prepared)
    label, text = binary.read_texts(prepared, "train")[0]
    item = binary.read_items(prepared, "train")[0]
    prompt = Manifest.load(prepared).labels[label].prompt
    symbols = [dictionary[index] for index in item]
    assert symbols[len(prompt) :] == [*map(str, codec.encode(text)), "</s>"]


def test_a_whole_folder_passes(folder):
    for split in SIZES:
        binary.check_split(folder, split)
        binary.check_split(folder, split, deep=True)


def test_every_cut_file_is_noticed(folder):
    generator = random.Random(14)
    for end in ENDS:
        path = folder / f"valid{end}"
        content = path.read_bytes()
        cuts = {0, 1, len(content) - 1, *(generator.randrange(len(content)) for _ in range(10))}
        for cut in cuts:
            path.write_bytes(content[:cut])
            with pytest.raises(UserError, match=f"valid.{end[1:]}".replace(".npy", "")):
                binary.check_split(folder, "valid")
        path.write_bytes(content + b"\0\0")
        if not end.endswith(".npy"):  # numpy reads no further than its header says
            with pytest.raises(UserError, match=f"valid.{end[1:]}"):
                binary.check_split(folder, "valid")
        path.write_bytes(content)
    binary.check_split(folder, "valid", deep=True)


def test_every_flipped_bit_is_noticed_by_the_deep_check(folder):
    generator = random.Random(15)
    for number in range(500):
        path = folder / generator.choice([*(f"valid{end}" for end in ENDS), "dict.txt"])
        content = bytearray(path.read_bytes())
        where, bit = generator.randrange(len(content)), 1 << generator.randrange(8)
        content[where] ^= bit
        path.write_bytes(content)
        with pytest.raises(UserError, match=path.name.split(".")[0]):
            binary.check_split(folder, "valid", deep=True)
        content[where] ^= bit
        path.write_bytes(content)
        assert number >= 0
    binary.check_split(folder, "valid", deep=True)


def test_a_flipped_bit_in_the_index_is_noticed_without_the_deep_check(folder):
    generator, path = random.Random(16), folder / "valid.idx"
    content = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(content)
        damaged[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"valid\.(idx|bin)"):
            binary.check_split(folder, "valid")


def test_a_header_that_opens_a_bracket_is_damage_too(folder):
    path = folder / "train.labels.npy"
    content = path.read_bytes()
    path.write_bytes(content.replace(b")", b"(", 1))
    with pytest.raises(UserError, match="train.labels.npy"):
        binary.load_array(path)


@pytest.mark.parametrize("end", ENDS)
def test_a_missing_file_is_named(folder, end):
    (folder / f"train{end}").unlink()
    with pytest.raises(UserError, match=f"train{end}"):
        binary.check_split(folder, "train")


def test_files_of_another_split_are_noticed(folder):
    for end in (".bin", ".idx"):
        shutil.copy(folder / f"test{end}", folder / f"valid{end}")
    with pytest.raises(UserError, match=r"valid\.idx is damaged: 1295 tokens where 1796"):
        binary.check_split(folder, "valid")


def test_a_row_that_does_not_begin_with_its_label_is_noticed(folder):
    path = folder / "valid.bin"
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    state_again(folder)
    with pytest.raises(UserError, match=r"valid\.bin row 0"):
        binary.read_texts(folder, "valid")


def test_an_unknown_split_is_told(folder):
    with pytest.raises(UserError, match="has no split 'dev'; it has train, valid, test"):
        binary.check_split(folder, "dev")


MANIFESTS = {
    "": "damaged",
    "{": "damaged",
    "[]": "not a manifest of labelled data",
    '{"format": "augment"}': "not a manifest of labelled data",
    '{"format": "labelled", "version": 3}': "version 3",
    '{"format": "labelled", "version": 1}': "damaged",
    "[" * 100_000: "damaged",
}


@pytest.mark.parametrize("content", MANIFESTS, ids=lambda content: content[:20])
def test_a_foreign_or_damaged_manifest_is_refused(folder, content):
    (folder / "manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=MANIFESTS[content]):
        Manifest.load(folder)


def test_a_manifest_with_any_field_missing_is_refused(folder):
    stated = json.loads((folder / "manifest.json").read_text("utf-8"))
    for key in stated:
        (folder / "manifest.json").write_text(
            json.dumps({name: value for name, value in stated.items() if name != key}), encoding="utf-8"
        )
        with pytest.raises(UserError, match=r"manifest\.json"):
            Manifest.load(folder)


def test_a_missing_folder_or_manifest_is_told(tmp_path):
    with pytest.raises(UserError, match=r"no folder .*prepare_labelled\.py"):
        Manifest.load(tmp_path / "missing")
    with pytest.raises(UserError, match=r"has no manifest\.json"):
        Manifest.load(tmp_path)


def test_a_label_is_found_by_name_or_text(prepared):
    manifest = Manifest.load(prepared)
    assert manifest.label("positive") is manifest.labels[1]
    with pytest.raises(UserError, match="unknown label 'neutral'; this data has 'negative', 'positive'"):
        manifest.label("neutral")


def written(prepared, destination):
    rows = {split: binary.read_texts(prepared, split) for split in ("train", "valid")}
    label_folders.write_label_folders(destination, rows, prepared)
    return rows


def test_sentence_prediction_loads_the_label_folders(prepared, tmp_path):
    from fairseq.data import Dictionary
    from fairseq.tasks.sentence_prediction import SentencePredictionConfig, SentencePredictionTask

    rows = written(prepared, tmp_path / "out")
    config = SentencePredictionConfig(data=str(tmp_path / "out"), num_classes=2, no_shuffle=True)
    config.regression_target, config.classification_head_name, config.seed = False, "head", 1
    task = SentencePredictionTask.setup_task(config)
    dictionary = Dictionary.load(str(tmp_path / "out" / "label" / "dict.txt"))
    assert dictionary.symbols[4:] == ["negative", "positive"]
    for split, pairs in rows.items():
        dataset = task.load_dataset(split)
        batch = dataset.collater([dataset[n] for n in range(len(pairs))])
        assert batch["target"].view(-1).tolist() == [label for label, _ in pairs]
        assert batch["net_input"]["src_tokens"].shape[0] == len(pairs)


def test_label_names_that_a_dictionary_cannot_hold_become_positions():
    assert label_folders.label_symbols(["a", "b"]) == ["a", "b"]
    for names in (["a b", "c"], ["<s>", "c"], ["a\u2028", "c"], ["", "c"]):
        assert label_folders.label_symbols(names) == ["label0", "label1"]


@pytest.mark.slow
def test_fairseq_train_learns_from_the_label_folders(prepared, tmp_path, run_stock):
    written(prepared, tmp_path / "out")
    done = run_stock(
        "fairseq-train", tmp_path / "out", "--task", "sentence_prediction", "--num-classes", "2",
        "--criterion", "sentence_prediction", "--init-token", "0", "--arch", "roberta",
        "--max-positions", "128",
        "--encoder-layers", "1", "--encoder-embed-dim", "16", "--encoder-ffn-embed-dim", "16",
        "--encoder-attention-heads", "2", "--optimizer", "adam", "--lr", "0.001", "--batch-size", "8",
        "--max-update", "2", "--cpu", "--no-save", "--log-format", "simple", "--disable-validation",
        "--find-unused-parameters", "--data-buffer-size", "0",  # or its thread may outlive the interpreter
        user_dir=None,
    )  # fmt: skip
    assert "done training" in done.stdout + done.stderr
