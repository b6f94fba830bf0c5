"""Which symbols may come next: a table [state, symbol] in which every state's symbols are one range.

Symbols are numbered so that this holds: what a state allows is ``low <= symbol < low + count``, and the state
that follows is one look-up in a flat list. Such a table of a column with 100,000 categories takes 800 KB.

Tokens of a text are alike: wherever they may stand they are allowed together and lead to the same state. They
share one edge of a state, so that 50,000 tokens cost each state one edge.

Legend: S states, V symbols, E edges (allowed pairs of state and offset).
"""

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DONE = -1  # the state after the last symbol of a column


@dataclass(frozen=True)
class Automaton:
    """Attributes:
    low_S, count_S: int32, the range of symbols of each state.
    shown_S: int32, the first of them that may be drawn; those before it are only read (rare values).
    first_S: int64, where each state's edges begin in ``next_E``.
    next_E: int32, the state after each edge, or ``DONE``.
    offset_V: int64, the offset of each symbol: its edge is ``first_S + offset_V[symbol] - offset_V[low_S]``.
    """

    low_S: NDArray[np.int32]
    count_S: NDArray[np.int32]
    shown_S: NDArray[np.int32]
    first_S: NDArray[np.int64]
    next_E: NDArray[np.int32]
    offset_V: NDArray[np.int64]

    def step(self, state: int, symbol: int) -> int | None:
        """The state after a symbol; None where it is not allowed."""
        low = int(self.low_S[state])
        if not low <= symbol < low + int(self.count_S[state]):
            return None
        offset = int(self.offset_V[symbol] - self.offset_V[low])
        return int(self.next_E[int(self.first_S[state]) + offset])


class AutomatonBuilder:
    """Collects states.

    Attributes:
        alike: the symbols that share an offset; set before the first state that allows them.
    """

    def __init__(self) -> None:
        self.alike = range(0)
        self._low, self._count, self._shown = array("i"), array("i"), array("i")
        self._first, self._next = array("q"), array("i")

    def state(self, low: int, following: list[int], num_hidden: int = 0) -> int:
        """A new state.

        Args:
            low: its first symbol.
            following: the state after each of its symbols, in order; one for all that are alike.
            num_hidden: how many of the first ones are read and never drawn.
        """
        assert following, "a state allows a symbol"
        self._low.append(low)
        holds_alike = low <= self.alike.start < low + len(following)
        self._count.append(len(following) + (len(self.alike) - 1 if holds_alike else 0))
        self._shown.append(low + num_hidden)
        self._first.append(len(self._next))
        self._next.extend(following)
        return len(self._low) - 1

    def build(self, num_symbols: int) -> Automaton:
        """The automaton over ``num_symbols``."""
        offset_V = np.arange(num_symbols, dtype=np.int64)
        if self.alike:
            offset_V[self.alike.start : self.alike.stop] = self.alike.start
            offset_V[self.alike.stop :] -= len(self.alike) - 1
        return Automaton(
            np.array(self._low, dtype=np.int32),
            np.array(self._count, dtype=np.int32),
            np.array(self._shown, dtype=np.int32),
            np.array(self._first, dtype=np.int64),
            np.array(self._next, dtype=np.int32),
            offset_V,
        )
