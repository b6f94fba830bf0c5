"""The code of whole rows: a sequence of symbols for each row, and the automaton of all rows.

A row is its modelled columns in the schema's order, each by its own symbols, and the end. There are no
separators: a column's symbols say themselves where it ends. In *random order* each column is preceded by a
symbol of its own (its marker), so that columns can stand in any order.

With a tokenizer free text is written in its tokens. They come last in the vocabulary, and all columns of
texts share them.

Symbols are dictionary indices: 4 and more; 2 is the end (see :mod:`fairseq_plugin.storage.dictionary`).
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.storage.dictionary import EOS, NUM_SPECIALS
from fairseq_plugin.tables.code.automaton import DONE, AutomatonBuilder
from fairseq_plugin.tables.code.columns import CategoryCode, ColumnCode, NumberCode
from fairseq_plugin.tables.code.pieces import Pieces
from fairseq_plugin.tables.code.rare_texts import RareTexts
from fairseq_plugin.tables.code.texts import SHARED_MARKS, TextCode
from fairseq_plugin.tables.numbers import parse_written
from fairseq_plugin.tables.schema import CONSTANT, NUMBERS, TEXT, Column, Schema
from fairseq_plugin.text.base import Codec

NAME = "code.json"
FIXED, RANDOM = "fixed", "random"
_REMEMBERED = 1 << 16  # cells of a column whose symbols are kept


class RowCode:
    """Args:
        schema: the columns.
        fitted: ``{name: what fit_column gave}`` for the modelled columns.
        order: ``fixed``, or ``random`` for rows with markers.
        codec: the tokenizer of free text; None: its bytes.

    Attributes:
        first_shared: the first symbol that columns of texts share, with a tokenizer; else ``num_symbols``.
        pieces: what free text is written in.
        order: positions of the modelled columns in the schema, in the order of the code.
        automaton: of all columns.
        start_C: int64, the first state of each column (of ``order``); in random order its marker's.
        end_state: the state in which only the end is allowed.
        num_symbols: size of the vocabulary, the four specials included.
        longest: symbols of the longest possible row, its end included.
        rare_texts: those that no drawn row may repeat; set by who knows them.
    """

    def __init__(
        self,
        schema: Schema,
        fitted: Mapping[str, Mapping[str, Any]],
        order: str = FIXED,
        codec: Codec | None = None,
    ) -> None:
        self.schema, self.fitted, self.order_kind, self.codec = schema, fitted, order, codec
        self.rare_texts = RareTexts()
        self.order = schema.order
        self.pieces = Pieces(codec)
        builder, is_marked = AutomatonBuilder(), order == RANDOM
        self.num_symbols = NUM_SPECIALS
        self.first_symbol: list[int] = []  # of each column, by order; its marker where there are such
        codes: list[ColumnCode | None] = []
        for place in self.order:
            column = schema.columns[place]
            self.first_symbol.append(self.num_symbols)
            self.num_symbols += is_marked
            is_shared = codec is not None and column.type == TEXT
            code = None if is_shared else self._make(column, self.num_symbols, builder)
            codes.append(code)
            self.num_symbols += 0 if code is None else code.num_symbols
        self.first_shared = self.num_symbols
        if None in codes:  # tokens come last
            first_token = self.num_symbols + SHARED_MARKS
            builder.alike = range(first_token, first_token + self.pieces.num_whole)
            self.num_symbols = first_token + len(self.pieces.content)
        self.codes = [
            code or self._make(schema.columns[place], self.first_shared, builder)
            for place, code in zip(self.order, codes)
        ]
        self.longest = sum(code.longest + is_marked for code in self.codes) + 1
        starts = [
            builder.state(first, [code.start]) if is_marked else code.start
            for first, code in zip(self.first_symbol, self.codes)
        ]
        self.end_state = builder.state(EOS, [DONE])
        self.automaton = builder.build(self.num_symbols)
        self.start_C: NDArray[np.int64] = np.array(starts, dtype=np.int64)
        self._constants = [
            (place, column.value) for place, column in enumerate(schema.columns) if column.type == CONSTANT
        ]
        self._known: list[dict[str, list[int]]] = [{} for _ in self.order]
        self._number_of = {first: number for number, first in enumerate(self.first_symbol)}

    def _make(self, column: Column, first_symbol: int, builder: AutomatonBuilder) -> ColumnCode:
        fitted = dict(self.fitted[column.name])
        if column.type in NUMBERS:
            return NumberCode(column, fitted, first_symbol, builder)
        if column.type == TEXT:
            _check_bound(column, self.codec)
            return TextCode(column, self.pieces, first_symbol, builder)
        return CategoryCode(column, fitted, first_symbol, builder)

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
                raise UserError(not_a_cell(self.schema.columns[self.order[number]], cell))
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
        at = 0
        try:
            for turn in range(len(self.order)):
                number = self._column_at(symbols, at, turn)
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

    def _column_at(self, symbols: Sequence[int], at: int, turn: int) -> int:
        """The number of the column that begins at a position, after ``turn`` others."""
        return self._number_of[symbols[at]] if self.order_kind == RANDOM else turn

    def cells_of(self, symbols: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
        """The symbols of each cell of a row, or of its beginning, with the number of its column."""
        step, at, turn = self.automaton.step, 0, 0
        while at < len(symbols) and turn < len(self.order):
            number = self._column_at(symbols, at, turn)
            begin = at = at + (self.order_kind == RANDOM)
            state: int | None = self.codes[number].start
            while state != DONE:
                assert state is not None, "rows are drawn by the automaton"
                state, at = step(state, symbols[at]), at + 1
            yield number, symbols[begin:at]
            turn += 1

    def repeats_rare_text(self, symbols: Sequence[int], given: Collection[int] = ()) -> bool:
        """Whether a row has a rare text that nobody has given.

        Args:
            symbols: of the whole row.
            given: numbers of the columns whose cells were given.
        """
        for number, cell in self.cells_of(symbols):
            column = self.schema.columns[self.order[number]]
            if column.type == TEXT and number not in given:
                text, _ = self.codes[number].decode(cell, 0)
                if not column.is_missing(text) and self.rare_texts.holds(column.name, text):
                    return True
        return False

    def column_of_marker(self) -> NDArray[np.int64]:
        """In random order, the column (of ``order``) whose marker each symbol is, ``(V,)``; -1: none's."""
        columns = np.full(self.num_symbols, -1, dtype=np.int64)
        if self.order_kind == RANDOM:
            columns[self.first_symbol] = np.arange(len(self.first_symbol))
        return columns

    def to_json(self) -> dict[str, Any]:
        """As it is in the file."""
        stated = {"schema": self.schema.to_json(), "order": self.order_kind, "columns": self.fitted}
        return stated if self.codec is None else {**stated, "tokenizer": self.codec.digest().hex()}

    def save(self, folder: Path) -> None:
        """Write ``code.json`` into a folder."""
        with atomic_write(folder / NAME) as stream:
            json.dump(self.to_json(), stream, ensure_ascii=False)
            stream.write("\n")

    @classmethod
    def parse(cls, content: bytes, path: Path, codec: Codec | None = None) -> "RowCode":
        """From the bytes of a ``code.json``.

        Args:
            content: the bytes.
            path: for messages.
            codec: the tokenizer of the folder, where it has one.

        Raises:
            UserError: damaged, or of another tokenizer.
        """
        try:
            stated = json.loads(content)
            if stated.get("tokenizer") != (None if codec is None else codec.digest().hex()):
                raise UserError(f"{path} is of another tokenizer than its folder's; prepare the table again")
            schema = Schema.from_json(stated["schema"], str(path))
            return cls(schema, stated["columns"], stated["order"], codec)
        except (LookupError, ValueError, TypeError, AttributeError, AssertionError, RecursionError) as error:
            raise UserError(f"{path} is damaged ({error!r}); prepare the table again") from error


