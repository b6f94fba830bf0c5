"""Rows in any form and any number of files read back equal, in other tools too."""

import csv
import json
import sys

import pytest

from fairseq_plugin.augment.jobs.row_files import output_spec, write_parts
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled.rows import Row, SourceSpec, stream_rows

TSV = SourceSpec("tsv", True, ["sentence", "label"], suffix=" ")
CSV = SourceSpec("csv", True, ["id", "stars", "review"], 2, 1, quoting=True)
BARE = SourceSpec("tsv", False, [None, None], 1, 0)
ROWS = [Row(f"text {n}, so \u4f60\u597d 'it'", "1" if n % 3 else "0") for n in range(25)]


@pytest.mark.parametrize("form", ["tsv", "csv", "jsonl"])
@pytest.mark.parametrize("source", [TSV, CSV, BARE], ids=["tsv", "csv", "bare"])
@pytest.mark.parametrize("per_file", [None, 1, 10, 25, 100])
def test_parts_hold_all_rows_in_order(tmp_path, form, source, per_file):
    spec = output_spec(source, form)
    files = write_parts(tmp_path, "train", iter(ROWS), len(ROWS), spec, ["0", "1"], per_file)
    read = [row for name in files for row in stream_rows(tmp_path / name, spec)]
    assert [(row.text, row.label) for row in read] == [(row.text, row.label) for row in ROWS]
    assert len(files) == -(-25 // (per_file or 25)) and sorted(files) == list(files)
    assert all(sha256(tmp_path / name) == file.sha256 for name, file in files.items())


@pytest.mark.parametrize("form", ["tsv", "csv", "jsonl"])
def test_scores_are_a_column_more(tmp_path, form):
    spec = output_spec(TSV, form, ["log_probability"])
    cells = {"sentence": None, "label": None, "log_probability": -1.25}
    row = Row("a film", "1", cells=cells if form == "jsonl" else ["", "", "-1.25"])
    (name,) = write_parts(tmp_path, "train", [row], 1, spec, ["1"])
    with open(tmp_path / name, encoding="utf-8", newline="") as stream:
        if form == "jsonl":
            assert json.loads(stream.read()) == {"sentence": "a film", "label": "1", "log_probability": -1.25}
            return
        (found,) = csv.DictReader(stream, delimiter="\t" if form == "tsv" else ",")
    assert {key: value.strip() for key, value in found.items()} == {
        "sentence": "a film", "label": "1", "log_probability": "-1.25"
    }  # fmt: skip


def test_columns_keep_their_order_and_names_in_another_form():
    spec = output_spec(CSV, "jsonl")
    assert spec.columns == ["stars", "review"] and (spec.text_key, spec.label_key) == ("review", "stars")
    assert output_spec(BARE, "csv").columns == ["text", "label"]
    assert output_spec(CSV, None) == CSV


def test_scores_without_a_header_or_over_a_column_are_refused():
    with pytest.raises(UserError, match="--scores.*header"):
        output_spec(BARE, None, ["log_probability"])
    with pytest.raises(UserError, match="--scores.*column 'label'"):
        output_spec(TSV, None, ["label"])


def test_more_or_fewer_rows_than_announced_are_a_bug(tmp_path):
    for announced in (24, 26):
        with pytest.raises(AssertionError):
            write_parts(tmp_path, "train", iter(ROWS), announced, output_spec(TSV, None), ["0", "1"])


def test_without_pyarrow_one_line_tells_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UserError, match=r"--format parquet .*pip install"):
        write_parts(tmp_path, "train", ROWS, len(ROWS), output_spec(TSV, "parquet"), ["0", "1"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("literal", [False, True])
def test_parquet_reads_back_equal_in_pandas(tmp_path, literal):
    import pandas

    source = SourceSpec("jsonl", False, ["text", "y"], literal_labels=literal)
    spec = output_spec(source, "parquet", ["log_probability"])
    rows = [
        Row(f"a\tb\n{n} \U0001f600", str(n % 2), cells={"text": None, "y": None, "log_probability": -n / 4})
        for n in range(25)
    ]
    files = write_parts(tmp_path, "train", iter(rows), 25, spec, ["0", "1"], 10)
    read = [row for name in files for row in stream_rows(tmp_path / name, spec)]
    assert [(row.text, row.label, row.cells) for row in read] == [
        (row.text, row.label, row.cells) for row in rows
    ]
    frame = pandas.concat([pandas.read_parquet(tmp_path / name) for name in files])
    assert list(frame.columns) == ["text", "y", "log_probability"]
    assert list(frame["text"]) == [row.text for row in rows]
    assert list(frame["y"]) == [int(row.label) if literal else row.label for row in rows]
    assert list(frame["log_probability"]) == [-n / 4 for n in range(25)]
