"""How often each of very many numbers occurs: 16 bytes for each, where a text in a dictionary takes 200.

Legend: N different numbers, sorted.
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.tables.numbers import (
    LARGEST_UNITS,
    MAX_DECIMALS,
    format_units,
    parse_number,
    style_of,
    to_units,
)

_MOSTLY = 0.8  # of the cells must be such numbers
_MOST_NEW = 1 << 20  # numbers that wait to be merged

Numbers = tuple[NDArray[np.int64], NDArray[np.int64]]  # units and how often


class NumberCounts:
    """Numbers that come back exactly from units, in one style.

    Args:
        decimals, style: of all of them; see :mod:`.numbers`.
    """

    def __init__(self, decimals: int, style: str) -> None:
        self.decimals, self.style = decimals, style
        empty = np.empty(0, dtype=np.int64)
        self._merged: Numbers = empty, empty
        self._new: list[Numbers] = []
        self._num_new = 0

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> "tuple[NumberCounts, Counter[str]] | None":
        """Take over what a column has so far.

        Returns:
            The numbers, and the cells that are none of them; None where too many are not.
        """
        parsed = {cell: found for cell in counts if (found := parse_number(cell)) is not None}
        if len(parsed) < _MOSTLY * len(counts):
            return None
        decimals = min(max(have for _, have in parsed.values()), MAX_DECIMALS)
        style = style_of(parsed, decimals)
        if style is None:
            return None
        numbers = cls(decimals, style)
        rest = numbers.add(counts)
        return (numbers, rest) if len(rest) <= (1 - _MOSTLY) * len(counts) else None

    def add(self, counts: Mapping[str, int]) -> Counter[str]:
        """Take note of more cells; those that are no such numbers are given back."""
        rest: Counter[str] = Counter()
        units, times = [], []
        for cell, count in counts.items():
            one = to_units(cell, self.decimals)
            if one is None or abs(one) >= LARGEST_UNITS or self._cell(one) != cell:
                rest[cell] = count
            else:
                units.append(one)
                times.append(count)
        self._new.append((np.array(units, dtype=np.int64), np.array(times, dtype=np.int64)))
        self._num_new += len(units)
        if self._num_new > _MOST_NEW:
            self.merged()
        return rest

    def _cell(self, units: int) -> str:
        return format_units(units, self.decimals, self.style)

    def merged(self) -> Numbers:
        """``(units_N, counts_N)``, int64, the units sorted."""
        if self._new:
            self._merged = merge_numbers([self._merged, *self._new])
            self._new, self._num_new = [], 0
        return self._merged

    def __len__(self) -> int:
        return len(self._merged[0]) + self._num_new

    def at(self, decimals: int, rounded: bool) -> Numbers:
        """:meth:`merged` in units of 10^-decimals, as :func:`~fairseq_plugin.tables.numbers.to_units` gives
        them; numbers that are none of these units are left out."""
        units_N, counts_N = self.merged()
        if decimals >= self.decimals:
            most = LARGEST_UNITS // 10 ** (decimals - self.decimals)
            fits_N = np.abs(units_N) < most
            return units_N[fits_N] * 10 ** (decimals - self.decimals), counts_N[fits_N]
        size = 10 ** (self.decimals - decimals)
        whole_N, rest_N = np.divmod(units_N, size)
        if not rounded:
            return whole_N[rest_N == 0], counts_N[rest_N == 0]
        is_up_N = (rest_N > size // 2) | ((rest_N == size // 2) & (whole_N % 2 == 1))  # half to even
        return merge_numbers([(whole_N + is_up_N, counts_N)])


def merge_numbers(parts: list[Numbers]) -> Numbers:
    """Several of them as one."""
    units_N, place_N = np.unique(np.concatenate([units for units, _ in parts]), return_inverse=True)
    counts_N = np.bincount(place_N, np.concatenate([counts for _, counts in parts]), len(units_N))
    return units_N, counts_N.astype(np.int64)
