"""Labelled rows -> a file in the source's own form, which reads back equal here and in other tools.

Other tools are Python's ``csv``, pandas and ``open().readlines()``:

    TSV without quoting  pandas.read_csv(path, sep="\\t", quoting=csv.QUOTE_NONE), csv likewise
    CSV                  pandas.read_csv(path), csv.reader
    JSONL                pandas.read_json(path, lines=True), json.loads line by line

A quoted field may hold a line feed, as RFC 4180 has it: its record then takes several lines.
"""

import json
import os
from collections.abc import Iterable

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.labelled.records import DELIMITERS
from fairseq_plugin.labelled.source import Row, SourceSpec

CSV_FIELD_LIMIT = 131_072  # characters; csv.field_size_limit() as Python sets it
# What pandas takes for a missing value.
MISSING = frozenset(
    "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL".split("|")
    + "NaN None n/a nan null".split()
)
# Ends of lines to tools that follow Unicode; JSON can write them otherwise.
LINE_ENDS = str.maketrans({"\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"})


def representable(text: str, spec: SourceSpec) -> bool:
    """Whether a new text can go into a file of this form and be read back exactly, here and by other tools.

    GLUE's TSV has no quoting: a tab or line feed cannot be written there. A carriage return ends a line for
    many readers, and a NUL a file for some.
    """
    if not _fits(text, spec):
        return False
    if spec.format == "jsonl":
        return True
    cell = text + spec.suffix
    return not (
        "\r" in cell or "\0" in cell or len(cell) > CSV_FIELD_LIMIT or (cell in MISSING or text in MISSING)
    )


def write_rows(path: str | os.PathLike[str], rows: Iterable[Row], spec: SourceSpec) -> None:
    """Write rows in the form ``spec`` describes, one after another.

    Columns besides text and label are those of :attr:`Row.cells`; a row without cells leaves them empty (TSV,
    CSV) or out (JSONL). Rows of the source can be written whatever other tools make of them, new ones should
    be :func:`representable`.

    Raises:
        UserError: a row that the form cannot hold; what stood at ``path`` is unchanged.
    """
    line_of = _json_line if spec.format == "jsonl" else _delimited_line
    with atomic_write(path) as stream:
        if spec.header:
            delimiter = DELIMITERS[spec.format]
            stream.write(delimiter.join(_cell(str(name), spec) for name in spec.columns) + "\n")
        for number, row in enumerate(rows, start=1):
            fits = _cell_fits(row.label, spec, spec.label_column) and row.label.strip() == row.label != ""
            if not fits or not _fits(row.text, spec):
                raise UserError(
                    f"row {number} for {path} cannot be written as {spec.format} "
                    f"{'with' if spec.quoting else 'without'} quoting: label {row.label[:60]!r}, text "
                    f"{row.text[:60]!r} (a tab, line break, or outer whitespace); use csv or jsonl"
                )
            stream.write(line_of(row, spec) + "\n")


def _fits(text: str, spec: SourceSpec) -> bool:
    """Whether our own reader gives the text back."""
    if not spec.keep_whitespace and text != text.strip():
        return False
    return bool(text.strip()) and _cell_fits(text + spec.suffix, spec, spec.text_column)


def _cell_fits(value: str, spec: SourceSpec, column: int) -> bool:
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


def _cell(value: str, spec: SourceSpec) -> str:
    """One field, quoted where the form has quotes and the value needs them."""
    if spec.quoting and any(mark in value for mark in (DELIMITERS[spec.format], '"', "\n", "\r", "\ufeff")):
        return '"' + value.replace('"', '""') + '"'
    return value


def _delimited_line(row: Row, spec: SourceSpec) -> str:
    cells = [""] * len(spec.columns)
    if isinstance(row.cells, list) and len(row.cells) == len(cells):
        cells = [_cell(value, spec) for value in row.cells]
    cells[spec.text_column] = _cell(row.text + spec.suffix, spec)
    cells[spec.label_column] = _cell(row.label, spec)
    return DELIMITERS[spec.format].join(cells)


def _json_line(row: Row, spec: SourceSpec) -> str:
    label = json.loads(row.label) if spec.literal_labels else row.label
    values = {spec.text_key: row.text + spec.suffix, spec.label_key: label}
    if isinstance(row.cells, dict):
        content = {**row.cells, **values}  # a key keeps its place
    else:
        content = {key: values[key] for key in map(str, spec.columns) if key in values}
    return json.dumps(content, ensure_ascii=False).translate(LINE_ENDS)
