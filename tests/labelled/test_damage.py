"""A flipped bit in any file of a prepared folder is seen by every reader that uses the file."""

import json
import logging
import shutil
from pathlib import Path

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.binary import check_split, read_prepared_rows, read_texts
from fairseq_plugin.labelled.label_folders import write_label_folders
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.prepare import prepare
from fairseq_plugin.text.codec import load_codec
from tests.labelled.made_data import request_for
from tests.storage.damage import flipped_bits


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder of 40 rows with an id beside each."""
    to = tmp_path_factory.mktemp("data")
    rows = [f"{number}\tsentence number {number}\t{'ab'[number % 2]}\n" for number in range(40)]
    (to / "train.tsv").write_text("id\tsentence\tlabel\n" + "".join(rows), "utf-8")
    prepare(request_for(to, to / "train.tsv"))
    return to / "prepared"


@pytest.fixture
def folder(prepared, tmp_path):
    return Path(shutil.copytree(prepared, tmp_path / "copy"))


def write_folders(folder):
    write_label_folders(folder / "out", {"train": [(0, "a"), (1, "b")]}, folder)


READERS = {
    "train.bin": lambda folder: read_texts(folder, "train"),
    "train.idx": lambda folder: read_texts(folder, "train"),
    "train.labels.npy": lambda folder: read_texts(folder, "train"),
    "train.rows.npy": lambda folder: read_prepared_rows(folder, "train"),
    "train.cells.jsonl": lambda folder: read_prepared_rows(folder, "train"),
    "vocab.json": lambda folder: read_texts(folder, "train"),
    "merges.txt": load_codec,
    "codec.json": load_codec,
    "dict.txt": write_folders,
    "manifest.json": Manifest.load,
}


@pytest.mark.parametrize("name", READERS)
def test_no_flipped_bit_goes_unnoticed(folder, name):
    others = {f"valid{end}" for end in (".bin", ".idx", ".labels.npy", ".rows.npy", ".cells.jsonl")}
    assert set(READERS) | others == {path.name for path in folder.iterdir()}
    named = r"manifest\.json|codec\.json" if "json" in name else name
    READERS[name](folder)
    shutil.rmtree(folder / "out", ignore_errors=True)
    for position in flipped_bits(folder / name, 200):
        with pytest.raises(UserError, match=named) as caught:
            READERS[name](folder)
            pytest.fail(f"byte {position} of {name}")
        assert "\n" not in str(caught.value)
    READERS[name](folder)


def test_training_and_generation_see_them_too(folder):
    for name in ("train.bin", "train.idx", "train.labels.npy", "train.rows.npy", "dict.txt"):
        for _ in flipped_bits(folder / name, 20):
            with pytest.raises(UserError, match=name):
                check_split(folder, "train", deep=True)


def test_a_manifest_of_the_first_version_is_read_with_a_warning(folder, caplog):
    path = folder / "manifest.json"
    stated = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**stated, "version": 1} | {"digest": None}), "utf-8")
    with caplog.at_level(logging.WARNING):
        assert read_texts(folder, "train")
    assert caplog.text.count("older version, without a checksum") == 1
    path.write_text(json.dumps(stated | {"version": 1}), "utf-8")  # not a step back: it has a digest
    with pytest.raises(UserError, match="checksum does not hold"):
        Manifest.load(folder)


def test_a_manifest_may_be_laid_out_otherwise(folder):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")), sort_keys=True), "utf-8")
    assert Manifest.load(folder).labels[0].name == "a"
