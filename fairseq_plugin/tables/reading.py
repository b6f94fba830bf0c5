"""Tables from CSV, TSV, Parquet and Feather files: chunks of cells, in bounded memory.

Every cell is text, as the file writes it; typed values of Parquet and Feather are written as
:mod:`~fairseq_plugin.tables.columnar` says.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.records import Record, read_records
from fairseq_plugin.tables.columnar import COLUMNAR, column_names, columnar_rows
from fairseq_plugin.tables.numbers import parse_written
from fairseq_plugin.tables.schema import listed
from fairseq_plugin.text.separators import other_separator

CHUNK_ROWS = 10_000
DELIMITED = ("csv", "tsv")
FORMATS = (*DELIMITED, *COLUMNAR)
EMPTY_LINE = "it is empty"  # why a line is no row
_ENDINGS = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet", ".feather": "feather",
            ".arrow": "feather"}  # fmt: skip

Row = list[str]


def left_out(where: object, why: str, lines: Sequence[int]) -> str:
    """Says how many lines of a file are no rows, or how many rows cannot be used."""
    what = "lines" if why == EMPTY_LINE else "rows"
    return f"{where}: {len(lines):,} {what} left out, the first is line {lines[0]}: {why}"


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
            found = _checked_names(column_names(path, kind), path, "name it")
            if names is not None and tuple(names) != found:
                raise UserError(
                    f"--columns names the columns of a file without names: {path} has {listed(found)}"
                )
            return cls(path, kind, found)
        first = next(_records(path, kind), None)
        if first is not None and first.damage is not None:
            raise UserError(first.damage.refusal(path))
        if first is None or first.cells in (None, [""]):
            problem = f": {first.problem}" if first is not None and first.problem else ""
            raise UserError(f"{path} holds no table: its first line is empty or cannot be read{problem}")
        cells = _cells(first, path)
        other = other_separator(cells, ",", "--format tsv") if kind == "csv" else None
        if other is not None and header == "auto":
            raise UserError(f"{path}: {other}, or give --header yes if it is one column")
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

    def chunks(
        self, size: int = CHUNK_ROWS, empty_lines: list[int] | None = None
    ) -> Iterator[tuple[list[Row], list[int]]]:
        """Its rows, so many at a time, and the line of each (from 1; the row's number where there are none).

        Args:
            size: rows at a time.
            empty_lines: is filled with the lines before a row that are empty, and so no rows of a table of
                several columns; of one column they are missing cells.

        Raises:
            UserError: a row that has not one cell for each column; names its line.
        """
        rows: list[Row] = []
        lines: list[int] = []
        for row, line in self._rows([] if empty_lines is None else empty_lines):
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

    def num_rows(self, empty_lines: list[int] | None = None) -> int:
        """How many rows it has; see :meth:`chunks`."""
        return sum(len(rows) for rows, _ in self.chunks(empty_lines=empty_lines))

    def _rows(self, empty_lines: list[int]) -> Iterator[tuple[Row, int]]:
        if self.format in COLUMNAR:
            yield from zip(columnar_rows(self.path, self.format, CHUNK_ROWS), itertools.count(1))
            return
        records = _records(self.path, self.format)
        if self.header:
            next(records, None)
        waiting: list[int] = []  # empty lines after the last row are its end, and nobody's rows
        for record in records:
            if record.cells == [""] and len(self.names) > 1:
                waiting.append(record.line)
                continue
            empty_lines += waiting
            waiting.clear()
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
    if record.damage is not None:
        raise UserError(record.damage.refusal(path))
    if not isinstance(record.cells, list):
        raise UserError(f"{path} line {record.line}: {record.problem}; mend the line")
    return record.cells


def _checked_names(
    names: Sequence[str], path: Path, mend: str = "name it, or give --header no --columns"
) -> tuple[str, ...]:
    for number, name in enumerate(names, start=1):
        if not name.strip():
            raise UserError(f"{path}: column {number} has no name; {mend}")
    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: two columns are called {twice!r}; give each its own name")
    return tuple(names)
