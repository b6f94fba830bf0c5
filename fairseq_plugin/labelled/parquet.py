"""Labelled rows as Parquet, by ``pyarrow`` where it is installed."""

import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fairseq_plugin.extras import require_extra
from fairseq_plugin.files import atomic_write
from fairseq_plugin.labelled.source import Row, SourceSpec

FORMAT = "parquet"
_ROWS_AT_ONCE = 10_000


def require_pyarrow() -> Any:
    """The package.

    Raises:
        UserError: it is not installed.
    """
    require_extra("pyarrow.parquet", "--format parquet", "parquet", ", or give --format jsonl")
    return sys.modules["pyarrow"]


def write_parquet(
    path: str | os.PathLike[str], rows: Iterable[Row], spec: SourceSpec, labels: Sequence[str]
) -> None:
    """Write rows, a group of them at a time.

    Args:
        path: the file; whole under its name or absent.
        rows: ``cells`` of each hold numbers by the names of columns, None for those of text and label.
        spec: names of columns; with ``literal_labels`` a label is the JSON value that it spells.
        labels: every label's name, for the column's type.
    """
    pyarrow = require_pyarrow()
    value = json.loads if spec.literal_labels else str
    schema = pyarrow.schema([
        (name, _type(pyarrow, spec, place, [value(label) for label in labels]))
        for place, name in enumerate(map(str, spec.columns))
    ])  # fmt: skip
    rows = iter(rows)
    with atomic_write(path, "wb") as stream, pyarrow.parquet.ParquetWriter(stream, schema) as writer:
        while some := list(itertools.islice(rows, _ROWS_AT_ONCE)):
            records = [
                {
                    **(row.cells if isinstance(row.cells, dict) else {}),
                    spec.text_key: row.text,
                    spec.label_key: value(row.label),
                }
                for row in some
            ]
            writer.write_table(pyarrow.Table.from_pylist(records, schema))


def _type(pyarrow: Any, spec: SourceSpec, place: int, labels: list[object]) -> Any:
    if place == spec.text_column:
        return pyarrow.string()
    return pyarrow.infer_type(labels) if place == spec.label_column else pyarrow.float64()


def stream_parquet(path: str | os.PathLike[str], spec: SourceSpec) -> Iterator[Row]:
    """The rows of a file that :func:`write_parquet` wrote, a group of them in memory."""
    pyarrow = require_pyarrow()
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(_ROWS_AT_ONCE):
            for record in batch.to_pylist():
                text, label = record[spec.text_key], record[spec.label_key]
                name = json.dumps(label) if spec.literal_labels else label
                cells = record | {spec.text_key: None, spec.label_key: None}
                yield Row(text, name, cells=cells if len(cells) > 2 else None)
