"""The code of a column of free text: its UTF-8 bytes and an end, in states that allow nothing but UTF-8.

The states know how many bytes are left, so that a text always ends and is always a text. Symbols are numbered
so that what a state allows is one range: the end, ASCII, first bytes of 2, of 3, of 4; bytes that follow.
"""

from collections.abc import Sequence

from fairseq_plugin.tables.code.automaton import DONE, AutomatonBuilder
from fairseq_plugin.tables.schema import Column

# First bytes by the length of their character, as in Unicode's table 3-7.
_FIRSTS = {1: range(0x00, 0x80), 2: range(0xC2, 0xE0), 3: range(0xE0, 0xF0), 4: range(0xF0, 0xF5)}
# After these, the second byte has a narrower range than 80 .. BF.
_SECONDS = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}
_FIRST_BYTES = [byte for firsts in _FIRSTS.values() for byte in firsts]
_FOLLOWING = list(range(0x80, 0xC0))
_BYTES = [*_FIRST_BYTES, *_FOLLOWING]


class TextCode:
    """See the module.

    Args:
        column: with ``max_bytes``.
        first_symbol: of this column: a missing cell, where there are such that are written as something, then
            the end, then bytes. Where "" is missing, the end of an empty text says so: one cell, one code.
        builder: gets the states.
    """

    def __init__(self, column: Column, first_symbol: int, builder: AutomatonBuilder) -> None:
        self._column = column
        has_mark = column.missing is not None and not column.is_missing("")
        self._end = first_symbol + has_mark
        self._missing = [first_symbol] if has_mark else None
        self.num_symbols = self._end - first_symbol + 1 + len(_BYTES)
        self.longest = column.max_bytes + 1
        self._symbol_of_first = {byte: self._end + 1 + place for place, byte in enumerate(_FIRST_BYTES)}
        self._first_following = self._end + 1 + len(_FIRST_BYTES)
        self._states: dict[tuple[tuple[int, int] | None, int, int], int] = {}
        starts: list[int] = []  # by bytes left
        for left in range(column.max_bytes + 1):
            starts.append(self._start(builder, starts, left, is_first=left == column.max_bytes))
        self.start = starts[-1]

    def _start(self, builder: AutomatonBuilder, starts: list[int], left: int, is_first: bool) -> int:
        """The state at a character's beginning."""
        specials = [DONE] if is_first and self._missing else []
        following = [*specials, DONE]
        for length, firsts in _FIRSTS.items():
            if length > left:
                break
            after = starts[left - length]
            for byte in firsts:
                following.append(self._rest(builder, byte, length - 1, after))
        return builder.state(self._end - len(specials), following)

    def _rest(self, builder: AutomatonBuilder, byte: int, num_left: int, after: int) -> int:
        """The state after a first byte."""
        if num_left == 0:
            return after
        key = (_SECONDS.get(byte), num_left, after)
        if key not in self._states:
            low, high = _SECONDS.get(byte, (0x80, 0xBF))
            following = self._rest(builder, 0, num_left - 1, after)
            symbol = self._first_following + low - 0x80
            self._states[key] = builder.state(symbol, [following] * (high - low + 1))
        return self._states[key]

    def encode(self, cell: str) -> list[int] | None:
        if self._column.is_missing(cell):
            return self._missing or [self._end]
        try:
            content = cell.encode("utf-8")
        except UnicodeEncodeError:
            return None
        if len(content) > self._column.max_bytes:
            return None
        return [*(self._symbol(byte) for byte in content), self._end]

    def _symbol(self, byte: int) -> int:
        if 0x80 <= byte < 0xC0:
            return self._first_following + byte - 0x80
        return self._symbol_of_first[byte]

    def decode(self, symbols: Sequence[int], at: int) -> tuple[str, int]:
        if self._missing is not None and symbols[at] == self._missing[0]:
            return str(self._column.missing), at + 1
        content = bytearray()
        while symbols[at] != self._end:
            content.append(_BYTES[symbols[at] - self._end - 1])
            at += 1
        is_missing = not content and self._column.is_missing("")
        return str(self._column.missing) if is_missing else content.decode("utf-8"), at + 1
