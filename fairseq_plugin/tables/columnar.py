"""Tables from Parquet and Feather files: typed columns as cells, or a refusal that names the column.

A null is ""; numbers, days and truth values are written as Python writes them, moments to the second (in UTC,
as ``2024-02-29T12:00:00Z``, where the column has a time zone), categories as their values.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.extras import require_extra
from fairseq_plugin.tables.dates import format_date

COLUMNAR = ("parquet", "feather")
_TEXTS = ("string", "large_string", "string_view")


def column_names(path: str | os.PathLike[str], kind: str) -> list[str]:
    """The names of a file's columns.

    Args:
        path: of the file.
        kind: one of ``COLUMNAR``.

    Raises:
        UserError: it cannot be read, or a column holds what is no cell; names the column and the mend.
    """
    with _opened(path, kind) as (arrow, file):
        schema = file.schema_arrow if kind == "parquet" else file.schema
        for field in schema:
            if not _holds_cells(arrow, field.type):
                raise UserError(
                    f"{path}: column {field.name!r} holds {field.type}, which is no cell of a table: leave "
                    "it out of the file, or make it numbers, texts, dates or truth values"
                )
        return schema.names


def columnar_rows(path: str | os.PathLike[str], kind: str, size: int) -> Iterator[list[str]]:
    """The rows of a file that :func:`column_names` has accepted.

    Args:
        path, kind: see there.
        size: rows that are in memory as cells at once.

    Raises:
        UserError: it is damaged, or a value is no cell; names the column and the mend.
    """
    with _opened(path, kind) as (arrow, file):
        names = (file.schema_arrow if kind == "parquet" else file.schema).names
        for batch in _batches(file, kind, size):
            columns = [
                _cells(arrow, column, f"{path}: column {name!r}")
                for name, column in zip(names, batch.columns)
            ]
            yield from map(list, zip(*columns))


@contextmanager
def _opened(path: str | os.PathLike[str], kind: str) -> Iterator[tuple[Any, Any]]:
    """``(pyarrow, the opened file)``; its errors are told in a line."""
    parquet, ipc, arrow = (
        require_extra(module, f"{path}: {kind}", "parquet", ", or give a CSV file")
        for module in ("pyarrow.parquet", "pyarrow.ipc", "pyarrow")
    )
    try:
        is_parquet = kind == "parquet"
        file = (
            parquet.ParquetFile(path, page_checksum_verification=True) if is_parquet else ipc.open_file(path)
        )
        with file:
            yield arrow, file
    except (OSError, arrow.ArrowException, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read as {kind}: {reason}; write the file again") from error


def _batches(file: Any, kind: str, size: int) -> Iterator[Any]:
    if kind == "parquet":
        yield from file.iter_batches(size)
        return
    for number in range(file.num_record_batches):
        batch = file.get_batch(number)
        for first in range(0, batch.num_rows, size):
            yield batch.slice(first, size)


def _holds_cells(arrow: Any, kind: Any) -> bool:
    types = arrow.types
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return str(kind) in _TEXTS or any(
        is_one(kind)
        for is_one in (types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_decimal,
                       types.is_date, types.is_time, types.is_timestamp)
    )  # fmt: skip


def _cells(arrow: Any, column: Any, where: str) -> list[str]:
    types = arrow.types
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind):
        return _moments(arrow, column, where)
    if types.is_floating(kind) and kind.bit_width < 64:  # .1 of 32 bits is no .10000000149011612
        return [cell_of(float(str(one))) for one in column.to_numpy(zero_copy_only=False)]
    return [cell_of(value) for value in column.to_pylist()]


def _moments(arrow: Any, column: Any, where: str) -> list[str]:
    kind = column.type
    if arrow.types.is_date(kind):
        units, form = arrow.date32(), "%Y-%m-%d"
    elif arrow.types.is_time(kind):
        units, form = arrow.time32("s"), "%H:%M:%S"
    else:
        units, form = arrow.timestamp("s", kind.tz), "%Y-%m-%dT%H:%M:%SZ" if kind.tz else "%Y-%m-%d %H:%M:%S"
    try:
        numbers = column.cast(units)
    except arrow.ArrowInvalid as error:
        raise UserError(f"{where} has parts of seconds: round them, such as by .dt.floor('s')") from error
    try:
        whole = numbers.cast(arrow.int64() if numbers.type.bit_width == 64 else arrow.int32()).to_pylist()
        return ["" if one is None else format_date(one, form) for one in whole]
    except OverflowError as error:
        raise UserError(
            f"{where} has years before 1 or after 9999: make them missing, or leave it out"
        ) from error


def cell_of(value: object) -> str:
    """A typed value as a cell.

    >>> [cell_of(value) for value in (None, True, 1.5, float("nan"), "x", 3, -0.0, 1e-7)]
    ['', 'True', '1.5', '', 'x', '3', '0.0', '0.0000001']
    >>> cell_of(Decimal("0E-8"))
    '0.00000000'
    """
    if value is None or value != value:  # NaN is not itself
        return ""
    if isinstance(value, float):
        text = repr(value + 0.0)  # -0.0 is 0.0
        return format(Decimal(text), "f") if "e" in text else text
    return format(value, "f") if isinstance(value, Decimal) else str(value)
