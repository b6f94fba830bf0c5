"""Rows of cells as numbers that statistics can be made of.

Legend: N rows, C judged columns.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.tables.schema import CATEGORIES, NUMBERS, TEXT, Column, Schema

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class JudgedColumn:
    """A column as it is judged.

    Attributes:
        column: of the schema; a number, a date, a category or a text.
        num_values: codes of a category: its values and one for whatever is none of them; 0 of other columns.
    """

    column: Column
    num_values: int

    @property
    def name(self) -> str:
        return self.column.name + (" (length)" if self.column.type == TEXT else "")

    @property
    def is_category(self) -> bool:
        return self.num_values > 0


@dataclass(frozen=True)
class JudgedRows:
    """Attributes:
    columns: those that a model learns; keys, constants and dropped columns are not judged.
    values_NC: float64. Numbers and dates in units of the column, categories as codes, texts as their number
        of characters; a missing cell is NaN.
    cells: of the same columns, as text.
    """

    columns: tuple[JudgedColumn, ...]
    values_NC: NDArray[np.float64]
    cells: list[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def is_category_C(self) -> NDArray[np.bool_]:
        return np.array([column.is_category for column in self.columns], dtype=bool)

    def some(self, most: int, seed: int) -> "JudgedRows":
        """At most so many of the rows, drawn without replacement."""
        if len(self) <= most:
            return self
        return self.at(np.sort(np.random.default_rng(seed).permutation(len(self))[:most]))

    def at(self, places: NDArray[np.int64]) -> "JudgedRows":
        """Some of the rows, in this order."""
        return JudgedRows(self.columns, self.values_NC[places], [self.cells[at] for at in places.tolist()])


def judged_rows(schema: Schema, names: Sequence[str], rows: Rows) -> JudgedRows:
    """Rows of a table as numbers.

    Args:
        schema: of the table.
        names: of the columns that the rows have; those that the schema drops may be absent.
        rows: cells by ``names``.
    """
    found, columns, cells = [], [], []
    for column in schema.columns:
        if not column.is_modelled:
            continue
        place = names.index(column.name)
        own = [row[place] for row in rows]
        cells.append(own)
        columns.append(JudgedColumn(column, len(column.values) + 1 if column.type in CATEGORIES else 0))
        found.append(_values(column, own))
    values_NC = np.stack(found, axis=1) if found else np.empty((len(rows), 0))
    return JudgedRows(tuple(columns), values_NC, list(zip(*cells)) if cells else [()] * len(rows))


def without_missing(*sets: JudgedRows) -> list[NDArray[np.float64]]:
    """The values of several sets of the same columns for classifiers that know no missing cells: there they
    are one code more of a category, or a number below all others."""
    every_NC = np.concatenate([rows.values_NC for rows in sets])
    replaced = []
    for column, values_N in zip(sets[0].columns, every_NC.T):
        present = values_N[~np.isnan(values_N)]
        low, high = (float(present.min()), float(present.max())) if len(present) else (0.0, 0.0)
        replaced.append(column.num_values if column.is_category else low - 1 - (high - low) / 100)
    return [np.where(np.isnan(rows.values_NC), replaced, rows.values_NC) for rows in sets]


def _values(column: Column, cells: Sequence[str]) -> NDArray[np.float64]:
    if column.type in NUMBERS:
        known = {cell: _number(column, cell) for cell in set(cells)}
    elif column.type in CATEGORIES:
        known = {value: float(code) for code, value in enumerate(column.values)}
        known |= {cell: float(len(column.values)) for cell in set(cells) - known.keys()}
    else:
        known = {cell: float(len(cell)) for cell in set(cells)}
    known |= {cell: math.nan for cell in known if column.is_missing(cell)}
    return np.array([known[cell] for cell in cells], dtype=np.float64)


def _number(column: Column, cell: str) -> float:
    """Units of a cell; also of what other programs write, such as 1e-05 or more decimals."""
    units = column.units(cell)
    if units is not None:
        return float(units)
    try:
        return float(cell) * 10.0**column.decimals
    except ValueError:
        return math.nan
