"""The code of a column of free text: its pieces and an end, in states that allow nothing but UTF-8.

The states know how many pieces are left, so that a text always ends and is always a text. Symbols are
numbered so that what a state allows is one range: the end, whole pieces, first bytes of characters of 2, of
3, of 4 bytes; bytes that follow. Bytes are symbols of their column; all columns of texts share the tokens.
"""

from collections.abc import Iterator, Sequence

from fairseq_plugin.tables.code.automaton import DONE, AutomatonBuilder
from fairseq_plugin.tables.code.pieces import FIRSTS, SECONDS, Pieces
from fairseq_plugin.tables.schema import Column

SHARED_MARKS = 2  # before the tokens: a missing cell, the end


class TextCode:
    """See the module.

    Args:
        column: with ``max_tokens`` where pieces are tokens, else with ``max_bytes``.
        pieces: what it is written in.
        first_symbol: a missing cell, where there are such that are written as something, then the end, then
            pieces. Where "" is missing, the end of an empty text says so: one cell, one code. Shared symbols
            always begin with a missing cell.
        builder: gets the states.
    """

    def __init__(self, column: Column, pieces: Pieces, first_symbol: int, builder: AutomatonBuilder) -> None:
        self._column, self._pieces = column, pieces
        is_shared = bool(pieces.ids)
        has_mark = column.missing is not None and not column.is_missing("")
        self._end = first_symbol + (has_mark or is_shared)
        self._missing = [first_symbol] if has_mark else None
        self.num_symbols = 0 if is_shared else self._end - first_symbol + 1 + len(pieces.content)
        self._most = column.max_tokens if is_shared else column.max_bytes
        self.longest = self._most + 1
        self._first_following = self._end + 1 + len(pieces.content) - 0x40  # 80 .. BF come last
        # All whole pieces lead to one state, and so it is one edge where they are alike.
        self._num_whole = 1 if is_shared else pieces.num_whole
        self._states: dict[tuple[tuple[int, int] | None, int, int], int] = {}
        starts: list[int] = []  # by pieces left
        for left in range(self._most + 1):
            starts.append(self._start(builder, starts, left, is_first=left == self._most))
        self.start = starts[-1]

    def _start(self, builder: AutomatonBuilder, starts: list[int], left: int, is_first: bool) -> int:
        """The state at a character's beginning."""
        specials = [DONE] if is_first and self._missing else []
        following = [*specials, DONE]
        if left:
            following += [starts[left - 1]] * self._num_whole
        for length, firsts in FIRSTS.items():
            if length <= left:
                after = starts[left - length]
                following += [self._rest(builder, byte, length - 1, after) for byte in firsts]
        return builder.state(self._end - len(specials), following)

    def _rest(self, builder: AutomatonBuilder, byte: int, num_left: int, after: int) -> int:
        """The state after a first byte."""
        if num_left == 0:
            return after
        key = (SECONDS.get(byte), num_left, after)
        if key not in self._states:
            low, high = SECONDS.get(byte, (0x80, 0xBF))
            following = self._rest(builder, 0, num_left - 1, after)
            symbol = self._first_following + low - 0x80
            self._states[key] = builder.state(symbol, [following] * (high - low + 1))
        return self._states[key]

    def encode(self, cell: str) -> list[int] | None:
        if self._column.is_missing(cell):
            return self._missing or [self._end]
        numbers = self._pieces.split(cell)
        if numbers is not None and len(numbers) > self._most:
            numbers = self._pieces.shortest(cell, self._most)
        return None if numbers is None else [*(self._end + 1 + number for number in numbers), self._end]

    def decode(self, symbols: Sequence[int], at: int) -> tuple[str, int]:
        if self._missing is not None and symbols[at] == self._missing[0]:
            return str(self._column.missing), at + 1
        content = bytearray()
        while symbols[at] != self._end:
            content += self._pieces.content[symbols[at] - self._end - 1]
            at += 1
        is_missing = not content and self._column.is_missing("")
        return str(self._column.missing) if is_missing else content.decode("utf-8"), at + 1

    def texts(self) -> Iterator[tuple[int, str]]:
        """Its symbols are tokens, and no other text stands for them."""
        return iter(())
