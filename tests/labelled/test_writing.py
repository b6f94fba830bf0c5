"""What is written reads back equal: here, in csv, in pandas and line by line; real rows keep every column."""

import csv
import json

import pytest

from fairseq_plugin.labelled.binary import keeps_other_columns, read_prepared_rows
from fairseq_plugin.labelled.guess import guess_source
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.prepare import prepare
from fairseq_plugin.labelled.rows import Row, SourceSpec, read_raw_rows, read_rows, representable, write_rows
from fairseq_plugin.labelled.writing import MISSING
from tests.labelled.made_data import request_for, table, write
from tests.text.random_texts import random_texts

SPECS = {
    "tsv": SourceSpec("tsv", True, ["sentence", "label"]),
    "tsv quoted": SourceSpec("tsv", True, ["label", "sentence"], 1, 0, quoting=True),
    "csv": SourceSpec("csv", True, ["sentence", "label"], quoting=True),
    "csv bare": SourceSpec("csv", True, ["sentence", "label"]),
    "jsonl": SourceSpec("jsonl", False, ["sentence", "label"]),
}
SPECIAL = [
    "a\rb", "a\r\nb", "a\0b", "a\x1bb", "\ufeffa", "a\x85b", "a\u2028b", "a\x0cb", "a\x1cb", '"a',
    'a "b" c', "a,b",
    "'a", "=1+1", "+1", "-1", "@a", "#a", "\\", "a\\", "NA", "None", "null", "nan", "1", "1e5", "true",
    "\ud800", "é" * 9, "x" * 131_072, "x" * 131_073, "a\nb", "a\tb",
]  # fmt: skip


def rows_for(spec):
    texts = [*SPECIAL, *random_texts(1500, seed=3, longest=8)]
    return [Row(text, "x") for text in texts if representable(text, spec)] + [Row("the end", "y")]


@pytest.mark.parametrize("name", SPECS)
def test_csv_and_readlines_give_the_rows_back(tmp_path, name):
    spec, path = SPECS[name], tmp_path / "file"
    rows = rows_for(spec)
    assert len(rows) > 500
    write_rows(path, rows, spec)
    texts = [row.text for row in rows]
    assert [row.text for row in read_rows(path, spec)[0]] == texts
    lines = open(path, encoding="utf-8").readlines()  # noqa: SIM115
    assert "".join(lines).encode() == path.read_bytes()
    if name == "jsonl":
        assert [json.loads(line)["sentence"] for line in lines] == texts
        assert path.read_text("utf-8").splitlines() == [line.removesuffix("\n") for line in lines]
        return
    quoting = csv.QUOTE_MINIMAL if spec.quoting else csv.QUOTE_NONE
    with open(path, newline="", encoding="utf-8") as stream:
        found = list(csv.reader(stream, delimiter="," if "csv" in name else "\t", quoting=quoting))
    assert [cells[spec.text_column] for cells in found[1:]] == texts
    if not spec.quoting:
        assert len(lines) == len(rows) + 1


@pytest.mark.parametrize("name", SPECS)
def test_pandas_gives_the_rows_back(tmp_path, name):
    pandas = pytest.importorskip("pandas", reason="pandas is not a dependency; install it to run this")
    spec, path = SPECS[name], tmp_path / "file"
    rows = rows_for(spec)
    write_rows(path, rows, spec)
    if name == "jsonl":
        frame = pandas.read_json(path, lines=True)
    else:
        quoting = {} if spec.quoting else {"quoting": csv.QUOTE_NONE}
        frame = pandas.read_csv(path, sep="," if "csv" in name else "\t", **quoting)
    assert frame["sentence"].tolist() == [row.text for row in rows]
    assert frame["label"].tolist() == [row.label for row in rows]


def test_what_other_tools_would_misread_is_not_representable():
    tsv, quoted, jsonl = SPECS["tsv"], SPECS["csv"], SPECS["jsonl"]
    for text in ("a\rb", "a\0b", "NA", "None", "x" * 131_073, "\ud800"):
        assert not representable(text, tsv) and not representable(text, quoted)
    assert representable("a\nb", quoted) and not representable("a\nb", tsv)
    assert all(representable(text, jsonl) for text in ("a\rb", "a\0b", "NA", "a\u2028b"))
    assert not representable("\ud800", jsonl)
    assert all(representable(text, tsv) for text in ("=1+1", '"a', "a\x85b", "nano", "none"))


