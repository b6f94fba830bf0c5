"""What is asked of augmentation, checked before anything is written."""

from pathlib import Path

import pytest

from fairseq_plugin.augment.pipeline.request import AugmentRequest
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.reading_flags import ReadingOptions


def write(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("sentence\tlabel\n")
    return folder


def test_a_folder_gives_its_splits_whatever_valid_is_called(tmp_path):
    folder = write(tmp_path / "d", "train.csv", "dev.tsv", "test.jsonl", "other.txt")
    files = AugmentRequest(source=folder, to=tmp_path).files()
    assert {split: path.name for split, path in files.items()} == {
        "train": "train.csv", "valid": "dev.tsv", "test": "test.jsonl",
    }  # fmt: skip


def test_a_file_is_train_and_valid_may_be_named(tmp_path):
    folder = write(tmp_path / "d", "my.tsv", "v.tsv")
    files = AugmentRequest(source=folder / "my.tsv", valid=folder / "v.tsv", to=tmp_path).files()
    assert files == {"train": folder / "my.tsv", "valid": folder / "v.tsv"}


def test_a_file_whose_ending_tells_no_form_is_refused_with_what_helps(tmp_path):
    folder = write(tmp_path / "d", "my.txt", "train.ndjson")
    with pytest.raises(UserError, match=r"my\.txt: its ending is none of \.tsv.*--source-format"):
        AugmentRequest(source=folder / "my.txt", to=tmp_path).files()
    told = AugmentRequest(
        source=folder / "my.txt", to=tmp_path, reading=ReadingOptions(source_format="tsv")
    ).files()
    assert told == {"train": folder / "my.txt"}
    assert AugmentRequest(source=folder, to=tmp_path).files() == {"train": folder / "train.ndjson"}


@pytest.mark.parametrize("names", [("train.tsv", "train.csv"), ("train.tsv", "dev.tsv", "valid.tsv")])
def test_two_files_for_one_split_are_refused_by_name(tmp_path, names):
    folder = write(tmp_path / "d", *names)
    with pytest.raises(UserError, match=r"holds .*\.tsv.*keep one of them"):
        AugmentRequest(source=folder, to=tmp_path).files()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "give a labelled file or folder"),
        ({"source": Path("a"), "data": Path("b")}, "give a labelled file or folder"),
        ({"source": Path("a"), "path": Path("b")}, "--path b needs --data"),
        ({"source": Path("a"), "gamma": 0.0}, "--gamma 0.0"),
        ({"source": Path("a"), "gamma": float("nan")}, "--gamma nan"),
        ({"source": Path("a"), "seed": -1}, "--seed -1"),
        ({"source": Path("a"), "epochs": 0}, "--epochs 0"),
        ({"source": Path("a"), "seed": 1.5}, "--seed 1.5: give a whole number"),
        ({"source": Path("a"), "epochs": "3"}, "--epochs '3': give a whole number"),
        ({"source": Path("a"), "temperature": "a"}, "--temperature 'a': give a number"),
        ({"source": Path("a"), "temperature": 0.0}, "--temperature 0.0"),
        ({"source": Path("a"), "top_p": 1.5}, "--top-p 1.5"),
        ({"source": Path("a"), "max_len": 0}, "--max-len 0"),
        ({"source": Path("a"), "valid": Path("/none.tsv")}, "--valid /none.tsv: there is no such file"),
        ({"source": Path("a"), "pretrained": Path("/none")}, "--from /none is not a folder"),
        ({"data": Path("/none")}, "--data /none is not a folder"),
        (
            {"data": Path("d"), "reading": ReadingOptions(header="no", held_out=0.2)},
            "--data d is prepared: leave out --header no --held-out 0.2, or give the file",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_flag(tmp_path, options, error):
    with pytest.raises(UserError, match=error):
        AugmentRequest(to=tmp_path, **options).check()


def test_a_source_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="none.tsv: there is no such file or folder"):
        AugmentRequest(source=tmp_path / "none.tsv", to=tmp_path).files()
    with pytest.raises(UserError, match="holds none of train.tsv, train.csv, train.jsonl"):
        AugmentRequest(source=tmp_path, to=tmp_path).files()
