"""The code of whole rows: a sequence of symbols for each row, and the automaton of all rows.

A row is its modelled columns in the schema's order, each by its own symbols, and the end. There are no
separators: a column's symbols say themselves where it ends. In *random order* each column is preceded by a
symbol of its own (its marker), so that columns can stand in any order.

Symbols are dictionary indices: 4 and more; 2 is the end (see :mod:`fairseq_plugin.storage.dictionary`).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.storage.dictionary import EOS, NUM_SPECIALS
from fairseq_plugin.tables.code.automaton import DONE, AutomatonBuilder
from fairseq_plugin.tables.code.columns import CategoryCode, ColumnCode, NumberCode
from fairseq_plugin.tables.code.texts import TextCode
from fairseq_plugin.tables.numbers import parse_written
from fairseq_plugin.tables.schema import CONSTANT, NUMBERS, TEXT, Column, Schema

NAME = "code.json"
FIXED, RANDOM = "fixed", "random"
_REMEMBERED = 1 << 16  # cells of a column whose symbols are kept


class RowCode:
    """Args:
        schema: the columns.
        fitted: ``{name: what fit_column gave}`` for the modelled columns.
        order: ``fixed``, or ``random`` for rows with markers.

    Attributes:
        order: positions of the modelled columns in the schema, in the order of the code.
        automaton: of all columns.
        start_C: int64, the first state of each column (of ``order``); in random order its marker's.
        end_state: the state in which only the end is allowed.
        num_symbols: size of the vocabulary, the four specials included.
        longest: symbols of the longest possible row, its end included.
    """

    def __init__(self, schema: Schema, fitted: Mapping[str, Mapping[str, Any]], order: str = FIXED) -> None:
        self.schema, self.fitted, self.order_kind = schema, fitted, order
        self.order = schema.order
        builder = AutomatonBuilder()
        self.num_symbols, self.longest = NUM_SPECIALS, 1
        self.first_symbol: list[int] = []  # of each column, by order; its marker where there are such
        self.codes: list[ColumnCode] = []
        starts = []
        for place in self.order:
            column = schema.columns[place]
            self.first_symbol.append(self.num_symbols)
            self.num_symbols += order == RANDOM
            code = _make(column, fitted[column.name], self.num_symbols, builder)
            self.codes.append(code)
            self.num_symbols += code.num_symbols
            self.longest += code.longest + (order == RANDOM)
            is_marked = order == RANDOM
            starts.append(builder.state(self.first_symbol[-1], [code.start]) if is_marked else code.start)
        self.end_state = builder.state(EOS, [DONE])
        self.automaton = builder.build()
        self.start_C: NDArray[np.int64] = np.array(starts, dtype=np.int64)
        self._constants = [
            (place, column.value) for place, column in enumerate(schema.columns) if column.type == CONSTANT
        ]
        self._known: list[dict[str, list[int]]] = [{} for _ in self.order]

    @property
    def names(self) -> list[str]:
        """Of the modelled columns, in the order of the code."""
        return [self.schema.columns[place].name for place in self.order]

    def encode_cell(self, number: int, cell: str) -> list[int]:
        """The symbols of a cell of the column ``order[number]``, with its marker in random order.

        Raises:
            UserError: the column holds no such cell; names it and the mend.
        """
        known = self._known[number]
        if cell not in known:
            symbols = self.codes[number].encode(cell)
            if symbols is None:
                raise UserError(_not_a_cell(self.schema.columns[self.order[number]], cell))
            if len(known) >= _REMEMBERED:
                known.clear()
            known[cell] = [self.first_symbol[number], *symbols] if self.order_kind == RANDOM else symbols
        return known[cell]

    def encode(self, cells: Sequence[str]) -> list[int]:
        """The symbols of a row, its end included.

        Args:
            cells: of all columns of the schema.

        Raises:
            UserError: a cell that its column does not hold, constants included.
        """
        for place, value in self._constants:
            if cells[place] != value and not _is_same_number(cells[place], value):
                raise UserError(
                    f"column {self.schema.columns[place].name!r}: the cell {cells[place][:60]!r} is not "
                    f"{value[:60]!r}, which all rows had: mend the cell, or give the column another type"
                )
        symbols: list[int] = []
        for number, place in enumerate(self.order):
            symbols += self.encode_cell(number, cells[place])
        symbols.append(EOS)
        return symbols

    def decode(self, symbols: Sequence[int], given: Sequence[str | None] = ()) -> list[str | None]:
        """The cells of all columns of the schema; None for columns that are not modelled, constants apart.

        Args:
            symbols: of a whole row, with or without its end; in random order its columns in any order.
            given: cells of all columns, None where they are to be read from the symbols. A rare category,
                which has no symbols of its own, can only be given.

        Raises:
            ValueError: they are no row.
        """
        symbols = [symbol for symbol in symbols if symbol != EOS]
        cells: list[str | None] = [
            column.value if column.type == CONSTANT else None for column in self.schema.columns
        ]
        number_of = {first: number for number, first in enumerate(self.first_symbol)}
        at = 0
        try:
            for turn in range(len(self.order)):
                number = number_of[symbols[at]] if self.order_kind == RANDOM else turn
                place = self.order[number]
                if given and (known := given[place]) is not None:
                    cells[place], at = known, at + len(self.encode_cell(number, known))
                else:
                    marker = self.order_kind == RANDOM
                    cells[place], at = self.codes[number].decode(symbols, at + marker)
        except (IndexError, KeyError) as error:
            raise ValueError(f"{len(symbols)} symbols are not a whole row") from error
        if at < len(symbols):
            raise ValueError(f"{len(symbols) - at} symbols follow after a whole row")
        return cells

    def column_of_symbol(self) -> NDArray[np.int64]:
        """The column (of ``order``) of each symbol; -1 for the specials."""
        bounds = np.array([*self.first_symbol, self.num_symbols])
        return np.searchsorted(bounds, np.arange(self.num_symbols), side="right") - 1

    def to_json(self) -> dict[str, Any]:
        """As it is in the file."""
        return {"schema": self.schema.to_json(), "order": self.order_kind, "columns": self.fitted}

    def save(self, folder: Path) -> None:
        """Write ``code.json`` into a folder."""
        with atomic_write(folder / NAME) as stream:
            json.dump(self.to_json(), stream, ensure_ascii=False)
            stream.write("\n")

    @classmethod
    def parse(cls, content: bytes, path: Path) -> "RowCode":
        """From the bytes of a ``code.json``; ``path`` for messages.

        Raises:
            UserError: damaged.
        """
        try:
            stated = json.loads(content)
            return cls(Schema.from_json(stated["schema"], str(path)), stated["columns"], stated["order"])
        except (ValueError, KeyError, TypeError, IndexError, AssertionError, RecursionError) as error:
            raise UserError(f"{path} is damaged ({error!r}); prepare the table again") from error


def _make(
    column: Column, fitted: Mapping[str, Any], first_symbol: int, builder: AutomatonBuilder
) -> ColumnCode:
    if column.type in NUMBERS:
        return NumberCode(column, dict(fitted), first_symbol, builder)
    if column.type == TEXT:
        return TextCode(column, first_symbol, builder)
    return CategoryCode(column, dict(fitted), first_symbol, builder)


def _is_same_number(cell: str, value: str) -> bool:
    return (parsed := parse_written(cell)) is not None and parsed == parse_written(value)


def _not_a_cell(column: Column, cell: str) -> str:
    shown = repr(cell[:60])
    where = f"column {column.name!r}: the cell {shown}"
    if cell == "" and column.missing is None:
        return f'{where} is missing, but no cell of this column was: give it "missing": [""] in the schema'
    if column.type in NUMBERS:
        return (
            f"{where} is not one of {column.cell(column.low)} .. {column.cell(column.high)} in steps of "
            f"{column.to_json()['step']}: mend the cell, or widen min, max and step in the schema"
        )
    if column.type == TEXT:
        return f"{where} has more than {column.max_bytes} bytes: raise max_bytes in the schema"
    return f"{where} is none of its {len(column.values)} values: mend the cell, or add it in the schema"
