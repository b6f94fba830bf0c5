"""Parquet and Feather: what a typed column becomes; what is refused, with the column's name and the mend."""

import datetime
import decimal
import sys

import pandas
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.frames import cells_of
from fairseq_plugin.tables.manifest import TableManifest, load_code, split_files
from fairseq_plugin.tables.prepare import prepare_table
from fairseq_plugin.tables.reading import TableFile
from fairseq_plugin.tables.request import TableRequest

NOON = datetime.datetime(2024, 2, 29, 12, 30, 5)
PARIS = pyarrow.timestamp("us", "Europe/Paris")


def write(path, table):
    """Write a table by the ending of its file."""
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        pyarrow.feather.write_feather(table, path)
    return path


def read(path):
    return TableFile.open(path).rows()


@pytest.fixture(params=["t.parquet", "t.feather"])
def path(request, tmp_path):
    return tmp_path / request.param


@pytest.mark.parametrize(
    ("values", "kind", "cells"),
    [
        ([1, None, -3], pyarrow.int8(), ["1", "", "-3"]),
        ([2**61, None], pyarrow.uint64(), [str(2**61), ""]),
        ([1.5, None, float("nan"), 2.0, 1e-7, -0.0], pyarrow.float64(),
         ["1.5", "", "", "2.0", "0.0000001", "0.0"]),
        ([0.1, None, 2.5], pyarrow.float32(), ["0.1", "", "2.5"]),
        ([0.1, None], pyarrow.float16(), ["0.1", ""]),
        ([decimal.Decimal("1.50"), None, decimal.Decimal(0)], pyarrow.decimal128(20, 8),
         ["1.50000000", "", "0.00000000"]),
        ([True, None, False], pyarrow.bool_(), ["True", "", "False"]),
        (["y,z", None, "", " x\n"], pyarrow.string(), ["y,z", "", "", " x\n"]),
        (["a", "b"], pyarrow.large_string(), ["a", "b"]),
        ([None, None], pyarrow.null(), ["", ""]),
        ([NOON.date(), None], pyarrow.date32(), ["2024-02-29", ""]),
        ([NOON.date(), None], pyarrow.date64(), ["2024-02-29", ""]),
        ([NOON, None], pyarrow.timestamp("ns"), ["2024-02-29 12:30:05", ""]),
        ([NOON, None], pyarrow.timestamp("s"), ["2024-02-29 12:30:05", ""]),
        ([NOON.replace(tzinfo=datetime.UTC), None], PARIS, ["2024-02-29T12:30:05Z", ""]),
        ([NOON.time(), None], pyarrow.time64("us"), ["12:30:05", ""]),
    ],
)  # fmt: skip
def test_typed_values_are_cells(path, values, kind, cells):
    write(path, pyarrow.table([pyarrow.array(values, kind)], ["c"]))
    assert [row for (row,) in read(path)] == cells


def test_rows_are_read_like_those_of_csv(path):
    write(path, pyarrow.table({"a": [1, None, 3], "b": ["x", "y,z", None], "c": [1.5, 2.0, 1e-7]}))
    ((rows, lines),) = TableFile.open(path).chunks()
    assert rows == [["1", "x", "1.5"], ["", "y,z", "2.0"], ["3", "", "0.0000001"]] and lines == [1, 2, 3]


def test_without_pyarrow_one_line_tells_how_to_get_it(path, monkeypatch):
    write(path, pyarrow.table({"a": [1]}))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UserError, match=r"needs pyarrow, which is not installed: pip install .*\[parquet\]"):
        read(path)


