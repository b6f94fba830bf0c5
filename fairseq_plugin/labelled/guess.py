"""Which form a file has and which columns are meant, from flags first and plain signs second."""

from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.records import read_records
from fairseq_plugin.labelled.rows import SourceSpec, header_names

FORMATS = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
TEXT_NAMES = ("sentence", "text", "review", "content", "body", "comment", "tweet", "utterance", "query")
LABEL_NAMES = ("label", "class", "category", "sentiment", "target", "intent", "polarity", "topic")
LOOK_AT = 1000  # rows


def guess_source(path, format="auto", header="auto", quoting="auto", text_column=None, label_column=None):
    """The :class:`SourceSpec` of a file.

    Args:
        path: the file.
        format: ``"tsv"``, ``"csv"``, ``"jsonl"`` or ``"auto"`` (the file's ending).
        header, quoting: ``"yes"``, ``"no"`` or ``"auto"`` (quoting: CSV yes, TSV no, as in GLUE).
        text_column, label_column: a name, a position from 0 as a string, or None to guess.

    Returns:
        ``(spec, note)``; the note says in one line what was chosen.

    Raises:
        UserError: no rows, an unknown column, or a choice that only the user can make.
    """
    chosen = FORMATS.get(Path(path).suffix.lower()) if format == "auto" else format
    if chosen is None:
        raise UserError(f"{path}: the file's ending tells no format; pass --format tsv, csv or jsonl")
    quoted = chosen == "csv" if quoting == "auto" else quoting == "yes" and chosen != "jsonl"
    records = read_records(path, chosen, quoted)
    if not any(record.cells and record.cells != [""] for record in records):
        raise UserError(f"{path} holds no rows")
    if chosen == "jsonl":
        spec = _json_source(records, text_column, label_column, path)
    else:
        spec = _table_source(records, chosen, header, text_column, label_column, path)
    spec.quoting = quoted
    return spec, describe(path, spec)


def describe(path, spec):
    """What was chosen, in one line."""
    text, label = (
        repr(spec.columns[n]) if spec.columns[n] is not None else f"number {n}"
        for n in (spec.text_column, spec.label_column)
    )
    form = spec.format + {True: ", quoted fields", False: ""}[spec.quoting]
    form += "" if spec.format == "jsonl" else f", {'a' if spec.header else 'no'} header"
    return f"{path}: {form}; text is column {text}, label is column {label}"


def _json_source(records, text_column, label_column, path):
    objects = [record.cells for record in records if record.cells]
    columns = list(objects[0])
    text, label = _choose(columns, text_column, label_column, path)
    labels = [item.get(columns[label]) for item in objects]
    literal = all(isinstance(value, (bool, int, float)) for value in labels if value is not None)
    return SourceSpec("jsonl", False, columns, text, label, literal_labels=literal)


def _table_source(records, file_format, header, text_column, label_column, path):
    first = header_names(records[0], path)
    given = [name for name in (text_column, label_column) if name is not None and not name.isdigit()]
    has_header = {"yes": True, "no": False}.get(header)
    if has_header is None:
        has_header = bool(given) or _looks_like_header(first, path)
    if given and not has_header:
        raise UserError(
            f"{path} is read without a header, so column {given[0]!r} must be a position: 0, 1, ..."
        )
    columns = first if has_header else [None] * len(first)
    if has_header and len(records) == 1:
        raise UserError(f"{path} holds a header and no rows")
    if not has_header and len(first) == 2 and text_column is None and label_column is None:
        text, label = _columns_by_variety(records, path)
    else:
        text, label = _choose(columns, text_column, label_column, path)
    return SourceSpec(file_format, has_header, columns, text, label)


def _looks_like_header(cells, path):
    lowered = [cell.lower() for cell in cells]
    has_text = any(cell in TEXT_NAMES for cell in lowered)
    has_label = any(cell in LABEL_NAMES for cell in lowered)
    if has_text != has_label:
        raise UserError(
            f"{path}: the first row {', '.join(map(repr, cells))[:100]} may or may not be a header; "
            "pass --header yes or --header no"
        )
    return has_text


def _choose(columns, text_column, label_column, path):
    """Positions of the text and the label column."""
    if len(columns) < 2:
        raise UserError(f"{path} has {len(columns)} column; text and label are two (is --format right?)")
    text = _position(columns, text_column, TEXT_NAMES, "--text-column", path)
    label = _position(columns, label_column, LABEL_NAMES, "--label-column", path)
    if len(columns) == 2:  # one known tells the other
        text = 1 - label if text is None and label is not None else text
        label = 1 - text if label is None and text is not None else label
    for position, flag in ((text, "--text-column"), (label, "--label-column")):
        if position is None:
            listed = ", ".join(repr(name) if name is not None else str(n) for n, name in enumerate(columns))
            raise UserError(f"{path}: cannot tell which column is meant; pass {flag} (its columns: {listed})")
    if text == label:
        raise UserError(f"{path}: --text-column and --label-column are the same column ({text})")
    return text, label


def _position(columns, asked, known, flag, path):
    if asked is None:
        lowered = [str(name).lower() for name in columns]
        return next((lowered.index(name) for name in known if name in lowered), None)
    if asked in columns:
        return columns.index(asked)
    if asked.isdigit() and int(asked) < len(columns):
        return int(asked)
    listed = ", ".join(repr(name) if name is not None else str(n) for n, name in enumerate(columns))
    raise UserError(f"{flag} {asked}: {path} has no such column (it has {listed})")


def _columns_by_variety(records, path):
    """Without a header: the label is the column with fewer different values."""
    rows = [record.cells for record in records[:LOOK_AT] if record.cells and len(record.cells) == 2]
    variety = [len({row[column] for row in rows}) for column in (0, 1)]
    if variety[0] == variety[1]:
        raise UserError(f"{path}: cannot tell text from label; pass --text-column 0 or --text-column 1")
    return (0, 1) if variety[0] > variety[1] else (1, 0)
