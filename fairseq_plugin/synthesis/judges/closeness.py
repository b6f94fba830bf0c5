"""Do the new rows repeat training rows? Held-out rows are the yardstick: they are as close as chance makes
them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.synthesis.judges.rows import JudgedRows

MOST_ROWS = 2000  # whose closest training row is looked for,
MOST_RECORDS = 20_000  # among so many
_AT_ONCE = 64


@dataclass(frozen=True)
class Closeness:
    """Attributes:
    synthetic, held_out: distances to the closest training row (see :func:`distances`): median and 5th
        percentile.
    copied, held_out_copied: shares of the rows that are, cell by cell, training rows.
    rows: new and held-out rows whose copies were counted.
    """

    synthetic: tuple[float, float]
    held_out: tuple[float, float]
    copied: float
    held_out_copied: float
    rows: tuple[int, int]


def closeness(train: JudgedRows, held_out: JudgedRows, synthetic: JudgedRows, seed: int) -> Closeness:
    """Measure how close rows are to the training rows."""
    known = set(train.cells)
    records = train.some(MOST_RECORDS, seed)
    away, copied = [], []
    for rows in (synthetic, held_out):
        found_N = distances(rows.some(MOST_ROWS, seed), records)
        away.append((float(np.median(found_N)), float(np.quantile(found_N, 0.05))))
        copied.append(sum(cells in known for cells in rows.cells) / len(rows))
    return Closeness(away[0], away[1], copied[0], copied[1], (len(synthetic), len(held_out)))


def distances(rows: JudgedRows, records: JudgedRows, to_others: bool = False) -> NDArray[np.float64]:
    """Distance of each row to its closest record, in [0, 1].

    It is the mean over the columns of the difference of numbers, in standard deviations of the records and at
    most 1; for categories, and where one of the cells is missing, it is 0 or 1.

    Args:
        rows, records: of the same columns.
        to_others: the rows are the records, and none is its own closest one.
    """
    is_category_C = records.is_category_C
    spread_C = np.array([_spread(values_N) for values_N in records.values_NC.T])
    found_N = np.empty(len(rows))
    for first in range(0, len(rows), _AT_ONCE):
        some_BC = rows.values_NC[first : first + _AT_ONCE]
        total_BN = np.zeros((len(some_BC), len(records)), dtype=np.float32)
        for place, spread in enumerate(spread_C.tolist()):
            own_B1, theirs_N = some_BC[:, place : place + 1], records.values_NC[:, place]
            if is_category_C[place]:
                difference_BN = (own_B1 != theirs_N).astype(np.float32)
            else:
                difference_BN = (np.abs(own_B1 - theirs_N) / spread).clip(max=1).astype(np.float32)
            own_missing_B1, missing_N = np.isnan(own_B1), np.isnan(theirs_N)
            if own_missing_B1.any() or missing_N.any():
                difference_BN[own_missing_B1 ^ missing_N] = 1
                difference_BN[own_missing_B1 & missing_N] = 0
            total_BN += difference_BN
        if to_others:
            own_B = np.arange(len(some_BC))
            total_BN[own_B, first + own_B] = np.inf
        found_N[first : first + _AT_ONCE] = total_BN.min(1) / max(len(spread_C), 1)
    return found_N


def _spread(values_N: NDArray[np.float64]) -> float:
    present = values_N[~np.isnan(values_N)]
    return float(present.std()) or 1.0 if len(present) else 1.0
