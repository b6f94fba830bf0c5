"""Labelled rows in a user's own file format: read with line numbers, written back the same way."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field, fields

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.labelled.records import DELIMITERS, read_records

SUFFIX_SHARE = 0.99


@dataclass
class Row:
    """A sentence, its label and the line of the file it begins on (0 when it has none)."""

    text: str
    label: str
    line: int = 0


@dataclass
class Rejection:
    """A row that is not used: ``reason`` is empty, malformed, too_long or inexact."""

    line: int
    reason: str
    detail: str = ""


@dataclass
class SourceSpec:
    """How a file of labelled rows is written.

    Attributes:
        format: ``"tsv"``, ``"csv"`` or ``"jsonl"``.
        header: whether the first record names the columns (never for JSONL).
        columns: the names, or None for each where there is no header; JSONL: the keys.
        text_column, label_column: positions in ``columns``, from 0.
        quoting: fields may stand in double quotes (RFC 4180). GLUE's TSV has none.
        suffix: whitespace after (nearly) every sentence, such as GLUE's one space: taken away
            when reading, put back when writing.
        keep_whitespace: sentences are used exactly as they stand, outer whitespace included.
        literal_labels: JSONL labels are numbers or booleans, not strings.
    """

    format: str
    header: bool
    columns: list = field(default_factory=list)
    text_column: int = 0
    label_column: int = 1
    quoting: bool = False
    suffix: str = ""
    keep_whitespace: bool = False
    literal_labels: bool = False

    def to_json(self):
        return asdict(self)

    @classmethod
    def from_json(cls, stated):
        """From a dict that may hold more keys than ours."""
        return cls(**{item.name: stated[item.name] for item in fields(cls) if item.name in stated})


def read_rows(path, spec):
    """The rows of a file, cleaned as ``spec`` says.

    Args:
        path: the file.
        spec: its :class:`SourceSpec`. With a header, columns are found by name, so a file may order
            them differently.

    Returns:
        ``(rows, rejected)``: lists of :class:`Row` and :class:`Rejection`; every record but the
        header is in exactly one of them.

    Raises:
        UserError: the file or a column is missing.
    """
    rows, rejected = read_raw_rows(path, spec)
    return clean_rows(rows, rejected, spec.keep_whitespace)


def read_raw_rows(path, spec):
    """:func:`read_rows` before whitespace is stripped and empty sentences are refused."""
    records = read_records(path, spec.format, spec.quoting)
    if spec.format == "jsonl":
        keys = spec.columns[spec.text_column], spec.columns[spec.label_column]
        results = [_row_of_object(record, *keys) for record in records]
    else:
        text, label, width = spec.text_column, spec.label_column, len(spec.columns)
        if spec.header and records:
            names = header_names(records.pop(0), path)
            if names != spec.columns:
                text, label = (_column_named(spec.columns[n], names, path) for n in (text, label))
                width = len(names)
        results = [_row_of_cells(record, text, label, width) for record in records]
    rows = [result for result in results if isinstance(result, Row)]
    return rows, [result for result in results if isinstance(result, Rejection)]


def clean_rows(rows, rejected, keep_whitespace):
    """Strip outer whitespace unless told not to, and refuse what is empty.

    Returns:
        New lists ``(rows, rejected)``, each in the order of lines.
    """
    kept, refused = [], list(rejected)
    for row in rows:
        text = row.text.strip()
        if not text:
            refused.append(Rejection(row.line, "empty"))
        else:
            kept.append(Row(row.text if keep_whitespace else text, row.label, row.line))
    return kept, sorted(refused, key=lambda rejection: rejection.line)


def shared_suffix(rows):
    """The whitespace that ends at least 99 % of the raw sentences, or ""."""
    endings = Counter(row.text[len(row.text.rstrip()) :] for row in rows if row.text.strip())
    if not endings:
        return ""
    ending, count = endings.most_common(1)[0]
    return ending if count >= SUFFIX_SHARE * endings.total() else ""


def header_names(record, path):
    """Column names from a header record."""
    if record.cells is None:
        raise UserError(f"{path} line 1: the header cannot be read ({record.problem})")
    return [cell.strip() for cell in record.cells]


def representable(text, spec):
    """Whether a file of this form can hold the text so that reading gives it back exactly.

    GLUE's TSV has no quoting: a tab or newline cannot be written there.
    """
    if not spec.keep_whitespace and text != text.strip():
        return False
    return bool(text.strip()) and _cell_fits(text + spec.suffix, spec, spec.text_column)


def write_rows(path, rows, spec):
    """Write rows in the form ``spec`` describes; columns besides text and label are left empty.

    Raises:
        UserError: a row that the form cannot hold; see :func:`representable`.
    """
    for number, row in enumerate(rows, start=1):
        fits = _cell_fits(row.label, spec, spec.label_column) and row.label.strip() == row.label != ""
        if not fits or not representable(row.text, spec):
            raise UserError(
                f"row {number} for {path} cannot be written as {spec.format} "
                f"{'with' if spec.quoting else 'without'} quoting: label {row.label!r}, text "
                f"{row.text[:60]!r} (a tab, line break, or outer whitespace); use csv or jsonl"
            )
    line_of = _json_line if spec.format == "jsonl" else _delimited_line
    with atomic_write(path) as stream:
        if spec.header:
            delimiter = DELIMITERS[spec.format]
            stream.write(delimiter.join(_cell(name, spec) for name in spec.columns) + "\n")
        for row in rows:
            stream.write(line_of(row, spec) + "\n")


def _cell_fits(value, spec, column):
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    if spec.format == "jsonl" or spec.quoting:
        return True
    if DELIMITERS[spec.format] in value or "\n" in value:
        return False
    if column == len(spec.columns) - 1 and value.endswith("\r"):
        return False  # would read as the end of a CRLF line
    return not (column == 0 and not spec.header and value.startswith("\ufeff"))  # would read as a BOM


def _cell(value, spec):
    """One field, quoted where the form has quotes and the value needs them."""
    if spec.quoting and any(mark in value for mark in (DELIMITERS[spec.format], '"', "\n", "\r", "\ufeff")):
        return '"' + value.replace('"', '""') + '"'
    return value


def _delimited_line(row, spec):
    cells = [""] * len(spec.columns)
    cells[spec.text_column] = _cell(row.text + spec.suffix, spec)
    cells[spec.label_column] = _cell(row.label, spec)
    return DELIMITERS[spec.format].join(cells)


def _json_line(row, spec):
    values = {
        spec.text_column: row.text + spec.suffix,
        spec.label_column: json.loads(row.label) if spec.literal_labels else row.label,
    }
    return json.dumps({spec.columns[n]: values[n] for n in sorted(values)}, ensure_ascii=False)


def _column_named(name, names, path):
    if name not in names:
        raise UserError(f"{path} has no column {name!r}; its header names {', '.join(map(repr, names))}")
    return names.index(name)


def _row_of_cells(record, text, label, width):
    if record.cells is None:
        return Rejection(record.line, "malformed", record.problem)
    if record.cells == [""]:
        return Rejection(record.line, "empty")
    if len(record.cells) != width:
        return Rejection(record.line, "malformed", f"{len(record.cells)} columns where {width} were expected")
    name = record.cells[label].strip()
    if not name:
        return Rejection(record.line, "malformed", "no label")
    return Row(record.cells[text], name, record.line)


def _row_of_object(record, text_key, label_key):
    if record.cells is None:
        return Rejection(record.line, "malformed", record.problem)
    if not record.cells:
        return Rejection(record.line, "empty")
    text, label = record.cells.get(text_key), record.cells.get(label_key)
    name = label_name(label)
    if not isinstance(text, str):
        return Rejection(record.line, "malformed", f"{text_key!r} is not a text")
    if not name:
        return Rejection(record.line, "malformed", f"{label_key!r} is not a label")
    try:
        (text + name).encode("utf-8")
    except UnicodeEncodeError:
        return Rejection(record.line, "malformed", "a lone surrogate")
    return Row(text, name, record.line)


def label_name(value):
    """The name of a JSON label: a string's own text, ``1``, ``true``; "" when it is neither."""
    if isinstance(value, str):
        return value.strip()
    return json.dumps(value) if isinstance(value, (bool, int, float)) else ""
