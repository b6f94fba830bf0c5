"""A table in, a folder that fairseq reads out; what is wrong is named with its line or column."""

import json

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.manifest import TableManifest, load_code, split_files
from fairseq_plugin.tables.prepare import prepare_table
from fairseq_plugin.tables.reading import TableFile
from fairseq_plugin.tables.request import TableRequest
from fairseq_plugin.tables.summary import format_summary
from fairseq_plugin.tables.writing import write_table
from tests.tables.made_tables import MIXED, mixed_rows


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    write_table(path, MIXED, mixed_rows(80), "csv")
    return path


def request(table, tmp_path, **more):
    return TableRequest(table=str(table), to=str(tmp_path / "data"), **{"rare": 1, **more})


def rows_of(folder, split):
    manifest = TableManifest.load(folder)
    code = load_code(folder, manifest)
    index, tokens = split_files(folder, split, manifest).read()
    ends = index.sizes.cumsum().tolist()
    return [code.decode(tokens[end - size : end].tolist()) for end, size in zip(ends, index.sizes.tolist())]


def test_every_row_is_in_train_or_valid(table, tmp_path):
    prepared = prepare_table(request(table, tmp_path, target="count"))
    found = sorted(row[1:] for split in ("train", "valid") for row in rows_of(tmp_path / "data", split))
    assert found == sorted(row[1:] for row in mixed_rows(80))
    assert [counts.rows for counts in prepared.manifest.splits.values()] == [72, 8]
    summary = format_summary(prepared, "data")
    for words in ("count (target)", "in steps of 0.01", "all different", "train: 72 rows"):
        assert words in summary


def test_the_same_table_gives_the_same_folder(table, tmp_path):
    first = prepare_table(request(table, tmp_path))
    again = prepare_table(request(table, tmp_path))
    assert again.unchanged and again.manifest == first.manifest
    with pytest.raises(UserError, match="--overwrite"):
        prepare_table(request(table, tmp_path, seed=2))
    assert not prepare_table(request(table, tmp_path, seed=2, overwrite=True)).unchanged


def test_an_edited_schema_is_followed(table, tmp_path):
    prepare_table(request(table, tmp_path))
    stated = json.loads((tmp_path / "data" / "schema.json").read_text())
    stated["columns"][3] |= {"min": "0", "max": "99"}
    stated["columns"][1]["type"] = "drop"
    (tmp_path / "mine.json").write_text(json.dumps(stated))
    wanted = request(table, tmp_path, schema=str(tmp_path / "mine.json"), overwrite=True)
    schema = prepare_table(wanted).schema
    assert (schema.columns[3].high, schema.columns[1].type) == (99, "drop")
    stated["columns"][3]["max"] = "11"
    (tmp_path / "mine.json").write_text(json.dumps(stated))
    with pytest.raises(UserError, match=r"line \d+: column 'count'.*widen"):
        prepare_table(wanted)


@pytest.mark.parametrize(
    ("number", "change", "words"),
    [
        (7, {"value": "US"}, r"line 2: column 'same': the cell 'EU' is not 'US', which all rows had"),
        (
            6,
            {"values": ["no", "perhaps"]},
            r"line \d+: column 'member': the cell 'yes' is none of its 2 values",
        ),
        (4, {"min": "2024-06-01"}, r"line \d+: column 'day'"),
        (2, {"missing": []}, r"line \d+: column 'price': the cell '' is missing, but no cell"),
        (5, {"max_bytes": 3}, r"line 2: column 'note': .* more than 3 bytes"),
        (1, {"type": "integer", "min": "1", "max": "2", "step": "1"}, r"line 2: column 'grade'"),
        (1, {"name": "grades"}, "--schema .*'grades'.*they must be the same"),
    ],
)
def test_a_schema_that_contradicts_the_file_is_refused(table, tmp_path, number, change, words):
    stated = prepare_table(request(table, tmp_path)).schema.to_json()
    stated["columns"][number] |= change
    (tmp_path / "mine.json").write_text(json.dumps(stated))
    before = {path: path.read_bytes() for path in (tmp_path / "data").iterdir()}
    with pytest.raises(UserError, match=words):
        prepare_table(request(table, tmp_path, schema=str(tmp_path / "mine.json"), overwrite=True))
    assert {path: path.read_bytes() for path in (tmp_path / "data").iterdir()} == before


def test_a_label_with_any_characters_survives(tmp_path):
    names = ['say "x"', "a,b", "line\nbreak", "tab\there", "`tick`", "=", "é"]
    rows = [[str(n % 5 + at) for at in range(len(names))] for n in range(20)]
    write_table(tmp_path / "t.csv", names, rows, "csv")
    prepared = prepare_table(request(tmp_path / "t.csv", tmp_path, header="yes", target="line\nbreak"))
    assert prepared.schema.names == names
    assert "\n".join(names) not in format_summary(prepared, "data")
    found = sorted(row for split in ("train", "valid") for row in rows_of(tmp_path / "data", split))
    assert found == sorted(rows)


def test_rows_of_other_files_that_do_not_fit_are_counted(table, tmp_path):
    rows = mixed_rows(10, seed=3)
    rows[4][3] = "9999"
    write_table(tmp_path / "test.csv", MIXED, rows, "csv")
    types = {"note": "drop", "price": "drop", "day": "drop"}
    prepared = prepare_table(request(table, tmp_path, test=str(tmp_path / "test.csv"), types=types))
    ((why, lines),) = prepared.manifest.rejected["test"].items()
    assert "'9999'" in why and len(lines) == 1
    assert prepared.manifest.splits["test"].rows == 9


