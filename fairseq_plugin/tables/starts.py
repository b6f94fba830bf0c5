"""New rows that begin with given cells."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.sampling.keyed_random import keyed_choice
from fairseq_plugin.tables.conditions import Condition
from fairseq_plugin.tables.model import MOST_TRIES, DrawnRows, GivenRow, Row, TableModel

_FEWEST_DRAWN = 64  # at once
_CHOICE = 1 << 41  # the step of the number by which a start is drawn: no row has so many symbols


def sample_from(
    model: TableModel,
    starts: Sequence[GivenRow],
    n: int,
    seed: int = 0,
    where: Condition | None = None,
    most_tries: float = MOST_TRIES,
) -> DrawnRows:
    """Exactly ``n`` new rows; row i has the given cells of ``starts[i % len(starts)]``.

    With a condition each row is drawn again, with its own start, until it fulfils it: so the distribution
    of the starts is what was given.

    Args:
        starts: cells of all columns of the schema; None is to be drawn.
        n: rows, >= 1.
        seed, where, most_tries: see :meth:`TableModel.sample`.

    Raises:
        UserError: a cell that its column does not hold, or no try for a row fulfils the condition.
    """
    if n < 1 or not starts:
        raise UserError(
            f"n = {n} rows from {len(starts)} starts: ask for one row and give one start at least"
        )
    found: dict[int, tuple[int, Row]] = {}
    tries, num_drawn, num_redrawn, left = 0, 0, 0, list(range(n))
    while left:
        # More of them at once where few rows are left; the first that fits is taken.
        num_tries = max(min(_FEWEST_DRAWN // len(left), int(most_tries) - tries), 1) if tries else 1
        asked = [(row, row + n * (tries + turn)) for turn in range(num_tries) for row in left]
        given = [starts[row % len(starts)] for row, _ in asked]
        done = model.complete(given, seed, [number for _, number in asked])
        tries, num_drawn = tries + num_tries, num_drawn + len(asked)
        num_redrawn += done.num_redrawn
        for (row, number), cells in zip(asked, done.rows):
            if row not in found and (where is None or where.holds(cells)):
                found[row] = number, model.written(cells)
        left = [row for row in left if row not in found]
        if left and tries >= most_tries:
            raise UserError(
                f"{len(found)} of {n} rows after {num_drawn:,} tries: with the start of row {left[0]} none "
                f"fulfils {'' if where is None else where.text!r}; give other starts or a wider condition"
            )
    drawn = [found[row] for row in range(n)]
    rows, numbers = [row for _, row in drawn], [one for one, _ in drawn]
    return DrawnRows(model.cells.names, rows, numbers, num_drawn, num_redrawn)


def drawn_starts(weights: Sequence[float], n: int, seed: int) -> list[int]:
    """Places of ``n`` starts, each drawn with a probability in proportion to its weight.

    Args:
        weights: of each start, >= 0, finite, not all 0.
        n: how many.
        seed: in [0, 2^64); with its number it keys each draw.

    Raises:
        UserError: weights that are none.
    """
    weight_S: NDArray[np.float64] = np.asarray(weights, dtype=np.float64)
    if weight_S.ndim != 1 or not np.isfinite(weight_S).all() or (weight_S < 0).any() or not weight_S.sum():
        raise UserError("weights must be numbers of at least 0, one for each row of seed_data, and not all 0")
    return keyed_choice(torch.tensor(weight_S), seed, torch.arange(n), _CHOICE)