def test_the_list_of_missing_values_is_pandas_own():
    parsers = pytest.importorskip("pandas._libs.parsers", reason="pandas is not a dependency")
    assert MISSING | {""} == parsers.STR_NA_VALUES


def test_real_rows_are_written_even_if_other_tools_misread_them(tmp_path):
    rows = [Row("None", "x"), Row("a\rb", "x")]
    write_rows(tmp_path / "t", rows, SPECS["tsv"])
    assert read_rows(tmp_path / "t", SPECS["tsv"])[0] == [Row("None", "x", 2), Row("a\rb", "x", 3)]


SOURCES = {
    "x.tsv": 'id\tsentence\tlabel\tnote\n7\ta "b\t1\tn,1\n007\tc d \t0\t\n8\te f\t1\t z \n9\tg\t0\tlast\n',
    "x.csv": 'id,label,sentence\n"7,5",1,"a, ""b"""\n8,0,"c\nd"\n9,1,e\n10,0,f\n',
    "x.jsonl": '{"id": 7, "text": "a", "label": 1, "tags": ["x", null]}\n{"label": 0, "text": "b"}\n'
    '{"text": "c", "label": 1, "id": 3.5}\n{"text": "d", "label": 0, "z": {"y": "\\u00e9\\r"}}\n',
}


@pytest.mark.parametrize("name", SOURCES)
def test_real_rows_keep_every_column_as_it_was(tmp_path, name):
    path = tmp_path / name
    path.write_text(SOURCES[name], "utf-8", newline="")
    spec, _ = guess_source(path)
    spec.keep_whitespace = True
    write_rows(tmp_path / "again", read_raw_rows(path, spec)[0], spec)
    if name == "x.jsonl":
        first, second = ([json.loads(line) for line in open(file)] for file in (path, tmp_path / "again"))  # noqa: SIM115
        assert first == second and [*map(list, first)] == [*map(list, second)]
    else:
        assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", SOURCES)
def test_a_prepared_folder_keeps_the_other_columns(tmp_path, name):
    path = write(tmp_path, name, SOURCES[name])
    manifest = prepare(request_for(tmp_path, path, valid=path, max_bytes=200)).manifest
    rows = read_prepared_rows(tmp_path / "prepared", "train")
    raw = read_raw_rows(path, manifest.source)[0]
    assert [(row.text, row.label, row.line, row.cells) for row in rows] == [
        (row.text.strip(), row.label, row.line, row.cells) for row in raw
    ]
    assert keeps_other_columns(manifest, "train") and any(row.cells for row in rows)
    write_rows(tmp_path / "out", [*rows, Row("new", "1")], manifest.source)
    found = [row.text for row in read_rows(tmp_path / "out", manifest.source)[0]]
    assert found == [*(row.text for row in rows), "new"]


def test_two_columns_need_no_further_file(tmp_path):
    path = write(tmp_path, "t.tsv", table(9))
    manifest = prepare(request_for(tmp_path, path, valid=path)).manifest
    assert not list((tmp_path / "prepared").glob("*.cells.jsonl"))
    assert keeps_other_columns(manifest, "train")
    assert [row.cells for row in read_prepared_rows(tmp_path / "prepared", "train")] == [None] * 9


def test_a_folder_prepared_before_columns_were_kept_says_so(tmp_path):
    path = write(tmp_path, "x.tsv", SOURCES["x.tsv"])
    prepare(request_for(tmp_path, path, valid=path))
    manifest = Manifest.load(tmp_path / "prepared")
    del manifest.files["train.cells.jsonl"]
    assert not keeps_other_columns(manifest, "train")


def test_columns_are_found_by_name_in_a_file_of_another_order(tmp_path):
    train = write(tmp_path, "x.tsv", SOURCES["x.tsv"])
    valid = write(tmp_path, "v.tsv", "label\textra\tid\tsentence\n1\tx\t70\th i\n0\ty\t71\tj\n")
    prepare(request_for(tmp_path, train, valid=valid))
    assert [row.cells for row in read_prepared_rows(tmp_path / "prepared", "valid")] == [
        ["70", "", "", ""], ["71", "", "", ""],
    ]  # fmt: skip
