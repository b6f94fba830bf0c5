"""Where a column's values are cut: leaves of a tree whose branches are ordered and weigh about the same.

A leaf is a value that repeats (an atom), or a range of values that are told apart by their digits. Few leaves
have a symbol each. The tree of many is coarse to fine: its first symbol says in which sixteenth of the rows a
value lies, the next one where in that, so that a network sees the order of numbers from the first symbol on.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BRANCHES = 16  # of an inner node of numbers
MOST_AT_ONCE = 512  # so few leaves need no inner nodes
CATEGORY_BRANCHES = 256
NUM_RANGES = 128  # about: a range holds so small a share of the rows
MOST_ATOMS = 4096  # about: a value of a smaller share is told by its digits

Node = list["Node | int"]


@dataclass(frozen=True)
class Leaves:
    """The leaves of a column of numbers, in order and without gaps.

    Attributes:
        first, last: int64, the ends of each; equal for a single value.
        weights: int64, rows in each.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    weights: NDArray[np.int64]


def cut(values: NDArray[np.int64], counts: NDArray[np.int64], low: int, high: int, rare: int) -> Leaves:
    """Cut ``low .. high`` into leaves, each of which holds no row or at least ``rare``.

    Args:
        values: distinct, sorted, in [low, high].
        counts: rows of each.
        low, high: the range.
        rare: values of fewer rows are never a leaf of their own, unless there are no more rows.
    """
    total = int(counts.sum())
    is_atom = counts >= max(rare, 1, -(-total // MOST_ATOMS))
    share = max(rare, total // NUM_RANGES, 1)
    cells: list[tuple[int, int, int]] = []
    start = low
    for atom in np.flatnonzero(is_atom).tolist():
        value = int(values[atom])
        cells += _ranges(values, counts, start, value - 1, share)
        cells.append((value, value, int(counts[atom])))
        start = value + 1
    cells += _ranges(values, counts, start, high, share)
    first, last, weights = (np.array(part, dtype=np.int64) for part in zip(*_merge(cells, rare)))
    return Leaves(first, last, weights)


def _ranges(
    values: NDArray[np.int64], counts: NDArray[np.int64], first: int, last: int, share: int
) -> list[tuple[int, int, int]]:
    """``first .. last`` in ranges of about ``share`` rows each; cuts lie at values that occur."""
    if first > last:
        return []
    begin, end = np.searchsorted(values, (first, last + 1)).tolist()
    inside, rows = values[begin:end], counts[begin:end]
    cumulated = rows.cumsum()
    num_parts = max(int(rows.sum()) // share, 1)
    targets = np.arange(1, num_parts) * (int(rows.sum()) / num_parts)
    starts = np.unique(inside[np.searchsorted(cumulated, targets, side="right")]) if num_parts > 1 else []
    bounds = [first, *(int(start) for start in starts if start > first), last + 1]
    return [
        (one, following - 1, int(rows[(inside >= one) & (inside < following)].sum()))
        for one, following in pairwise(bounds)
    ]


def _merge(cells: list[tuple[int, int, int]], rare: int) -> list[tuple[int, int, int]]:
    """Join a leaf of too few rows with its lighter neighbour, until none is left."""
    merged: list[tuple[int, int, int]] = []
    for place, cell in enumerate(cells):
        while merged and 0 < cell[2] < rare:
            right = cells[place + 1][2] if place + 1 < len(cells) else None
            if right is not None and right < merged[-1][2]:
                break  # it will be joined from the right
            before = merged.pop()
            cell = (before[0], cell[1], before[2] + cell[2])
        if merged and 0 < merged[-1][2] < rare:
            before = merged.pop()
            cell = (before[0], cell[1], before[2] + cell[2])
        merged.append(cell)
    while len(merged) > 1 and 0 < merged[-1][2] < rare:
        cell, before = merged.pop(), merged.pop()
        merged.append((before[0], cell[1], before[2] + cell[2]))
    return merged


def grow(weights: NDArray[np.int64], branches: int, most_at_once: int) -> Node:
    """A tree over leaves ``0 .. len(weights) - 1`` in order; a leaf is its number.

    Args:
        weights: rows of each leaf.
        branches: the most branches of an inner node,
        most_at_once: but so many leaves may be those of the root.
    """
    if len(weights) <= most_at_once:
        return list(range(len(weights)))
    # A little more than its rows for each, so that leaves without rows do not hang in a chain.
    padded = weights + max(float(weights.mean()), 1.0) / 8
    return _split(np.concatenate([[0.0], padded.cumsum()]), 0, len(weights), branches)


def _split(cumulated: NDArray[np.float64], first: int, last: int, branches: int) -> Node:
    """The node over leaves ``first .. last - 1``."""
    if last - first <= branches:
        return list(range(first, last))
    total = cumulated[last] - cumulated[first]
    targets = cumulated[first] + total * np.arange(1, branches) / branches
    cuts = np.searchsorted(cumulated, targets)
    bounds = [first]
    for number, place in enumerate(cuts.tolist(), start=1):  # each part holds a leaf at least
        bounds.append(min(max(place, bounds[-1] + 1), last - (branches - number)))
    bounds.append(last)
    return [
        one if following - one == 1 else _split(cumulated, one, following, branches)
        for one, following in pairwise(bounds)
    ]
