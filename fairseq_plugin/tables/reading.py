"""Tables from CSV, TSV, Parquet and Feather files: chunks of cells, in bounded memory.

Every cell is text, as the file writes it; Parquet's and Feather's typed values are written as Python writes
them, a null as "".
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.extras import require_extra
from fairseq_plugin.labelled.records import Record, read_records
from fairseq_plugin.tables.numbers import parse_written

CHUNK_ROWS = 10_000
DELIMITED = ("csv", "tsv")
COLUMNAR = ("parquet", "feather")
FORMATS = (*DELIMITED, *COLUMNAR)
_ENDINGS = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet", ".feather": "feather",
            ".arrow": "feather"}  # fmt: skip

Row = list[str]


@dataclass(frozen=True)
class TableFile:
    """A table in a file.

    Attributes:
        path: of the file.
        format: one of ``FORMATS``.
        names: of the columns, in order.
        header: whether its first record names them (CSV, TSV).
    """

    path: Path
    format: str
    names: tuple[str, ...]
    header: bool = True

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        file_format: str = "auto",
        header: str = "auto",
        names: Sequence[str] | None = None,
    ) -> "TableFile":
        """Look at a file.

        Args:
            path: of the file.
            file_format: one of ``FORMATS``; ``auto``: by the ending.
            header: ``yes``, ``no``, or ``auto``: no where a cell of the first record is a number.
            names: of the columns of a file without a header.

        Raises:
            UserError: no such file or format, no rows, or names that are missing or there twice.
        """
        path = Path(path)
        kind = _ENDINGS.get(path.suffix.lower()) if file_format == "auto" else file_format
        if kind not in FORMATS:
            raise UserError(
                f"{path}: the ending {path.suffix!r} names no format; give --format {'|'.join(FORMATS)}"
            )
        if kind in COLUMNAR:
            return cls(path, kind, _checked_names(_columnar(path, kind).schema.names, path))
        first = next(_records(path, kind), None)
        if first is None or first.cells in (None, [""]):
            problem = f": {first.problem}" if first is not None and first.problem else ""
            raise UserError(f"{path} holds no table: its first line is empty or cannot be read{problem}")
        cells = _cells(first, path)
        other = next((mark for mark in ";\t|" if mark in cells[0]), "") if len(cells) == 1 else ""
        if other and kind == "csv" and header == "auto":
            mend = "give --format tsv" if other == "\t" else "save it with commas"
            raise UserError(
                f"{path}: its first line has {other!r} where commas should be: {mend}, or give --header yes "
                "if it is one column"
            )
        has_header = header == "yes" or (header == "auto" and not any(map(parse_written, cells)))
        if names is not None and header == "yes":
            raise UserError("--columns names the columns of a file without a header: add --header no")
        if names is not None:
            if len(names) != len(cells):
                raise UserError(f"--columns gives {len(names)} names, but {path} has {len(cells)} columns")
            has_header = has_header and [cell.strip() for cell in cells] == list(names)
            return cls(path, kind, _checked_names(names, path), has_header)
        if not has_header:
            return cls(path, kind, tuple(f"column_{number}" for number in range(1, len(cells) + 1)), False)
        return cls(path, kind, _checked_names([cell.strip() for cell in cells], path))

    def chunks(self, size: int = CHUNK_ROWS) -> Iterator[tuple[list[Row], list[int]]]:
        """Its rows, so many at a time, and the line of each (from 1; the row's number where there are none).

        Raises:
            UserError: a row that has not one cell for each column; names its line.
        """
        rows: list[Row] = []
        lines: list[int] = []
        for row, line in self._rows():
            rows.append(row)
            lines.append(line)
            if len(rows) == size:
                yield rows, lines
                rows, lines = [], []
        if rows:
            yield rows, lines

    def rows(self) -> list[Row]:
        """All its rows at once."""
        return [row for rows, _ in self.chunks() for row in rows]

    def _rows(self) -> Iterator[tuple[Row, int]]:
        if self.format in COLUMNAR:
            yield from _columnar_rows(_columnar(self.path, self.format))
            return
        records = _records(self.path, self.format)
        if self.header:
            next(records, None)
        for record in records:
            if record.cells == [""] and len(self.names) > 1:
                continue  # an empty line, such as the last one
            cells = _cells(record, self.path)
            if len(cells) != len(self.names):
                raise UserError(
                    f"{self.path} line {record.line}: {len(cells)} cells where there are {len(self.names)} "
                    "columns; mend the line (a cell that holds the delimiter stands in double quotes)"
                )
            yield cells, record.line


def _records(path: Path, kind: str) -> Iterator[Record]:
    return read_records(path, kind, quoting=True, has_flag=False)


def _cells(record: Record, path: Path) -> Row:
    if not isinstance(record.cells, list):
        raise UserError(f"{path} line {record.line}: {record.problem}; mend the line")
    return record.cells


def _checked_names(names: Sequence[str], path: Path) -> tuple[str, ...]:
    for number, name in enumerate(names, start=1):
        if not name.strip():
            raise UserError(f"{path}: column {number} has no name; name it, or give --header no --columns")
    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: two columns are called {twice!r}; give each its own name")
    return tuple(names)


def _columnar(path: Path, kind: str) -> Any:
    """An opened Parquet or Feather file."""
    parquet, ipc, pyarrow = (
        require_extra(module, f"{path}: {kind}", "parquet", ", or give a CSV file")
        for module in ("pyarrow.parquet", "pyarrow.ipc", "pyarrow")
    )
    try:
        return parquet.ParquetFile(path) if kind == "parquet" else ipc.open_file(path)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise UserError(f"{path} cannot be read as {kind}: {error}") from error


def _columnar_rows(opened: Any) -> Iterator[tuple[Row, int]]:
    is_parquet = hasattr(opened, "iter_batches")
    batches = (
        opened.iter_batches(CHUNK_ROWS)
        if is_parquet
        else (opened.get_batch(number) for number in range(opened.num_record_batches))
    )
    line = 0
    for batch in batches:
        columns = [[cell_of(value) for value in column.to_pylist()] for column in batch.columns]
        for cells in zip(*columns):
            line += 1
            yield list(cells), line


def cell_of(value: object) -> str:
    """A typed value as a cell.

    >>> [cell_of(value) for value in (None, True, 1.5, float("nan"), "x", 3, -0.0, 1e-7)]
    ['', 'True', '1.5', '', 'x', '3', '0.0', '0.0000001']
    """
    if value is None or value != value:  # NaN is not itself
        return ""
    if isinstance(value, float):
        text = repr(value + 0.0)  # -0.0 is 0.0
        return format(Decimal(text), "f") if "e" in text else text
    return str(value)
