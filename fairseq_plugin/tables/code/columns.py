"""The code of one column: cells to symbols and back, and the states of its automaton.

A cell is a path in the column's tree (see :mod:`leaves`) and, in a range of numbers, digits. The first level
has a symbol more for a missing cell, and one for rare categories, which is read and never drawn.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fairseq_plugin.tables.code.automaton import DONE, AutomatonBuilder
from fairseq_plugin.tables.code.digits import Digits
from fairseq_plugin.tables.code.leaves import Node
from fairseq_plugin.tables.schema import Column

Path = tuple[int, ...]
RARE_TEXT = " other"


def missing_text(column: Column) -> str:
    """What the symbol of a missing cell stands for: its mark, or a word where nothing is written."""
    return f" {column.missing or 'missing'}"


class ColumnCode(Protocol):
    """Attributes:
    num_symbols: its own, from the first one that it was given.
    start: its first state.
    longest: symbols of its longest cell.
    """

    num_symbols: int
    start: int
    longest: int

    def encode(self, cell: str) -> list[int] | None:
        """The symbols of a cell; None where the column does not hold such a cell."""
        ...

    def decode(self, symbols: Sequence[int], at: int) -> tuple[str, int]:
        """The cell whose symbols begin at a position, and the position after it."""
        ...

    def texts(self) -> Iterator[tuple[int, str]]:
        """Its own symbols, each with every text that it stands for; see :mod:`symbol_texts`."""
        ...


@dataclass(frozen=True)
class Scale:
    """Symbols in the order of what they stand for: ``first`` and those after it."""

    first: int
    num_symbols: int


class _Tree:
    """Paths through a tree whose levels have symbols of their own.

    Args:
        node: the root; leaves are numbers.
        specials: how many symbols stand before the root's branches.
    """

    def __init__(self, node: Node, specials: int, first_symbol: int) -> None:
        widths = _widths(node)
        widths[0] += specials
        self.num_symbols, self.depth = sum(widths), len(widths)
        self.first = [first_symbol + sum(widths[:level]) for level in range(len(widths))]
        self._node, self._specials = node, specials
        self.scales = [
            Scale(first + skipped, width - skipped)
            for first, width, skipped in zip(self.first, widths, [specials, *[0] * len(widths)])
        ]
        self.paths: list[Path] = []
        self._collect(node, ())
        self.leaf_of = {path: leaf for leaf, path in enumerate(self.paths)}

    def _collect(self, node: "Node | int", path: Path) -> None:
        if isinstance(node, int):
            assert node == len(self.paths), "leaves are in order"
            self.paths.append(path)
            return
        begin = self.first[len(path)] + (0 if path else self._specials)
        for place, branch in enumerate(node):
            self._collect(branch, (*path, begin + place))

    def states(self, builder: AutomatonBuilder, after: Sequence[int], num_hidden: int) -> int:
        """Add the states; ``after`` says for each leaf which state follows it."""
        return self._state(builder, self._node, after, 0, num_hidden)

    def _state(
        self, builder: AutomatonBuilder, node: "Node | int", after: Sequence[int], level: int, num_hidden: int
    ) -> int:
        if isinstance(node, int):
            return after[node]
        following = [self._state(builder, branch, after, level + 1, 0) for branch in node]
        specials = [] if level else [DONE] * self._specials
        return builder.state(self.first[level], [*specials, *following], num_hidden)

    def branches(self) -> Iterator[tuple[int, int, int]]:
        """Every branch of every node: ``(symbol, its first leaf, its last leaf)``."""
        ends: dict[Path, tuple[int, int]] = {}
        for leaf, path in enumerate(self.paths):
            for length in range(1, len(path) + 1):
                first, _ = ends.get(path[:length], (leaf, leaf))
                ends[path[:length]] = first, leaf
        return ((path[-1], first, last) for path, (first, last) in ends.items())

    def leaf_at(self, symbols: Sequence[int], at: int) -> tuple[int, int]:
        """The leaf whose path begins at a position, and the position after it."""
        for length in range(1, self.depth + 1):
            leaf = self.leaf_of.get(tuple(symbols[at : at + length]))
            if leaf is not None:
                return leaf, at + length
        raise ValueError(f"no cell begins with the symbols {list(symbols[at : at + self.depth])}")


def _widths(node: "Node | int") -> list[int]:
    """The most branches of a node of each level."""
    if isinstance(node, int):
        return []
    below = [_widths(branch) for branch in node]
    depth = max(map(len, below))
    deeper = [max(widths[level] for widths in below if len(widths) > level) for level in range(depth)]
    return [len(node), *deeper]


class NumberCode:
    """Numbers and dates.

    Attributes:
        scales: a level of the tree, or a digit, each.

    Args:
        column: of a type with units.
        fitted: ``first``, ``last`` (lists of steps from ``low``, the ends of the leaves) and ``tree``.
        first_symbol: of this column.
        builder: gets the states.
    """

    def __init__(
        self, column: Column, fitted: dict[str, Any], first_symbol: int, builder: AutomatonBuilder
    ) -> None:
        self._column, specials = column, int(column.missing is not None)
        # In steps of the column, counted so that a digit keeps its meaning: 12.50 in steps of .05 is 250.
        self._offset = column.low // column.step
        self._first = [self._offset + one for one in fitted["first"]]
        self._last = [self._offset + one for one in fitted["last"]]
        self._tree = _Tree(fitted["tree"], specials, first_symbol)
        self._missing = [first_symbol] if specials else None
        shift = Digits.shift_for(self._first[0], self._last[-1])
        self._digits = Digits(builder, first_symbol + self._tree.num_symbols, shift)
        after: list[int] = []
        self._num_places = 0
        for first, last in zip(self._first, self._last):
            tails = self._digits.tails(first, last) if first < last else ("", "")
            self._num_places = max(self._num_places, len(tails[0]))
            after.append(self._digits.state(*tails))
        self.num_symbols = self._tree.num_symbols + 10 * self._num_places
        self.longest = self._tree.depth + self._num_places
        self.start = self._tree.states(builder, after, 0)
        first_digit = first_symbol + self._tree.num_symbols
        self.scales = [
            *self._tree.scales,
            *(Scale(first_digit + 10 * i, 10) for i in range(self._num_places)),
        ]

    def encode(self, cell: str) -> list[int] | None:
        column = self._column
        if column.is_missing(cell):
            return self._missing
        units = column.units(cell)
        if units is None or not column.low <= units <= column.high or (units - column.low) % column.step:
            return None
        value = self._offset + (units - column.low) // column.step
        leaf = bisect_right(self._first, value) - 1
        first, last = self._first[leaf], self._last[leaf]
        path = list(self._tree.paths[leaf])
        return path if first == last else path + self._digits.encode(value, first, last)

    def decode(self, symbols: Sequence[int], at: int) -> tuple[str, int]:
        if self._missing is not None and symbols[at] == self._missing[0]:
            return str(self._column.missing), at + 1
        leaf, at = self._tree.leaf_at(symbols, at)
        value = first = self._first[leaf]
        last = self._last[leaf]
        if first < last:
            num_places = len(self._digits.tails(first, last)[0])
            value = self._digits.decode(list(symbols[at : at + num_places]), first, last)
            at += num_places
        return self._cell(value), at

    def _cell(self, value: int) -> str:
        return self._column.cell(self._column.low + (value - self._offset) * self._column.step)

    def middles(self) -> list[float]:
        """Of each symbol of the first scale, the middle of its values, in steps of the column."""
        ends = {
            symbol: (self._first[first], self._last[last]) for symbol, first, last in self._tree.branches()
        }
        scale = self.scales[0]
        return [sum(ends[scale.first + place]) / 2 for place in range(scale.num_symbols)]

    def texts(self) -> Iterator[tuple[int, str]]:
        if self._missing is not None:
            yield self._missing[0], missing_text(self._column)
        for symbol, first, last in self._tree.branches():
            yield symbol, f" {self._cell((self._first[first] + self._last[last]) // 2)}"
        for place in range(1, self._num_places + 1):
            for digit in range(10):
                yield self._digits.symbol(place, digit), str(digit)


class CategoryCode:
    """Categories and booleans.

    Args:
        column: with its values.
        fitted: ``values``, those with a symbol path, in order; ``tree`` over them; ``has_rare``.
        first_symbol, builder: see :class:`NumberCode`.
    """

    def __init__(
        self, column: Column, fitted: dict[str, Any], first_symbol: int, builder: AutomatonBuilder
    ) -> None:
        self._column, self._values = column, fitted["values"]
        has_rare, has_missing = fitted["has_rare"], column.missing is not None
        self._tree = _Tree(fitted["tree"], has_rare + has_missing, first_symbol)
        self._missing = [first_symbol + has_rare] if has_missing else None
        self._codes = {value: list(path) for value, path in zip(self._values, self._tree.paths)}
        if has_rare:
            rare = [first_symbol]
            self._codes |= {value: rare for value in column.values if value not in self._codes}
        self._rare = first_symbol if has_rare else None
        self.num_symbols, self.longest = self._tree.num_symbols, self._tree.depth
        self.start = self._tree.states(builder, [DONE] * len(self._values), int(has_rare))

    def encode(self, cell: str) -> list[int] | None:
        if self._column.is_missing(cell):
            return self._missing
        return self._codes.get(cell)

    def decode(self, symbols: Sequence[int], at: int) -> tuple[str, int]:
        if self._missing is not None and symbols[at] == self._missing[0]:
            return str(self._column.missing), at + 1
        if symbols[at] == self._rare:
            raise ValueError("a rare value has no text of its own")
        leaf, at = self._tree.leaf_at(symbols, at)
        return self._values[leaf], at

    def texts(self) -> Iterator[tuple[int, str]]:
        if self._missing is not None:
            yield self._missing[0], missing_text(self._column)
        if self._rare is not None:
            yield self._rare, RARE_TEXT
        for value, path in zip(self._values, self._tree.paths):
            for symbol in path:
                yield symbol, f" {value}"