@pytest.mark.parametrize("values", [["b", None, "a", "b"], [30, None, 4, 30]])
def test_categories_are_their_values(path, values):
    write(path, pyarrow.table({"c": pyarrow.array(values).dictionary_encode()}))
    assert [row for (row,) in read(path)] == ["" if one is None else str(one) for one in values]


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        ([[1, 2], None], pyarrow.list_(pyarrow.int64()),
         "holds list<.*leave it out of the file, or make it numbers"),
        ([{"a": 1, "b": 2}], None, "holds struct<"),
        ([b"x"], pyarrow.binary(), "holds binary"),
        ([datetime.timedelta(1)], None, "holds duration"),
        ([NOON.replace(microsecond=1)], pyarrow.timestamp("us"), "has parts of seconds: round them"),
        ([NOON.replace(microsecond=1, tzinfo=datetime.UTC)], PARIS, "has parts of seconds: round them"),
        ([1], pyarrow.timestamp("ns"), "has parts of seconds: round them"),
        ([NOON.time().replace(microsecond=1)], pyarrow.time64("us"), "has parts of seconds: round them"),
        ([10**7], pyarrow.date32(), "has years before 1 or after 9999: make them missing"),
        ([10**15], pyarrow.timestamp("s"), "has years before 1 or after 9999: make them missing"),
    ],
)  # fmt: skip
def test_what_is_no_cell_is_refused_by_its_column(path, values, kind, words):
    write(path, pyarrow.table([pyarrow.array([7] * len(values)), pyarrow.array(values, kind)], ["n", "odd"]))
    with pytest.raises(UserError, match=f"{path.name}: column 'odd' {words}"):
        read(path)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"c": [1.5, float("inf"), 2.0]}, "column 'c': 'inf' is no number.*leave the cell empty"),
        ({"c": pyarrow.array([1, 2**64 - 1], pyarrow.uint64())}, "'c': 18446744073709551615 is beyond"),
        ({" ": [1, 2]}, "column 1 has no name; name it$"),
        ({"c": pyarrow.array([], pyarrow.int64())}, "no row"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_learnt_is_refused_by_its_column(path, tmp_path, columns, words):
    write(path, pyarrow.table(columns))
    with pytest.raises(UserError, match=words):
        prepare_table(TableRequest(str(path), str(tmp_path / "data"), rare=1))
    assert not (tmp_path / "data").exists()


def test_names_are_those_of_the_file(tmp_path):
    twice = pyarrow.table([pyarrow.array([1]), pyarrow.array([2])], ["a", "a"])
    with pytest.raises(UserError, match="two columns are called 'a'"):
        read(write(tmp_path / "t.parquet", twice))
    path = write(tmp_path / "t.parquet", pyarrow.table({"a": [1], "b": [2]}))
    assert TableFile.open(path, names=["a", "b"]).names == ("a", "b")
    with pytest.raises(UserError, match="--columns names the columns .* has 'a', 'b'"):
        TableFile.open(path, names=["x", "y"])


def test_a_file_that_is_cut_or_none_is_told_in_a_line(path):
    write(path, pyarrow.table({"c": [f"text {number}" for number in range(5000)]}))
    whole = path.read_bytes()
    for content in (b"", b"a,b\n1,2\n", whole[:100], whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(
            UserError, match=rf"^\S*{path.name} cannot be read as \w+: [^\n]*write the file again$"
        ):
            read(path)
    path.unlink()
    with pytest.raises(UserError, match=f"{path.name} cannot be read"):
        read(path)


def test_damage_within_a_file_is_told_in_a_line(tmp_path):
    path, cells = tmp_path / "t.parquet", [f"text {number}" for number in range(5000)]
    table = pyarrow.table({"c": cells})
    pyarrow.parquet.write_table(table, path, write_page_checksum=True, use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as parquet"):
        read(path)


def test_rows_of_several_groups_keep_their_order(path):
    numbers = list(range(25_000))
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table({"c": numbers}), path, row_group_size=7000)
    else:
        pyarrow.feather.write_feather(pyarrow.table({"c": numbers}), path, chunksize=11_000)
    chunks = list(TableFile.open(path).chunks())
    assert [len(rows) for rows, _ in chunks] == [10_000, 10_000, 5000]
    assert [int(cell) for rows, _ in chunks for (cell,) in rows] == numbers
    assert [line for _, lines in chunks for line in lines] == [number + 1 for number in numbers]


def test_types_survive_the_way_to_a_prepared_folder(path, tmp_path):
    table = pyarrow.table({
        "whole": pyarrow.array([3, None, 5, 900] * 10, pyarrow.int16()),
        "price": pyarrow.array([0.1, 2.5, None, 7.25] * 10, pyarrow.float32()),
        "exact": [decimal.Decimal("1.50"), decimal.Decimal("2.25")] * 20,
        "member": pyarrow.array([True, False, None, True] * 10),
        "grade": pyarrow.array(["b", "a", None, "a"] * 10).dictionary_encode(),
        "day": pyarrow.array([NOON.date(), None] * 20),
        "seen": pyarrow.array([NOON.replace(tzinfo=datetime.UTC, hour=hour) for hour in (0, 7)] * 20, PARIS),
        "since": pyarrow.array([NOON.replace(hour=hour) for hour in (0, 7)] * 20, pyarrow.timestamp("ns")),
    })  # fmt: skip
    write(path, table)
    prepared = prepare_table(TableRequest(str(path), str(tmp_path / "data"), rare=1, held_out=0.1))
    assert {column.name: column.type for column in prepared.schema.columns} == {
        "whole": "integer", "price": "decimal", "exact": "decimal", "member": "boolean", "grade": "category",
        "day": "date", "seen": "date", "since": "date",
    }  # fmt: skip
    assert "cells are rewritten" not in " ".join(prepared.reasons)
    assert sorted(decoded_rows(tmp_path / "data")) == sorted(read(path))


def decoded_rows(folder):
    """The rows of a prepared folder, in no order."""
    manifest, rows = TableManifest.load(folder), []
    code = load_code(folder, manifest)
    for split in manifest.splits:
        index, tokens = split_files(folder, split, manifest).read()
        ends = index.sizes.cumsum().tolist()
        rows += [
            code.decode(tokens[end - size : end].tolist()) for end, size in zip(ends, index.sizes.tolist())
        ]
    return rows


def test_a_frame_and_its_file_have_the_same_cells(path):
    frame = pandas.DataFrame({
        "whole": [1, 2, 3], "maybe": pandas.array([1, None, 3], "Int64"), "real": [0.5, float("nan"), 1e-7],
        "single": pandas.array([0.1, 0.2, 0.3], "float32"), "text": ["x", None, "y,z"],
        "kind": pandas.Categorical(["b", "a", "b"]), "member": [True, False, True],
        "moment": pandas.to_datetime([NOON, None, NOON.replace(year=1904)]),
    })  # fmt: skip
    write(path, pyarrow.Table.from_pandas(frame))
    assert read(path) == cells_of(frame)
