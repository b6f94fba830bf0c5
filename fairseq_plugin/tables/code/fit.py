"""What a code learns from the training rows: how often each value occurs, and the leaves that follow.

The result is plain JSON; :class:`~fairseq_plugin.tables.code.rows.RowCode` makes the symbols of it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.code.leaves import (
    BRANCHES,
    CATEGORY_BRANCHES,
    MOST_AT_ONCE,
    cut,
    grow,
)
from fairseq_plugin.tables.number_counts import NumberCounts, merge_numbers
from fairseq_plugin.tables.schema import CATEGORIES, DATE, NUMBERS, Column, listed

Counts = Mapping[str, int]


def fit_column(
    column: Column, counts: Counts, rare: int, numbers: NumberCounts | None = None
) -> dict[str, Any]:
    """The fitted part of a column's code.

    Args:
        column: a modelled one.
        counts: rows of each cell in the training rows.
        rare: values of fewer rows are not emitted whole.
        numbers: further cells, of a column of very many numbers.

    Raises:
        UserError: a category without a value that may be emitted.
    """
    if column.type in NUMBERS:
        return _fit_numbers(column, counts, rare, numbers)
    if column.type in CATEGORIES:
        if numbers is not None:
            raise UserError(
                f"column {column.name!r} has {len(numbers):,} different numbers, too many for categories:"
                " make it an integer, a decimal, a text or a key"
            )
        return _fit_categories(column, counts, rare)
    return {}


def _fit_numbers(column: Column, counts: Counts, rare: int, numbers: NumberCounts | None) -> dict[str, Any]:
    found: dict[int, int] = {}
    for cell, count in counts.items():
        units = None if column.is_missing(cell) else column.units(cell)
        if units is not None:
            step = (units - column.low) // column.step
            found[step] = found.get(step, 0) + count
    values = np.array(sorted(found), dtype=np.int64)
    weights = np.array([found[value] for value in values.tolist()], dtype=np.int64)
    if numbers is not None and column.type != DATE:
        units_N, counts_N = numbers.at(column.decimals, column.rounded)
        steps_N = (units_N - column.low) // column.step
        values, weights = merge_numbers([(values, weights), (steps_N, counts_N)])
    leaves = cut(values, weights, 0, (column.high - column.low) // column.step, rare)
    return {
        "first": leaves.first.tolist(),
        "last": leaves.last.tolist(),
        "tree": grow(leaves.weights, BRANCHES, MOST_AT_ONCE),
    }


def _fit_categories(column: Column, counts: Counts, rare: int) -> dict[str, Any]:
    kept = [value for value in column.values if counts.get(value, 0) >= rare]
    if not kept:
        raise UserError(
            f"column {column.name!r}: each of its values ({listed(column.values, 3)}) is in fewer than "
            f"--rare {rare} rows, so none may be emitted: lower --rare, or give --type {column.name}=text, "
            "key or drop"
        )
    weights = np.array([counts.get(value, 0) for value in kept], dtype=np.int64)
    return {
        "values": kept,
        "has_rare": len(kept) < len(column.values),
        "tree": grow(weights, CATEGORY_BRANCHES, CATEGORY_BRANCHES),
    }
