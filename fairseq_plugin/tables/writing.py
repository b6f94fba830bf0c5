"""Rows of cells -> a CSV or TSV file that reads back equal here and in pandas."""

import os
from collections.abc import Iterable, Sequence

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.labelled.records import DELIMITERS
from fairseq_plugin.tables.numbers import parse_written
from fairseq_plugin.text.base import is_unicode
from fairseq_plugin.text.spreadsheet import mark_formula


def line_of(cells: Sequence[str], delimiter: str) -> str:
    """A record without its line end; cells are quoted where they need it (RFC 4180).

    >>> line_of(["a", "b,c"], ",")
    'a,"b,c"'
    """
    if len(cells) == 1 and not cells[0]:
        return '""'  # an empty line would be no row
    special = (delimiter, '"', "\n", "\r", "\ufeff")
    return delimiter.join(
        '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in special) else cell
        for cell in cells
    )


def marked_rows(rows: Sequence[Sequence[str]]) -> tuple[list[list[str]], int]:
    """Rows with a mark before each cell that a spreadsheet would compute, and how many: -5 is a number.

    >>> marked_rows([["-5", "=A1", "a"]])
    ([['-5', "'=A1", 'a']], 1)
    """
    marked = [[cell if parse_written(cell) else mark_formula(cell) for cell in row] for row in rows]
    return marked, sum(new != cell for own, row in zip(marked, rows) for new, cell in zip(own, row))


def write_table(
    path: str | os.PathLike[str], names: Sequence[str] | None, rows: Iterable[Sequence[str]], form: str
) -> None:
    """Write a table; the file is whole under its name or absent.

    Args:
        path: of the file.
        names: the header; None: none is written.
        rows: cells of each row.
        form: ``csv`` or ``tsv``.

    Raises:
        UserError: a cell that UTF-8 cannot hold (half of a surrogate pair); names its row and its column.
    """
    delimiter = DELIMITERS[form]
    with atomic_write(path) as stream:
        if names is not None:
            stream.write(line_of(names, delimiter) + "\n")
        for number, row in enumerate(rows):
            try:
                stream.write(line_of(row, delimiter) + "\n")
            except UnicodeEncodeError as error:
                place = next(place for place, cell in enumerate(row) if not is_unicode(cell))
                column = repr(names[place]) if names is not None else str(place + 1)
                raise UserError(
                    f"row {number}, column {column}: {row[place][:40]!r} is not valid Unicode: mend the text"
                ) from error
