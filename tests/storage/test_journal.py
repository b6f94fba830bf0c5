"""A journal gives back what was appended, or says which line is damaged."""

import json
import random

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.journal import Journal, read_journal

SETTINGS = {"seed": 1, "model": "a" * 8}
ENTRIES = [{"id": number, "text": f"a\tb \u2028 {number}"} for number in range(9)]


def journal(path, settings=SETTINGS):
    return Journal(path, "samples", 1, settings)


@pytest.fixture
def file(tmp_path):
    one = journal(tmp_path / "deep" / "a.jsonl")
    assert one.read() == []
    one.append(ENTRIES[:4])
    one.append(ENTRIES[4:])
    return one.path


def test_what_was_appended_is_read_by_the_next_process(file):
    again = journal(file)
    assert again.read() == ENTRIES
    again.append([{"id": 9}])
    assert journal(file).read() == [*ENTRIES, {"id": 9}]
    head, entries = read_journal(file)
    assert head["settings"] == SETTINGS and entries == [*ENTRIES, {"id": 9}]


def test_every_line_is_json_that_others_read(file):
    assert [json.loads(line)["id"] for line in file.read_text().split("\n")[1:-1]] == list(range(9))


def test_a_file_cut_anywhere_gives_the_whole_lines_before_the_cut(file, caplog):
    content = file.read_bytes()
    for cut in range(len(content)):
        file.write_bytes(content[:cut])
        whole = content[:cut].count(b"\n") - 1
        assert journal(file).read() == ENTRIES[: max(0, whole)]
        assert read_journal(file)[1] == ENTRIES[: max(0, whole)]  # mended
    assert "torn last line" in caplog.text


def test_no_flipped_bit_goes_unnoticed(file):
    content, chance = file.read_bytes(), random.Random(1)
    for bit in chance.sample(range(len(content) * 8), 200):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        with pytest.raises(UserError, match=r"line \d+ is damaged"):
            read_journal(file)
        if bit // 8 != len(content) - 1:  # the last newline is like a torn line, which is made again
            with pytest.raises(UserError, match=r"line \d+ is damaged"):
                journal(file).read()
    assert file.read_bytes() != content


@pytest.mark.parametrize("change", ["doubled", "missing", "swapped"])
def test_lines_that_were_moved_are_seen(file, change):
    lines = file.read_bytes().split(b"\n")
    if change == "doubled":
        lines.insert(3, lines[2])
    elif change == "missing":
        del lines[3]
    else:
        lines[3], lines[4] = lines[4], lines[3]
    file.write_bytes(b"\n".join(lines))
    with pytest.raises(UserError, match=r"line \d is damaged"):
        journal(file).read()


def test_other_settings_are_refused_by_name(file):
    with pytest.raises(UserError, match="other settings \\(seed 1, now 2\\)"):
        journal(file, SETTINGS | {"seed": 2}).read()
    with pytest.raises(UserError, match="another format or version"):
        Journal(file, "samples", 2, SETTINGS).read()


def test_a_file_of_someone_else_is_left_alone(tmp_path):
    path = tmp_path / "notes"
    for content in (b"no line end", b"lines\nof mine\n"):
        path.write_bytes(content)
        with pytest.raises(UserError):
            journal(path).read()
        assert path.read_bytes() == content


def test_a_batch_that_fails_leaves_no_part_of_it(file):
    before, one = file.read_bytes(), journal(file)
    one.read()
    with pytest.raises(TypeError):
        one.append([{"id": 9}, {"id": object()}])
    assert file.read_bytes() == before
    one.append([{"id": 9}])
    assert len(journal(file).read()) == 10