def _check_bound(column: Column, codec: Codec | None) -> None:
    if codec is None and not column.max_bytes:
        raise UserError(
            f"column {column.name!r}: max_tokens counts GPT-2's tokens, but there is no --from GPT2_FOLDER: "
            "give it, or max_bytes in the schema"
        )
    assert codec is None or column.max_tokens, "prepare_table counts them"


def _is_same_number(cell: str, value: str) -> bool:
    return (parsed := parse_written(cell)) is not None and parsed == parse_written(value)


def not_a_cell(column: Column, cell: str) -> str:
    """Why a column does not hold a cell, and the mend."""
    shown = repr(cell[:60])
    where = f"column {column.name!r}: the cell {shown}"
    if cell == "" and column.missing is None:
        return f'{where} is missing, but no cell of this column was: give it "missing": [""] in the schema'
    if column.type in NUMBERS:
        return (
            f"{where} is not one of {column.range_in_words}: mend the cell, or widen min, max and step in "
            "the schema"
        )
    if column.type == TEXT:
        unit = "tokens" if column.max_tokens else "bytes"
        most = column.max_tokens or column.max_bytes
        return f"{where} has more than {most} {unit}: raise max_{unit} in the schema"
    return f"{where} is none of its {len(column.values)} values: mend the cell, or add it in the schema"
