"""Continuations of any system are read as they stand, and what is damaged is named with its line."""

import json

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.continuation_files import read_continuations
from fairseq_plugin.storage.sample_file import SampleLine, SampleWriter
from fairseq_plugin.text.one_line import escape
from tests.storage.made_print import printed

HARD = ["plain", "tab\there", "two\nlines", "back\\slash", "\r\u2028\x0bü", "", 'quote "']


def test_escaped_lines_come_back(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("".join(escape(text) + "\n" for text in HARD), encoding="utf-8", newline="")
    assert read_continuations(file).texts == HARD


def test_a_last_line_without_its_end_is_a_line(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo")
    assert read_continuations(tmp_path / "a.txt").texts == ["one", "two"]


def test_tsv_takes_the_second_field(tmp_path):
    file = tmp_path / "a.tsv"
    file.write_text("".join(f"ctx\t{escape(text)}\n" for text in HARD), encoding="utf-8", newline="")
    assert read_continuations(file).texts == HARD


def test_json_lines_hold_texts_or_ids(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps({"prefix": "p", "continuation": text}) + "\n" for text in HARD))
    found = read_continuations(file)
    assert found.texts == HARD and found.ids is None and found.numbers is None
    file.write_text('{"id": 5, "continuation": [3, 4]}\n{"id": 2, "continuation": []}\n')
    found = read_continuations(file)
    assert found.ids == [[3, 4], []] and found.texts is None and found.numbers == [5, 2]


def test_generate_files_give_the_ids_in_the_order_of_samples(tmp_path):
    file = tmp_path / "generate-test.txt"
    file.write_text(
        "S-7\tx\nT-7\ty\nH-7\t-0.5\t464 318\nD-7\t-0.5\tThe is\nP-7\t-1 -1\n"
        "S-2\tx\nH-2\t-inf\t11\nD-2\t-inf\tH-2 is not a record here\nP-2\t-inf -1\n"
        "S-3\t\nH-3\t0\t\nD-3\t0\t\nP-3\t-1\n"
    )
    found = read_continuations(file)
    assert found.ids == [[11], [], [464, 318]] and found.numbers == [2, 3, 7]


def test_our_own_samples_are_read_where_they_are_beside_the_print(tmp_path):
    file, facts = tmp_path / "generate-test.txt", {"subset": "test", "prefix_tokens": 8}
    file.write_text("H-0\t0\t99\n")  # altered, and cut short
    writer = SampleWriter(tmp_path, "completions", facts, 2)
    writer.add([[SampleLine(1, 0, "5 6", True, -1.0)]])
    with pytest.raises(UserError, match="part-1.jsonl holds 1 of 2 samples"):
        read_continuations(file)
    writer.add([[SampleLine(0, 0, "", True, -1.0)]])
    writer.finish(seconds=1.0)
    found = read_continuations(file)
    assert found.ids == [[], [5, 6]] and found.numbers == [0, 1]
    assert (found.origin.subset, found.origin.prefix_tokens) == ("test", 8)
    (tmp_path / "generate-valid.txt").write_text(printed(0, "99"))  # of another run
    assert read_continuations(tmp_path / "generate-valid.txt").ids == [[99]]


def test_a_generation_that_was_cut_short_is_refused(tmp_path):
    file, record = tmp_path / "generate-test.txt", tmp_path / "completions.json"
    file.write_text(printed(0, "5") + printed(1, "6"))
    stated = {"subset": "test", "complete": True, "expected": 2}
    record.write_text(json.dumps(stated))
    assert read_continuations(file).numbers == [0, 1]
    for damage in ({"expected": 3}, {"complete": False}):
        record.write_text(json.dumps(stated | damage))
        with pytest.raises(UserError, match="cut short"):
            read_continuations(file)
    record.write_text(json.dumps(stated | {"subset": "valid", "expected": 9}))  # of another file
    assert len(read_continuations(file).ids) == 2
    record.write_text("[]")
    with pytest.raises(UserError, match="damaged"):
        read_continuations(file)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", "", "nothing to evaluate"),
        ("a.jsonl", "", "nothing to evaluate"),
        ("a.jsonl", '{"format": "completions"}\n', "line 1 is damaged"),
        ("generate-x.txt", "just a log\n", "nothing to evaluate"),
        ("generate-x.txt", printed(1, "5") + printed(1, "6"), "line 5: sample 1 has two hypotheses"),
        ("generate-x.txt", printed(1, "5", with_source=False) * 2, "line 4: sample 1 has two hypotheses"),
        ("generate-x.txt", printed(1, "5 <unk>"), "line 2: an H- line without token ids"),
        ("generate-x.txt", "H-1\t0\t5\nH-2\t0\t6\n", "line 2: sample 1 has no D- line"),
        ("a.jsonl", "{}\n", 'line 1: "continuation"'),
        ("a.jsonl", '{"continuation": "a"}\nnot json\n', "line 2 is not JSON"),
        ("a.jsonl", '{"continuation": [1, "a"]}\n', "line 1"),
        ("a.jsonl", '{"continuation": [1, -1]}\n', "line 1"),
        ("a.jsonl", '{"continuation": "a"}\n{"continuation": [1]}\n', "one kind"),
        ("a.tsv", "a\tb\tc\n", "line 1: expected context TAB continuation"),
        ("a.tsv", "a\n", "line 1"),
        ("a.csv", "a\n", "expected generate-"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as error:
        read_continuations(tmp_path / name)
    assert words in str(error.value) and name in str(error.value)


def test_a_missing_file_and_no_utf8_are_refused(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        read_continuations(tmp_path / "none.txt")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        read_continuations(tmp_path / "a.txt")
