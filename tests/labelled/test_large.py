"""Hostile sizes: bounded memory, linear time, one line about what was left out."""

import time
import tracemalloc

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.encode import CHUNK_CHARACTERS, CHUNK_ROWS, chunks
from fairseq_plugin.labelled.prepare import prepare
from fairseq_plugin.labelled.records import read_records
from fairseq_plugin.labelled.rows import Row
from fairseq_plugin.labelled.summary import format_summary, printable
from tests.labelled.made_data import request_for, table, write

MB = 1 << 20


def test_a_large_row_is_rejected_under_its_reason_with_its_line(tmp_path):
    path = write(tmp_path, "t.tsv", table(9) + "x" * 2000 + "\t1\nlast\t1\n")
    valid = write(tmp_path, "v.tsv", table(4))
    prepared = prepare(request_for(tmp_path, path, valid=valid, max_bytes=1000))
    assert prepared.manifest.rejected["train"]["too_large"] == [11]
    assert prepared.manifest.splits["train"].rows == 10
    told = "train: 1 rejected, larger than --max-bytes: line 11 (2,003 bytes)"
    assert told in format_summary(prepared, "x")


def test_the_size_counts_bytes_of_all_columns_and_the_limit_itself_passes(tmp_path):
    path = write(tmp_path, "t.csv", 'é,1\n"é\nb",1\n')
    assert [record.size for record in read_records(path, "csv", True)] == [5, 9]
    assert [record.too_large for record in read_records(path, "csv", True, 8)] == [False, True]
    assert [record.too_large for record in read_records(path, "csv", True, 9)] == [False, False]


def read_beyond_the_limit(path, form):
    return [record.line for record in read_records(path, form, form == "csv", 100_000) if record.too_large]


LARGE = {
    "tsv": lambda size: "x" * size + "\t1\n",
    "jsonl": lambda size: '{"text": "a", "label": 1, "x": [' + "1," * (size // 2) + "1]}\n",
    "csv": lambda size: '"' + 'x""\n' * (size // 4) + '",1\n',
    "csv of one line": lambda size: '"' + '""' * (size // 4) + '",' + '"a",' * (size // 8) + "1\r\n",
}


@pytest.mark.parametrize("name", LARGE)
def test_memory_is_a_few_times_the_largest_row_and_time_grows_with_it(tmp_path, name):
    seconds = []
    for size in (MB, 4 * MB):
        path = write(tmp_path, "t", "a,1\n" + LARGE[name](size) + "b,1\n")
        began = time.process_time()
        assert read_beyond_the_limit(path, name.split()[0]) == [2]
        seconds.append(time.process_time() - began)
    assert seconds[1] < 12 * seconds[0] + 1  # 4 if linear, 16 if quadratic, where a MB would take minutes
    tracemalloc.start()
    read_beyond_the_limit(write(tmp_path, "t", "a,1\n" + LARGE[name](MB) + "b,1\n"), name.split()[0])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * MB


def test_rows_are_encoded_in_chunks_of_bounded_size():
    sizes = (1, CHUNK_CHARACTERS - 1, 1, 2 * CHUNK_CHARACTERS, 5, *[1] * 9000)
    rows = [Row("x" * size, "1") for size in sizes]
    found = list(chunks(rows))
    assert [row for chunk in found for row in chunk] == rows
    assert all(len(c) == 1 or sum(len(row.text) for row in c) <= CHUNK_CHARACTERS for c in found)
    assert max(map(len, found)) == CHUNK_ROWS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, r"--seed -1 must be between 0 and 2\^63 - 1"),
        ({"seed": 2**63}, r"--seed 9223372036854775808 must be"),
        ({"max_bytes": 0}, "--max-bytes 0 must be at least 1"),
        ({"max_bytes": 12}, "holds no rows .--max-bytes: one has|cannot be read"),
    ],
)
def test_values_that_cannot_be_meant(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        prepare(request_for(tmp_path, write(tmp_path, "t.tsv", table(9)), **changes))


def test_label_names_are_escaped_and_cut_where_they_are_printed(tmp_path):
    evil = "\x1b[31mred\x07\u202e" + "x" * 200
    path = write(tmp_path, "t.tsv", table(9, ("0", evil)))
    shown = format_summary(prepare(request_for(tmp_path, path, valid=path)), "there")
    assert all(line.isprintable() for line in shown.split("\n")) and "\\x1b[31mred\\x07\\u202e" in shown
    assert len(printable(evil)) < 100
    other = write(tmp_path, "v.tsv", table(3, (evil, evil + "!")))
    with pytest.raises(UserError, match="is not in train") as caught:
        prepare(request_for(tmp_path, path, valid=other))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500


def test_columns_without_a_header_that_is_known_are_shown(tmp_path):
    path = write(tmp_path, "t.tsv", "no\tsatz\tklasse\n1\ta\tx\n")
    with pytest.raises(UserError, match=r"\(its columns: 0 \('no' in the first row\), 1 \('satz'"):
        prepare(request_for(tmp_path, path))
    with pytest.raises(UserError, match=r"\(its columns: 'no', 'satz', 'klasse'\)"):
        prepare(request_for(tmp_path, path, header="yes"))
