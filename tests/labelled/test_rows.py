"""Reading and writing users' files: every row comes back, or is listed by its line."""

import json
import random

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.guess import guess_source
from fairseq_plugin.labelled.rows import (
    Row,
    SourceSpec,
    read_raw_rows,
    read_rows,
    representable,
    shared_suffix,
    write_rows,
)
from tests.text.random_texts import random_texts

TSV = SourceSpec("tsv", header=True, columns=["sentence", "label"])


def read(tmp_path, content, spec=TSV):
    path = tmp_path / "rows.file"
    path.write_bytes(content)
    rows, rejected = read_rows(path, spec)
    return [(row.line, row.label, row.text) for row in rows], [(item.line, item.reason) for item in rejected]


def test_lines_end_at_newlines_only(tmp_path):
    text = "a\rb\u2028c\x85d\x0be\x00f"
    content = f"sentence\tlabel\n{text}\t1\nnext\t0".encode()
    assert read(tmp_path, content) == ([(2, "1", text), (3, "0", "next")], [])


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_and_byte_order_mark_change_nothing(tmp_path, bom, end, last):
    content = bom + end.join([b"sentence\tlabel", b"one \t1", b"two\t0"]) + (end if last else b"")
    assert read(tmp_path, content) == ([(2, "1", "one"), (3, "0", "two")], [])


def test_bad_rows_are_listed_by_line_and_hide_no_other(tmp_path):
    content = b"sentence\tlabel\nfine\t1\na\tb\t1\n\n \t0\nbad \xff\t1\nno label\t\nshort\nlast\t0\n"
    rows, rejected = read(tmp_path, content)
    assert rows == [(2, "1", "fine"), (9, "0", "last")]
    assert rejected == [
        (3, "malformed"), (4, "empty"), (5, "empty"), (6, "malformed"), (7, "malformed"), (8, "malformed"),
    ]  # fmt: skip


def test_quoted_fields_hold_anything(tmp_path):
    spec = SourceSpec("csv", True, ["label", "text"], 1, 0, quoting=True)
    content = (
        b'label,text\r\n1,"a ""quoted"" word, and\r\ntwo lines"\r\n0,plain 5" pipe\n"1",""\n0,"x"y\n1,last'
    )
    rows, rejected = read(tmp_path, content, spec)
    assert rows == [
        (2, "1", 'a "quoted" word, and\r\ntwo lines'),
        (4, "0", 'plain 5" pipe'),
        (7, "1", "last"),
    ]
    assert rejected == [(5, "empty"), (6, "malformed")]


def test_a_damaged_quoted_record_never_turns_into_rows(tmp_path):
    spec = SourceSpec("csv", True, ["text", "label"], quoting=True)
    rows, rejected = read(tmp_path, b'text,label\n"x"y,"\nforged,1\n",0\nfine,1\n', spec)
    assert rows == [(5, "1", "fine")]
    assert rejected == [(2, "malformed")]


def test_a_quote_that_never_closes_is_refused_with_its_line(tmp_path):
    with pytest.raises(UserError, match=r"line 3: a double quote opens .* --quoting no"):
        read(
            tmp_path,
            b'text,label\na,1\n"b,0\nc,1\n',
            SourceSpec("csv", True, ["text", "label"], quoting=True),
        )


def test_json_lines(tmp_path):
    lines = [
        '{"text": "a\\tb\\n\\u2028", "label": 1}', '{"label": true, "text": "t", "more": []}', "", "[1]", "{",
        '{"text": 5, "label": 1}', '{"text": "x"}', '{"text": "\\ud800", "label": 1}',
        '{"text": "y", "label": "z"}', "[" * 100_000,
    ]  # fmt: skip
    spec = SourceSpec("jsonl", False, ["text", "label"])
    rows, rejected = read(tmp_path, "\n".join(lines).encode(), spec)
    assert rows == [(1, "1", "a\tb"), (2, "true", "t"), (9, "z", "y")]
    assert [line for line, _ in rejected] == [3, 4, 5, 6, 7, 8, 10]


def test_a_file_with_its_columns_in_another_order_is_read_by_name(tmp_path):
    assert read(tmp_path, b"id\tlabel\tsentence\n7\t1\tone\n")[0] == [(2, "1", "one")]
    with pytest.raises(UserError, match="has no column 'label'"):
        read(tmp_path, b"sentence\tclass\none\t1\n")


@pytest.mark.parametrize("content", [None, "folder", b"\xff\xfea\x00"])
def test_unreadable_files_are_told(tmp_path, content):
    path = tmp_path / "x.tsv"
    if content == "folder":
        path.mkdir()
    elif content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.tsv"):
        read_rows(path, TSV)


def test_the_shared_suffix_needs_nearly_every_row():
    rows = [Row(f"{n} ", "1") for n in range(99)]
    assert shared_suffix([*rows, Row("x", "1")]) == " "
    assert shared_suffix([*rows, Row("x", "1"), Row("y", "1")]) == ""
    assert shared_suffix([]) == ""


SPECS = {
    "tsv": TSV,
    "tsv_bare": SourceSpec("tsv", False, [None, None, None], 2, 0, suffix=" "),
    "tsv_text_first": SourceSpec("tsv", False, [None, None], 0, 1),
    "tsv_quoted": SourceSpec("tsv", True, ["id", "text", "label"], 1, 2, quoting=True),
    "csv": SourceSpec("csv", True, ["label", "text"], 1, 0, quoting=True),
    "csv_bare": SourceSpec("csv", False, [None, None], 0, 1, quoting=True, keep_whitespace=True),
    "jsonl": SourceSpec("jsonl", False, ["text", "label"], suffix=" "),
}