def test_an_empty_line_between_rows_is_counted_and_told(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n\n2,y\n\r\n\n3,x\n\n\n")
    (tmp_path / "test.csv").write_text("a,b\n\n1,x\n9,y\n")
    prepared = prepare_table(request(tmp_path / "t.csv", tmp_path, test=str(tmp_path / "test.csv")))
    summary, manifest = format_summary(prepared, "data"), prepared.manifest
    assert "train: 3 lines left out, the first is line 3: it is empty" in summary
    assert "test: 1 lines left out, the first is line 2: it is empty" in summary
    assert "test: 1 rows left out, the first is line 4: column 'a'" in summary
    assert [file.rows for file in manifest.source_files.values()] == [3, 2]
    assert [counts.rows for counts in manifest.splits.values()] == [2, 1, 1]


def test_the_line_of_what_is_wrong_counts_empty_lines(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n\n2\n")
    with pytest.raises(UserError, match="line 4: 1 cells where there are 2"):
        prepare_table(request(tmp_path / "t.csv", tmp_path))


def test_an_empty_line_of_a_table_of_one_column_is_a_missing_cell(tmp_path):
    (tmp_path / "t.csv").write_text("a\n1\n\n2\n5\n")
    prepared = prepare_table(request(tmp_path / "t.csv", tmp_path))
    found = sorted(row for split in ("train", "valid") for row in rows_of(tmp_path / "data", split))
    assert found == [[""], ["1"], ["2"], ["5"]] and prepared.manifest.rejected == {}


def test_numbers_with_blanks_around_them_come_back_without(tmp_path):
    (tmp_path / "t.csv").write_text("id, price, day, code\n" + "".join(
        f"u{n}, {n}.50 ,\t2024-02-0{n + 1}, {n % 2}x\n" for n in range(8)
    ))  # fmt: skip
    prepared = prepare_table(request(tmp_path / "t.csv", tmp_path))
    found = sorted(row[1:] for split in ("train", "valid") for row in rows_of(tmp_path / "data", split))
    assert found == [[f"{n}.50", f"2024-02-0{n + 1}", f" {n % 2}x"] for n in range(8)]
    assert format_summary(prepared, "data").count("; blanks around them are left out") == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no table"),
        ("a,b\n", "no row but its header"),
        ("a,a\n1,2\n", "two columns are called 'a'"),
        ("a,\n1,2\n", "column 2 has no name"),
        ("a;b\n1;2\n", "first line has ';' where commas should be"),
        ("a\tb\n1\t2\n", "give --format tsv"),
        ('a," a"\n1,2\n', "two columns are called 'a'"),
        ("a,b\n,5\n,5\n", "no column is left to learn: 'a' is constant, 'b' is constant"),
        ("a,b\n1,2\n3\n", "line 3: 1 cells where there are 2"),
        ('a,b\n1,"2\n', "line 2.*never closes"),
        ("a,b\nx,\xff\n", "is not UTF-8: line 2, byte 3 is 0xff; save it as UTF-8"),
    ],
)
def test_a_table_that_cannot_be_read_names_the_place(tmp_path, content, words):
    (tmp_path / "t.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=words):
        prepare_table(request(tmp_path / "t.csv", tmp_path))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"rare": 0}, "--rare 0"),
        ({"held_out": 1.0}, "--held-out 1.0"),
        ({"target": "x"}, "--target x"),
        ({"types": {"x": "text"}}, "--type x=text"),
        ({"order": "sorted"}, "--order sorted"),
        ({"schema": "a", "target": "x"}, "--schema"),
        ({"target": "id"}, "--target id: the column is taken for key.*--type id=TYPE"),
        ({"target": "same"}, "--target same: the column is taken for constant"),
        ({"format": "xls"}, "--format"),
        ({"columns": ["a"]}, "--columns gives 1 names"),
    ],
)
def test_flags_out_of_range_are_named(table, tmp_path, more, words):
    with pytest.raises(UserError, match=words):
        prepare_table(request(table, tmp_path, **more))


def test_a_table_of_one_row_is_prepared(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n")
    with pytest.raises(UserError, match="no column is left to learn: 'a' is constant"):
        prepare_table(request(tmp_path / "t.csv", tmp_path))
    prepared = prepare_table(request(tmp_path / "t.csv", tmp_path, types={"a": "integer"}))
    assert list(prepared.manifest.splits) == ["train"]
    assert rows_of(tmp_path / "data", "train") == [["1", "x"]]


@pytest.mark.parametrize(("first", "header"), [("a,b", True), ("1,b", False)])
def test_the_header_is_seen(tmp_path, first, header):
    (tmp_path / "t.csv").write_text(f"{first}\n3,x\n")
    table = TableFile.open(tmp_path / "t.csv")
    assert table.header == header
    assert list(table.names) == (["a", "b"] if header else ["column_1", "column_2"])


def test_any_cell_survives_the_file(tmp_path):
    rows = [["a,b", 'say "x"', "line\nbreak", "", " outer ", "is, is", "\u2028", "\ufeffx"]]
    write_table(tmp_path / "t.csv", [f"c{n}" for n in range(8)], rows, "csv")
    ((found, lines),) = TableFile.open(tmp_path / "t.csv", header="yes").chunks()
    assert found == rows and lines == [2]


def test_a_damaged_folder_is_refused(table, tmp_path):
    prepare_table(request(table, tmp_path))
    path = tmp_path / "data" / "code.json"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"code\.json"):
        load_code(tmp_path / "data", TableManifest.load(tmp_path / "data"))
