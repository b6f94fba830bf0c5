"""Reading labelled rows in a user's own file format, with line numbers."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled import parquet
from fairseq_plugin.labelled.records import Record, read_records
from fairseq_plugin.labelled.source import (
    EMPTY,
    MALFORMED,
    TOO_LARGE,
    Rejection,
    Row,
    SourceSpec,
)
from fairseq_plugin.labelled.writing import representable, write_rows

__all__ = ["Rejection", "Row", "SourceSpec", "read_rows", "representable", "stream_rows", "write_rows"]

SUFFIX_SHARE = 0.99


def read_rows(path: str | os.PathLike[str], spec: SourceSpec) -> tuple[list[Row], list[Rejection]]:
    """The rows of a file, cleaned as ``spec`` says.

    Args:
        path: the file.
        spec: its form. With a header, columns are found by name, so a file may order them differently.

    Returns:
        ``(rows, rejected)``; every record but the header is in exactly one of them.

    Raises:
        UserError: the file or a column is missing.
    """
    return clean_rows(*read_raw_rows(path, spec), spec.keep_whitespace)


def read_raw_rows(
    path: str | os.PathLike[str], spec: SourceSpec, max_bytes: int | None = None
) -> tuple[list[Row], list[Rejection]]:
    """:func:`read_rows` before whitespace is stripped and empty sentences are refused.

    Args:
        path, spec: see :func:`read_rows`.
        max_bytes: larger records (UTF-8, all columns) are rejected; their text is not kept.
    """
    rows: list[Row] = []
    rejected: list[Rejection] = []
    for result in _results(path, spec, max_bytes):
        if isinstance(result, Row):
            rows.append(result)
        else:
            rejected.append(result)
    return rows, rejected


def _results(
    path: str | os.PathLike[str], spec: SourceSpec, max_bytes: int | None
) -> Iterator[Row | Rejection]:
    records = read_records(path, spec.format, spec.quoting, max_bytes)
    if spec.format == "jsonl":
        for record in records:
            yield _unread(record) or _row_of_object(record, spec)
        return
    order: list[int | None] = list(range(len(spec.columns)))
    width = len(order)
    if spec.header:
        header = next(records, None)
        if header is not None:
            names = header_names(header, path)
            order, width = _order(names, spec, path), len(names)
    for record in records:
        yield _unread(record) or _row_of_cells(record, spec, order, width)


def _order(names: list[str], spec: SourceSpec, path: str | os.PathLike[str]) -> list[int | None]:
    """For each of the source's columns its position in a file with these column names; None: not there."""
    if names == spec.columns:
        return list(range(len(names)))
    for column in (spec.text_column, spec.label_column):
        if spec.columns[column] not in names:
            listed = ", ".join(map(repr, names))
            raise UserError(f"{path} has no column {spec.columns[column]!r}; its header names {listed}")
    return [names.index(name) if name in names else None for name in map(str, spec.columns)]


def stream_rows(path: str | os.PathLike[str], spec: SourceSpec) -> Iterator[Row | Rejection]:
    """:func:`read_rows` in the order of the file, in the memory of some records; Parquet too."""
    if spec.format == parquet.FORMAT:
        yield from parquet.stream_parquet(path, spec)
        return
    for result in _results(path, spec, None):
        yield _clean(result, spec.keep_whitespace) if isinstance(result, Row) else result


def clean_rows(
    rows: Iterable[Row], rejected: Iterable[Rejection], keep_whitespace: bool
) -> tuple[list[Row], list[Rejection]]:
    """Strip outer whitespace unless told not to, and refuse what is empty.

    Returns:
        New lists ``(rows, rejected)``, each in the order of lines.
    """
    kept, refused = [], list(rejected)
    for row in rows:
        cleaned = _clean(row, keep_whitespace)
        if isinstance(cleaned, Row):
            kept.append(cleaned)
        else:
            refused.append(cleaned)
    return kept, sorted(refused, key=lambda rejection: rejection.line)


def _clean(row: Row, keep_whitespace: bool) -> Row | Rejection:
    text = row.text.strip()
    if not text:
        return Rejection(row.line, EMPTY)
    return row if keep_whitespace or text == row.text else replace(row, text=text)


def shared_suffix(rows: Sequence[Row]) -> str:
    """The whitespace that ends at least 99 % of the raw sentences, or ""."""
    endings = Counter(row.text[len(row.text.rstrip()) :] for row in rows if row.text.strip())
    if not endings:
        return ""
    ending, count = endings.most_common(1)[0]
    return ending if count >= SUFFIX_SHARE * endings.total() else ""


def header_names(record: Record, path: str | os.PathLike[str]) -> list[str]:
    """Column names from a header record."""
    if record.damage is not None:
        raise UserError(record.damage.refusal(path))
    if not isinstance(record.cells, list):
        raise UserError(f"{path} line 1: the header cannot be read ({record.problem})")
    return [cell.strip() for cell in record.cells]


def _unread(record: Record) -> Rejection | None:
    """Why a record is not a row, whatever it holds; None for one that may be."""
    if record.too_large:
        return Rejection(record.line, TOO_LARGE, record.problem)
    if record.cells is None:
        return Rejection(record.line, MALFORMED, record.problem, record.damage)
    return Rejection(record.line, EMPTY) if record.cells in ({}, [""]) else None


def _row_of_cells(record: Record, spec: SourceSpec, order: list[int | None], width: int) -> Row | Rejection:
    found = record.cells
    assert isinstance(found, list)
    if len(found) != width:
        return Rejection(record.line, MALFORMED, f"{len(found)} columns where {width} were expected")
    cells = [found[place] if place is not None else "" for place in order]
    text, name = cells[spec.text_column], cells[spec.label_column].strip()
    if not name:
        return Rejection(record.line, MALFORMED, "no label")
    cells[spec.text_column] = cells[spec.label_column] = ""
    return Row(text, name, record.line, cells if len(cells) > 2 else None)


def _row_of_object(record: Record, spec: SourceSpec) -> Row | Rejection:
    assert isinstance(record.cells, dict)
    text, label = record.cells.get(spec.text_key), record.cells.get(spec.label_key)
    name = label_name(label)
    if not isinstance(text, str):
        return Rejection(record.line, MALFORMED, f"{spec.text_key!r} is not a text")
    if not name:
        return Rejection(record.line, MALFORMED, f"{spec.label_key!r} is not a label")
    try:
        (text + name).encode("utf-8")
    except UnicodeEncodeError:
        return Rejection(record.line, MALFORMED, "a lone surrogate")
    cells = record.cells | {spec.text_key: None, spec.label_key: None}
    has_others = len(cells) > 2 or list(cells) != sorted(
        (spec.text_key, spec.label_key), key=spec.columns.index
    )
    return Row(text, name, record.line, cells if has_others else None)


def label_name(value: object) -> str:
    """The name of a JSON label: a string's own text, ``1``, ``true``; "" when it is neither."""
    if isinstance(value, str):
        return value.strip()
    return json.dumps(value) if isinstance(value, (bool, int, float)) else ""