@pytest.mark.parametrize("name", SPECS)
def test_random_rows_come_back_or_are_called_unrepresentable(tmp_path, name):
    spec, generator = SPECS[name], random.Random(9)
    texts = random_texts(3000, seed=10, longest=10)
    rows = [Row(text, generator.choice("01")) for text in texts if representable(text, spec)]
    write_rows(tmp_path / "x", rows, spec)
    found, rejected = read_rows(tmp_path / "x", spec)
    assert rejected == []
    assert [(row.text, row.label) for row in found] == [(row.text, row.label) for row in rows]
    assert len(rows) > 500
    for text in (text for text in texts if not representable(text, spec)):
        reason = text != text.strip() or not text.strip() or any(mark in text for mark in "\t\n\r\0\ufeff")
        assert reason, text


@pytest.mark.parametrize("text", ["a\tb", "a\nb", " a", ""])
def test_what_the_form_cannot_hold_is_refused_and_nothing_written(tmp_path, text):
    with pytest.raises(UserError, match="row 2 "):
        write_rows(tmp_path / "x", [Row("fine", "1"), Row(text, "1")], TSV)
    assert list(tmp_path.iterdir()) == []


def test_json_labels_stay_numbers(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a", "label": 0}\n{"text": "b", "label": 1}\n', encoding="utf-8")
    spec, _ = guess_source(path)
    write_rows(tmp_path / "y.jsonl", read_raw_rows(path, spec)[0], spec)
    written = [
        json.loads(line)["label"] for line in (tmp_path / "y.jsonl").read_text("utf-8").split("\n")[:-1]
    ]
    assert written == [0, 1]


# first lines of a file, arguments, expected (header, text column, label column)
GUESSES = [
    ("x.tsv", "sentence\tlabel\na b\t1\nc d\t0\n", {}, (True, 0, 1)),
    ("x.tsv", "a b\t1\nc d\t1\n", {}, (False, 0, 1)),
    ("x.tsv", "1\ta b\n1\tc d\n", {}, (False, 1, 0)),
    ("x.csv", "id,Label,Review\n1,a,b\n", {}, (True, 2, 1)),
    ("x.csv", "u,v,w\n1,a,b\n", {"text_column": "w", "label_column": "u"}, (True, 2, 0)),
    ("x.csv", "p,q\n1,a\n", {"text_column": "q"}, (True, 1, 0)),
    ("x.csv", "5,a,b\n1,a,b\n", {"text_column": "2", "label_column": "0"}, (False, 2, 0)),
    ("x.csv", "u,v\n1,a\n", {"header": "yes", "text_column": "1"}, (True, 1, 0)),
    ("x.txt", "class\ttext\n1\ta\n", {"format": "tsv"}, (True, 1, 0)),
    ("x.jsonl", '{"id": 1, "intent": "x", "utterance": "y"}\n', {}, (False, 2, 1)),
]


@pytest.mark.parametrize(("name", "content", "arguments", "expected"), GUESSES)
def test_columns_are_found(tmp_path, name, content, arguments, expected):
    (tmp_path / name).write_text(content, encoding="utf-8")
    spec, note = guess_source(tmp_path / name, **arguments)
    assert (spec.header, spec.text_column, spec.label_column) == expected
    assert "text is column" in note


UNCLEAR = [
    ("x.txt", "a\tb\n", {}, "--source-format"),
    ("x.tsv", "", {}, "holds no rows"),
    ("x.tsv", "\n\n", {}, "holds no rows"),
    ("x.tsv", "sentence\tlabel\n", {}, "no rows"),
    ("x.tsv", "sentence\tmark\na\t1\n", {}, "--header"),
    ("x.tsv", "a\tb\nc\td\n", {}, "--text-column 0"),
    ("x.tsv", "a\tb\tc\n", {}, "--text-column"),
    ("x.tsv", "only\n", {}, "1 column"),
    ("x.csv", "sentence;label\nwell, yes;1\n", {}, "';' where commas should be: save it with commas"),
    ("x.csv", "sentence\tlabel\na\t1\n", {}, "give --source-format tsv"),
    ("x.tsv", "sentence|label\na|1\n", {}, "'.' where tabs should be: save it with tabs"),
    ("x.tsv", "sentence\tlabel\na\t1\n", {"text_column": "text"}, "no such column"),
    ("x.tsv", "sentence\tlabel\na\t1\n", {"text_column": "7"}, "no such column"),
    ("x.tsv", "sentence\tlabel\na\t1\n", {"text_column": "label"}, "same column"),
    ("x.tsv", "a\tb\n", {"text_column": "a", "header": "no"}, "position"),
    ("x.jsonl", '{"a": 1}\n', {}, "1 column"),
    ("x.jsonl", "nonsense\n", {}, "holds no rows"),
]


@pytest.mark.parametrize(("name", "content", "arguments", "words"), UNCLEAR)
def test_what_only_the_user_can_tell_is_asked(tmp_path, name, content, arguments, words):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=words):
        guess_source(tmp_path / name, **arguments)
