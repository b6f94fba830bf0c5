"""A file in another encoding is named by every reader with its place, what it looks like, and the mend."""

import shutil
import subprocess

import pytest

from fairseq_plugin.augment.judges.teacher import FileTeacher
from fairseq_plugin.corpus.reading import TextFile
from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.continuation_files import read_continuations
from fairseq_plugin.labelled.guess import guess_source
from fairseq_plugin.labelled.prepare import Request, prepare
from fairseq_plugin.labelled.summary import format_summary
from fairseq_plugin.tables.reading import TableFile
from fairseq_plugin.text.not_utf8 import NotUtf8

FRENCH = "sentence\tlabel\n" + "".join(
    f"le café n° {n} est fermé\t0\nun été doux, {n}\t1\n" for n in range(20)
)


def not_utf8(content):
    with pytest.raises(UnicodeDecodeError) as raised:
        content.decode("utf-8")
    return NotUtf8.of(raised.value)


@pytest.fixture
def latin(tmp_path):
    path = tmp_path / "my rows.tsv"
    path.write_bytes(FRENCH.encode("latin-1"))
    return path


def prepared(path):
    return prepare(Request(str(path), str(path.parent / "to"), codec="bytes", vocab_size=300))


READERS = {
    "labelled rows": lambda path: prepared(path),
    "labelled objects": lambda path: guess_source(path, "jsonl"),
    "a table": lambda path: TableFile.open(path).rows(),
    "a text": lambda path: list(TextFile(path).blocks()),
    "continuations": read_continuations,
    "a teacher's scores": lambda path: FileTeacher(path, ["label"]),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_a_latin_1_file_is_named_with_place_encoding_and_mend_by_every_reader(latin, reader):
    with pytest.raises(UserError) as refused:
        READERS[reader](latin)
    told = str(refused.value)
    assert f"{latin} is not UTF-8: line 2, byte 7 is 0xe9; it looks like Latin-1 or Windows-1252: " in told
    assert told.endswith(f"iconv -f windows-1252 -t utf-8 '{latin}' > NEW-FILE")


@pytest.mark.skipif(shutil.which("iconv") is None, reason="iconv is not installed")
def test_the_mend_that_is_told_mends(latin):
    command = not_utf8(latin.read_bytes()).mend(latin).partition(": ")[2]
    subprocess.run(command.replace("NEW-FILE", "new.tsv"), shell=True, check=True, cwd=latin.parent)
    assert (latin.parent / "new.tsv").read_text("utf-8") == FRENCH


def test_rows_that_can_be_read_are_used_and_the_others_are_a_warning(tmp_path):
    path = tmp_path / "my.tsv"
    plain = "".join(f"a plain row {n}\t{n % 2}\n" for n in range(20))
    path.write_bytes((FRENCH + plain).encode("latin-1"))
    told = format_summary(prepared(path), tmp_path / "to")
    assert "WARNING: 40 rows left out: " in told and "it looks like Latin-1 or Windows-1252" in told
    assert "40 rejected, malformed: line 2 (not valid UTF-8: line 2, byte 7 is 0xe9)" in told


@pytest.mark.parametrize(
    ("content", "is_western"),
    [
        ("naïve café".encode("latin-1"), True),
        ("“quoted” – it’s".encode("cp1252"), True),
        ("это не латиница".encode("cp1251"), False),
        ("日本語の文".encode("shift-jis"), False),
        ("café, été".encode() + b" and \xe9", False),  # UTF-8 but for one byte
        (b"torn \xff\xfe", False),
        ("word é".encode()[:-1], True),  # cannot be told from a Latin-1 file that ends with this letter
    ],
)  # fmt: skip
def test_what_it_looks_like(content, is_western):
    assert not_utf8(content).is_western == is_western


def test_of_a_utf_8_file_with_one_other_row_no_encoding_is_claimed(tmp_path):
    path = tmp_path / "my.csv"
    path.write_bytes("ville,n\nOrléans,1\n".encode() + "Nîmes,2\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"line 3, byte 2 is 0xee; save it as UTF-8 \(iconv -f ITS-ENCODING"):
        TableFile.open(path).rows()
