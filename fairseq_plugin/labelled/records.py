"""Records of a TSV, CSV or JSONL file with their line numbers, and nothing silently mended.

Lines end at ``\\n`` or ``\\r\\n`` only. A lone ``\\r``, U+2028 and NUL are ordinary characters:
Python's universal newlines and ``str.splitlines`` would cut a row there and shift all that follow.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.errors import UserError

DELIMITERS = {"tsv": "\t", "csv": ","}
BOM = b"\xef\xbb\xbf"
WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass
class Record:
    """One record.

    Attributes:
        line: number of its first line, from 1.
        cells: list of ``str`` (a dict for JSONL), or None when it cannot be read.
        problem: why it cannot be read, or "".
    """

    line: int
    cells: list | dict | None
    problem: str = ""


def read_records(path, file_format, quoting):
    """All records of a file, the header included.

    Args:
        path: the file.
        file_format: ``"tsv"``, ``"csv"`` or ``"jsonl"``.
        quoting: whether a field may stand in double quotes, as in RFC 4180.

    Returns:
        A list of :class:`Record`.

    Raises:
        UserError: missing file, UTF-16, or a quote that never closes.
    """
    lines = read_lines(path)
    if file_format == "jsonl":
        return [_json_record(number, line) for number, line in enumerate(lines, start=1)]
    delimiter = DELIMITERS[file_format]
    if quoting:
        return list(_quoted_records(lines, delimiter, path))
    return [_checked(number, _cells(line, delimiter)) for number, line in enumerate(lines, start=1)]


def read_lines(path):
    """The lines of a UTF-8 file, without ``\\n`` but with any ``\\r``; a byte order mark is dropped.

    Bytes that are not UTF-8 become lone surrogates, so that one bad row does not hide the others;
    :func:`_checked` finds them.
    """
    try:
        content = Path(path).read_bytes()
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder; give the file inside it") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if content.startswith(WIDE_BOMS):
        raise UserError(f"{path} is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    lines = content.removeprefix(BOM).decode("utf-8", errors="surrogateescape").split("\n")
    if not lines[-1]:
        lines.pop()  # the file ends with a newline, or is empty
    return lines


def _cells(line, delimiter):
    return line.removesuffix("\r").split(delimiter)


def _checked(line, cells, problem=""):
    """A record, refused when a cell holds bytes that are not UTF-8."""
    if problem:
        return Record(line, None, problem)
    try:
        "".join(cells).encode("utf-8")
    except UnicodeEncodeError:
        return Record(line, None, "not valid UTF-8")
    return Record(line, cells)


def _json_record(number, line):
    line = line.removesuffix("\r")
    if not line.strip():
        return Record(number, {})
    try:
        line.encode("utf-8")
        value = json.loads(line)
    except UnicodeEncodeError:
        return Record(number, None, "not valid UTF-8")
    except (ValueError, RecursionError) as error:
        return Record(number, None, f"not JSON: {error}")
    if not isinstance(value, dict):
        return Record(number, None, "not a JSON object")
    return Record(number, value)


def _quoted_records(lines, delimiter, path):
    """Records whose fields may be quoted and then hold delimiters, ``""`` for a quote, and newlines.

    A damaged record is consumed whole: to go on in the middle of it would read its text as rows.
    """
    index = 0
    while index < len(lines):
        first = index
        if '"' not in lines[index]:
            cells, problem = _cells(lines[index], delimiter), ""
        else:
            cells, problem, index = _quoted_record(lines, index, delimiter)
            if cells is None:
                raise UserError(
                    f"{path} line {first + 1}: a double quote opens here and never closes, so nothing "
                    "after it can be read; mend it, or pass --quoting no if quotes are ordinary here"
                )
        index += 1
        yield _checked(first + 1, cells, problem)


def _quoted_record(lines, index, delimiter):
    """One record that starts at ``lines[index]``.

    Returns:
        ``(cells, problem, index of its last line)``; cells is None when a quote never closes.
    """
    cells, problem, position = [], "", 0
    while True:
        quoted = lines[index].startswith('"', position)
        cell = ""
        if quoted:
            cell, index, position = _quoted_field(lines, index, position + 1)
            if cell is None:
                return None, "", index
        line = lines[index].removesuffix("\r")
        end = line.find(delimiter, position)
        rest = line[position:] if end < 0 else line[position:end]
        if quoted and rest:
            problem = "text after a closing quote"
        cells.append(cell + rest)
        if end < 0:
            return cells, problem, index
        position = end + 1


def _quoted_field(lines, index, position):
    """The field whose opening quote stands just before ``position``.

    Returns:
        ``(text, index, position after the closing quote)``; text is None when it never closes.
    """
    parts = []
    while True:
        line = lines[index]
        end = line.find('"', position)
        if end < 0:
            parts.append(line[position:] + "\n")
            index, position = index + 1, 0
            if index == len(lines):
                return None, index, 0
        elif line.startswith('""', end):
            parts.append(line[position : end + 1])
            position = end + 2
        else:
            parts.append(line[position:end])
            return "".join(parts), index, end + 1
