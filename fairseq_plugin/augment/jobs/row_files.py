"""Rows on their way to files: one after another, each file whole or absent and read back before it counts."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fairseq_plugin.augment.augmented_set import WrittenFile
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled import parquet
from fairseq_plugin.labelled.rows import Row, SourceSpec, stream_rows, write_rows
from fairseq_plugin.text.spreadsheet import mark_formula

FORMATS = ("tsv", "csv", "jsonl", parquet.FORMAT)


def output_spec(source: SourceSpec, form: str | None, more_columns: Sequence[str] = ()) -> SourceSpec:
    """The form of the files to write.

    Args:
        source: of the real rows.
        form: one of :data:`FORMATS`; None: the source's own, all its columns included.
        more_columns: to come after them.

    Raises:
        UserError: a column that is there already, or no header to name a new one.
    """
    if form in (None, source.format):
        spec = source
    else:
        place = [source.text_column, source.label_column]
        named = source.columns[place[0]] is not None
        columns: list[str | None] = ["text", "label"]
        if named:
            columns = [source.columns[i] for i in sorted(place)]
        spec = SourceSpec(
            form,
            header=form in ("tsv", "csv"),
            columns=columns,
            text_column=0 if not named or place[0] < place[1] else 1,
            label_column=1 if not named or place[0] < place[1] else 0,
            quoting=form == "csv",
            keep_whitespace=source.keep_whitespace,
            literal_labels=source.literal_labels and form in ("jsonl", parquet.FORMAT),
        )
    if more_columns and not spec.header and spec.format in ("tsv", "csv"):
        raise UserError(
            "--scores, --soft-labels: the source has no header to name the new columns; add --format jsonl"
        )
    doubled = [name for name in more_columns if name in spec.columns]
    if doubled:
        raise UserError(
            f"--scores, --soft-labels: the source has a column {doubled[0]!r} of its own; leave the flag out"
        )
    return replace(spec, columns=[*spec.columns, *more_columns])


def text_spec(spec: SourceSpec) -> SourceSpec:
    """The form that decides which texts can be written: Parquet holds what JSON does."""
    return replace(spec, format="jsonl") if spec.format == parquet.FORMAT else spec


def write_parts(
    folder: Path,
    stem: str,
    rows: Iterable[Row],
    num_rows: int,
    spec: SourceSpec,
    labels: Sequence[str],
    rows_per_file: int | None = None,
    spreadsheet_safe: bool = False,
) -> dict[str, WrittenFile]:
    """Write rows into one file, or into several of at most ``rows_per_file``.

    Args:
        folder: an existing folder.
        stem: of the files' names.
        rows: each is in memory for a moment; those with a line number are real.
        num_rows: how many there will be.
        spec: form of the files.
        labels: every label's name.
        rows_per_file: >= 1; None: all in one.
        spreadsheet_safe: put a mark before texts that a spreadsheet would compute.

    Returns:
        The files by name.
    """
    rows_per_file = rows_per_file or max(1, num_rows)
    num_files = max(1, -(-num_rows // rows_per_file))
    rows, files = iter(rows), {}
    for number in range(1, num_files + 1):
        part = f"-{number:05d}-of-{num_files:05d}" if num_files > 1 else ""
        path = folder / f"{stem}{part}.{spec.format}"
        some = itertools.islice(rows, rows_per_file)
        files[path.name] = _write_file(path, some, spec, labels, spreadsheet_safe)
    assert sum(file.rows for file in files.values()) == num_rows and next(rows, None) is None
    return files


def _write_file(
    path: Path, rows: Iterable[Row], spec: SourceSpec, labels: Sequence[str], spreadsheet_safe: bool
) -> WrittenFile:
    """Write a file, and read it back before it counts as written."""
    written, read = _Seen(), _Seen()
    marked = 0

    def passing() -> Iterator[Row]:
        nonlocal marked
        for row in rows:
            if spreadsheet_safe and (text := mark_formula(row.text)) != row.text:
                row, marked = replace(row, text=text), marked + 1
            written.add(row)
            yield row

    if spec.format == parquet.FORMAT:
        parquet.write_parquet(path, passing(), spec, labels)
    else:
        write_rows(path, passing(), spec)
    for row in stream_rows(path, spec):
        if isinstance(row, Row):
            read.add(row)
    if (read.num_rows, read.digest) != (written.num_rows, written.digest):
        raise AssertionError(
            f"{path.name} does not read back to its {written.num_rows:,} rows: a bug, please report it"
        )
    return WrittenFile(
        rows=written.num_rows,
        real=written.num_real,
        synthetic=written.num_rows - written.num_real,
        marked=marked,
        bytes=path.stat().st_size,
        sha256=sha256(path),
    )


class _Seen:
    """A digest of the content of rows, so that two passes can be compared without a list of either."""

    def __init__(self) -> None:
        self.num_rows, self.num_real = 0, 0
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def add(self, row: Row) -> None:
        self.num_rows += 1
        self.num_real += row.line > 0
        # Cells that are all empty are read back as such, and a synthetic row has none.
        others = list(row.cells.values()) if isinstance(row.cells, dict) else row.cells or []
        others = others if any(value not in ("", None) for value in others) else []
        content = [row.text, row.label, others]
        self._hash.update(json.dumps(content, ensure_ascii=True).encode() + b"\n")
