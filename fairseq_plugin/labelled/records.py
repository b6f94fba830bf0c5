"""Records of a TSV, CSV or JSONL file with their line numbers, and nothing silently mended.

Lines end at ``\\n`` or ``\\r\\n`` only. A lone ``\\r``, U+2028 and NUL are ordinary characters:
Python's universal newlines and ``str.splitlines`` would cut a row there and shift all that follow.
Files are read line by line: memory is that of the longest record.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.text.not_utf8 import NotUtf8
from fairseq_plugin.text.wide import LOOK_AT, refusal, wide_encoding

DELIMITERS = {"tsv": "\t", "csv": ","}
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Record:
    """One record.

    Attributes:
        line: number of its first line, from 1.
        cells: by position, or by key for JSONL; None when it cannot be read.
        problem: why it cannot be read, or "".
        size: bytes in the file, line ends included.
        too_large: it was not read, for it has more bytes than are allowed.
        damage: the first byte that is not UTF-8.
    """

    line: int
    cells: list[str] | dict[str, Any] | None
    problem: str = ""
    size: int = 0
    too_large: bool = False
    damage: NotUtf8 | None = None


def read_records(
    path: str | os.PathLike[str],
    file_format: str,
    quoting: bool,
    max_bytes: int | None = None,
    has_flag: bool = True,
) -> Iterator[Record]:
    """All records of a file, the header included.

    Args:
        path: the file.
        file_format: ``"tsv"``, ``"csv"`` or ``"jsonl"``.
        quoting: whether a field may be in double quotes, as in RFC 4180.
        max_bytes: larger records are not read; see :attr:`Record.too_large`.
        has_flag: whether the command has ``--quoting``, which a message may then name.

    Raises:
        UserError: missing file, UTF-16 or UTF-32, or a quote that never closes.
    """
    try:
        with open(path, "rb") as stream:
            lines = Lines(stream, path)
            for line in lines:
                yield _record(line, lines, file_format, quoting, max_bytes, has_flag)
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder; give the file inside it") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


class Lines:
    """The lines of a UTF-8 file, without ``\\n`` but with any ``\\r``; a byte order mark is dropped.

    Bytes that are not UTF-8 become lone surrogates, so that one bad row does not hide the others.

    Attributes:
        path: the file.
        number: of the last line read, from 1.
        size: bytes read so far.
        damage: the first byte that is not UTF-8 since it was last set to None.
    """

    def __init__(self, stream: IO[bytes], path: str | os.PathLike[str]) -> None:
        """
        Args:
            stream: the file, open at its beginning and seekable or not yet read.
            path: for messages.
        """
        self.path, self.number, self.size = Path(path), 0, 0
        self.damage: NotUtf8 | None = None
        self._has_utf8 = False  # a line with more than ASCII
        self._stream = stream
        self._start = stream.readline()
        self._second = stream.readline(LOOK_AT)  # a first line may be shorter than a wide character
        wide = wide_encoding((self._start[:LOOK_AT] + self._second)[:LOOK_AT])
        if wide is not None:
            raise UserError(refusal(path, wide))

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._next_bytes()
        if not line:
            raise StopIteration
        self.number += 1
        self.size += len(line)
        if self.number == 1:
            line = line.removeprefix(BOM)
        line = line.removesuffix(b"\n")
        try:
            text = line.decode("utf-8")
            self._has_utf8 = self._has_utf8 or not text.isascii()
            return text
        except UnicodeDecodeError as error:
            found = NotUtf8.of(error, self.number)
            self.damage = self.damage or replace(found, is_western=found.is_western and not self._has_utf8)
            return line.decode("utf-8", errors="surrogateescape")

    def _next_bytes(self) -> bytes:
        if self._start:
            line, self._start = self._start, b""
            return line
        line, self._second = self._second, b""
        if line and not line.endswith(b"\n"):
            return line + self._stream.readline()
        return line or self._stream.readline()


def _record(
    line: str, lines: Lines, file_format: str, quoting: bool, max_bytes: int | None, has_flag: bool
) -> Record:
    """The record that begins with ``line``; takes more lines where a quoted field goes on."""
    number, before = lines.number, lines.size
    size = len(line.encode("utf-8", errors="surrogateescape")) + 1
    problem, cells = "", None
    if quoting and file_format != "jsonl" and '"' in line:
        cells, problem = _quoted_cells(line, lines, DELIMITERS[file_format], max_bytes)
        size += lines.size - before
        if cells is None:
            otherwise = ", or pass --quoting no if quotes are ordinary here" if has_flag else ""
            raise UserError(
                f"{lines.path} line {number}: a double quote opens here and never closes, so nothing "
                f"after it can be read; mend it{otherwise}"
            )
    damage, lines.damage = lines.damage, None
    if max_bytes is not None and size > max_bytes:
        return Record(number, None, f"{size:,} bytes", size, too_large=True)
    if problem:
        return Record(number, None, problem, size)
    if damage is not None:
        return Record(number, None, f"not valid UTF-8: {damage}", size, damage=damage)
    if file_format == "jsonl":
        return _json_record(number, line, size)
    if cells is None:
        cells = line.removesuffix("\r").split(DELIMITERS[file_format])
    return Record(number, cells, size=size)


def _json_record(number: int, line: str, size: int) -> Record:
    line = line.removesuffix("\r")
    if not line.strip():
        return Record(number, {}, size=size)
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Record(number, None, f"not JSON: {error}", size)
    if not isinstance(value, dict):
        return Record(number, None, "not a JSON object", size)
    return Record(number, value, size=size)


def _quoted_cells(
    line: str, lines: Lines, delimiter: str, max_bytes: int | None
) -> tuple[list[str] | None, str]:
    """The cells of a record whose fields may be quoted: with delimiters, ``""`` for a quote, and newlines.

    A damaged record is consumed whole: to go on in the middle of it would read its text as rows.

    Returns:
        ``(cells, problem)``; cells is None when a quote never closes.
    """
    cells: list[str] = []
    problem, position, whole = "", 0, line.removesuffix("\r")
    # Of a record beyond this, whatever comes, only the end is looked for.
    limit = None if max_bytes is None else lines.size + max_bytes - len(line)
    while True:
        is_quoted = line.startswith('"', position)
        cell = ""
        if is_quoted:
            found = _quoted_field(line, lines, position + 1, limit)
            if found is None:
                return None, ""
            cell, last, position = found
            if last is not line:  # a copy for each field would be quadratic in a long line
                line, whole = last, last.removesuffix("\r")
        end = whole.find(delimiter, position)
        if is_quoted and position < (len(whole) if end < 0 else end):
            problem = "text after a closing quote"
        if limit is None or lines.size <= limit:
            cells.append(cell + (whole[position:] if end < 0 else whole[position:end]))
        if end < 0:
            return cells, problem
        position = end + 1


def _quoted_field(line: str, lines: Lines, position: int, limit: int | None) -> tuple[str, str, int] | None:
    """The field whose opening quote is just before ``position``.

    Returns:
        ``(text, the line it ends in, position after the closing quote)``, or None when it never closes.
    """
    parts: list[str] = []
    while True:
        if limit is not None and lines.size > limit:
            parts.clear()
        end = line.find('"', position)
        if end < 0:
            parts.append(line[position:] + "\n")
            position = 0
            following = next(lines, None)
            if following is None:
                return None
            line = following
        elif line.startswith('""', end):
            parts.append(line[position : end + 1])
            position = end + 2
        else:
            parts.append(line[position:end])
            return "".join(parts), line, end + 1
