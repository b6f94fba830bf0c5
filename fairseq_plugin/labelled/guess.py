"""Which form a file has and which columns are meant, from flags first and plain signs second."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.records import Record, read_records
from fairseq_plugin.labelled.rows import header_names
from fairseq_plugin.labelled.source import SourceSpec
from fairseq_plugin.text.separators import other_separator

FORMATS = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
TEXT_NAMES = ("sentence", "text", "review", "content", "body", "comment", "tweet", "utterance", "query")
LABEL_NAMES = ("label", "class", "category", "sentiment", "target", "intent", "polarity", "topic")
LOOK_AT = 1000  # records


@dataclass(frozen=True)
class Hints:
    """What the user says about a file; the rest is guessed.

    Attributes:
        format: ``"tsv"``, ``"csv"``, ``"jsonl"`` or ``"auto"`` (the file's ending).
        header, quoting: ``"yes"``, ``"no"`` or ``"auto"`` (quoting: CSV yes, TSV no, as in GLUE).
        text_column, label_column: a name, a position from 0 as a string, or None to guess.
        max_bytes: larger records are passed over.
    """

    format: str = "auto"
    header: str = "auto"
    quoting: str = "auto"
    text_column: str | None = None
    label_column: str | None = None
    max_bytes: int | None = None


def guess_source(
    path: str | os.PathLike[str],
    format: str = "auto",
    header: str = "auto",
    quoting: str = "auto",
    text_column: str | None = None,
    label_column: str | None = None,
    max_bytes: int | None = None,
) -> tuple[SourceSpec, str]:
    """The form of a file; for the arguments see :class:`Hints`.

    Returns:
        ``(spec, note)``; the note says in one line what was chosen.

    Raises:
        UserError: no rows, an unknown column, or a choice that only the user can make.
    """
    hints = Hints(format, header, quoting, text_column, label_column, max_bytes)
    chosen = FORMATS.get(Path(path).suffix.lower()) if hints.format == "auto" else hints.format
    if chosen is None:
        raise UserError(f"{path}: the file's ending tells no format; pass --source-format tsv, csv or jsonl")
    quoted = chosen == "csv" if hints.quoting == "auto" else hints.quoting == "yes" and chosen != "jsonl"
    found = read_records(path, chosen, quoted, hints.max_bytes)
    # Of a table, the first rows tell all that is asked here; the type of JSON labels is that of all.
    records = list(found if chosen == "jsonl" else islice(found, LOOK_AT + 1))
    if not any(record.cells and record.cells != [""] for record in records):
        damage = next((record.damage for record in records if record.damage is not None), None)
        if damage is not None:
            raise UserError(damage.refusal(path))
        large = next((record.problem for record in records if record.too_large), None)
        raise UserError(f"{path} holds no rows" + (f" (--max-bytes: one has {large})" if large else ""))
    if chosen == "jsonl":
        spec = _json_source(records, hints, path)
    else:
        spec = _table_source(records, chosen, hints, path)
    spec.quoting = quoted
    return spec, describe(path, spec)


def describe(path: str | os.PathLike[str], spec: SourceSpec) -> str:
    """What was chosen, in one line."""
    text, label = (
        repr(spec.columns[n]) if spec.columns[n] is not None else f"number {n}"
        for n in (spec.text_column, spec.label_column)
    )
    form = spec.format + {True: ", quoted fields", False: ""}[spec.quoting]
    form += "" if spec.format == "jsonl" else f", {'a' if spec.header else 'no'} header"
    return f"{path}: {form}; text is column {text}, label is column {label}"


def _json_source(records: Sequence[Record], hints: Hints, path: str | os.PathLike[str]) -> SourceSpec:
    objects = [record.cells for record in records if record.cells and isinstance(record.cells, dict)]
    columns: list[str | None] = [*objects[0]]
    text, label = choose_columns(columns, columns, hints, path)
    labels = [item.get(str(columns[label])) for item in objects]
    literal = all(isinstance(value, (bool, int, float)) for value in labels if value is not None)
    return SourceSpec("jsonl", False, columns, text, label, literal_labels=literal)


def _table_source(
    records: Sequence[Record], file_format: str, hints: Hints, path: str | os.PathLike[str]
) -> SourceSpec:
    first = header_names(records[0], path)
    other = other_separator([*first], "," if file_format == "csv" else "\t", "--source-format tsv")
    if other is not None:
        raise UserError(f"{path}: {other}")
    asked = (hints.text_column, hints.label_column)
    given = [name for name in asked if name is not None and not name.isdigit()]
    has_header = {"yes": True, "no": False}.get(hints.header)
    if has_header is None:
        has_header = bool(given) or _looks_like_header(first, path)
    if given and not has_header:
        raise UserError(
            f"{path} is read without a header, so column {given[0]!r} must be a position: 0, 1, ..."
        )
    columns: list[str | None] = [*first] if has_header else [None] * len(first)
    if has_header and len(records) == 1:
        raise UserError(f"{path} holds a header and no rows")
    if not has_header and len(first) == 2 and asked == (None, None):
        text, label = _columns_by_variety(records, path)
        if hints.header == "auto":
            _check_first_row(records, label, path)
    else:
        text, label = choose_columns(columns, [*first], hints, path)
    return SourceSpec(file_format, has_header, columns, text, label)


def _looks_like_header(cells: Sequence[str], path: str | os.PathLike[str]) -> bool:
    lowered = [cell.lower() for cell in cells]
    has_text = any(cell in TEXT_NAMES for cell in lowered)
    has_label = any(cell in LABEL_NAMES for cell in lowered)
    if has_text != has_label:
        raise UserError(
            f"{path}: the first row {', '.join(map(repr, cells))[:100]} may or may not be a header; "
            "pass --header yes or --header no"
        )
    return has_text


def _check_first_row(records: Sequence[Record], label: int, path: str | os.PathLike[str]) -> None:
    """Refuse a first row whose label no other row has, where every other label is repeated.

    That is how a header in words unknown to us looks: it must not become a class of its own.
    """
    found = [record.cells for record in records]
    labels = [row[label] for row in found if isinstance(row, list) and len(row) == 2]
    first, *others = Counter(labels).items()  # in the order of their first rows
    if first[1] == 1 and others and min(count for _, count in others) > 1:
        cells = ", ".join(map(repr, found[0] or ()))[:100]
        raise UserError(
            f"{path}: the first row {cells} may or may not be a header, since no other row has its label; "
            "name its columns sentence and label, or give their names by --text-column and --label-column; "
            "if it is a row, pass --header no"
        )


def choose_columns(
    columns: Sequence[str | None],
    first: Sequence[str | None],
    hints: Hints,
    path: str | os.PathLike[str],
) -> tuple[int, int]:
    """Positions of the text and the label column.

    Args:
        columns: their names.
        first: the first record, to show what is there.
        hints: the columns that the user named.
        path: for messages.

    Raises:
        UserError: an unknown column, or a choice that only the user can make.
    """
    if len(columns) < 2:
        raise UserError(
            f"{path} has {len(columns)} column; text and label are two (is --source-format right?)"
        )
    text = _position(columns, first, hints.text_column, TEXT_NAMES, "--text-column", path)
    label = _position(columns, first, hints.label_column, LABEL_NAMES, "--label-column", path)
    if len(columns) == 2:  # one known tells the other
        text = 1 - label if text is None and label is not None else text
        label = 1 - text if label is None and text is not None else label
    if text is None or label is None:
        flag = "--text-column" if text is None else "--label-column"
        listed = _listed(columns, first)
        raise UserError(f"{path}: cannot tell which column is meant; pass {flag} (its columns: {listed})")
    if text == label:
        raise UserError(f"{path}: --text-column and --label-column are the same column ({text})")
    return text, label


def _position(
    columns: Sequence[str | None],
    first: Sequence[str | None],
    asked: str | None,
    known: Sequence[str],
    flag: str,
    path: str | os.PathLike[str],
) -> int | None:
    if asked is None:
        lowered = [str(name).lower() for name in columns]
        return next((lowered.index(name) for name in known if name in lowered), None)
    if asked in columns:
        return columns.index(asked)
    if asked.isdecimal() and int(asked[:9]) < len(columns):
        return int(asked)
    raise UserError(f"{flag} {asked}: {path} has no such column (it has {_listed(columns, first)})")


def _listed(columns: Sequence[str | None], first: Sequence[str | None]) -> str:
    """The columns by name; without a header by number, beside what the first row holds there.

    That shows a header that was not taken for one.
    """
    return ", ".join(
        repr(name) if name is not None else f"{number} ({str(cell)[:30]!r} in the first row)"
        for number, (name, cell) in enumerate(zip(columns, first, strict=True))
    )


def _columns_by_variety(records: Sequence[Record], path: str | os.PathLike[str]) -> tuple[int, int]:
    """Without a header: the label is the column with fewer different values."""
    found = [record.cells for record in records[:LOOK_AT]]
    cells = [row for row in found if isinstance(row, list) and len(row) == 2]
    variety = [len({row[column] for row in cells}) for column in (0, 1)]
    if variety[0] == variety[1]:
        raise UserError(f"{path}: cannot tell text from label; pass --text-column 0 or --text-column 1")
    return (0, 1) if variety[0] > variety[1] else (1, 0)
