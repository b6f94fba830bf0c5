"""Rows as points, of which means, products and remainders can be taken.

Legend: R real rows, N drawn rows, Q coordinates.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.synthesis.judges.rows import JudgedRows

_MOST_VALUES = 8  # of a category: its most frequent ones are coordinates
_MOST_PAIRS = 1000  # of coordinates; where there are more, those with the target
_LOG_FROM = 20  # the logarithm is of the value and a so many times smaller part of the mean
_RIDGE = 1e-3  # of the regressions

Both = tuple[NDArray[np.float64], NDArray[np.float64]]  # of the real rows, of the drawn ones


@dataclass(frozen=True)
class Points:
    """Numbers, and whether a category is one of its frequent values, each with mean 0 and deviation 1 over
    the real rows; 0 where the cell is missing.

    Attributes:
        real_RQ, drawn_NQ: of both.
        column_Q: the column of each coordinate.
        is_number_Q: not of a category.
    """

    real_RQ: NDArray[np.float64]
    drawn_NQ: NDArray[np.float64]
    column_Q: NDArray[np.int64]
    is_number_Q: NDArray[np.bool_]

    @classmethod
    def of(cls, real: JudgedRows, drawn: JudgedRows, logarithms: bool = False) -> "Points":
        """Of rows with the same columns.

        Args:
            logarithms: of numbers, where no number of the column is negative.
        """
        parts, columns = [], []
        for place, column in enumerate(real.columns):
            both = real.values_NC[:, place], drawn.values_NC[:, place]
            if column.is_category:
                values, counts = np.unique(both[0][~np.isnan(both[0])], return_counts=True)
                frequent = values[np.argsort(-counts, kind="stable")][:_MOST_VALUES]
                own = [_is_value(both, value) for value in frequent[: max(len(values) - 1, 0)].tolist()]
            else:
                own = [_logarithms(both) if logarithms else both]
            parts += [_standardised(both) for both in own]
            columns += [place] * len(own)
        column_Q = np.array(columns, dtype=np.int64)
        real_RQ, drawn_NQ = (
            np.array([both[side] for both in parts]).reshape(len(parts), len(rows)).T
            for side, rows in enumerate((real, drawn))
        )
        return cls(real_RQ, drawn_NQ, column_Q, ~real.is_category_C[column_Q])

    def pairs(self, target: int | None) -> NDArray[np.int64]:
        """Pairs of coordinates of different columns, and each number with itself, (P, 2).

        Args:
            target: a column's place: where there are too many pairs, those with it are left; None: none are.
        """
        found = [
            (one, other)
            for one, other in combinations_with_replacement(range(len(self.column_Q)), 2)
            if self.column_Q[one] != self.column_Q[other] or self.is_number_Q[one]
        ]
        if len(found) > _MOST_PAIRS:
            found = [pair for pair in found if target in self.column_Q[list(pair)]][:_MOST_PAIRS]
        return np.array(found, dtype=np.int64).reshape(-1, 2)

    def remainders(self) -> list[Both]:
        """What a linear regression on all other coordinates leaves of each number; of the real rows, which it
        is fitted to, what it leaves without the row itself.

        With Y = X inverse(X'X + ridge), one product gives all regressions: column q of Y / inverse[q, q] is
        what is left of coordinate q, and x'y - y[q]^2 / inverse[q, q] is a row's own share in its estimate.
        """
        real_RQ, drawn_NQ = (
            np.column_stack([points, np.ones(len(points))]) for points in (self.real_RQ, self.drawn_NQ)
        )
        ridge = _RIDGE * len(real_RQ) * np.eye(real_RQ.shape[1])
        inverse_QQ = np.linalg.inv(real_RQ.T @ real_RQ + ridge)
        scale_Q = inverse_QQ.diagonal()
        product_RQ = real_RQ @ inverse_QQ
        own_share_RQ = (product_RQ * real_RQ).sum(1, keepdims=True) - product_RQ**2 / scale_Q
        left_RQ = product_RQ / scale_Q / (1 - own_share_RQ).clip(0.01)
        left_NQ = drawn_NQ @ inverse_QQ / scale_Q
        return [(left_RQ[:, place], left_NQ[:, place]) for place in np.flatnonzero(self.is_number_Q).tolist()]


def mean_products(points_NQ: NDArray[np.float64], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean product of each pair of coordinates, (P,)."""
    return (points_NQ.T @ points_NQ / max(len(points_NQ), 1))[pairs[:, 0], pairs[:, 1]]


def _is_value(both: Both, value: float) -> Both:
    real_R, drawn_N = (np.where(np.isnan(values), np.nan, values == value) for values in both)
    return real_R, drawn_N


def _logarithms(both: Both) -> Both:
    every = np.concatenate(both)
    if np.isnan(every).all() or np.nanmin(every) < 0:
        return both
    added = np.nanmean(every) / _LOG_FROM + 1e-9
    return np.log(both[0] + added), np.log(both[1] + added)


def _standardised(both: Both) -> Both:
    present = both[0][~np.isnan(both[0])]
    mean, deviation = (float(present.mean()), float(present.std())) if len(present) else (0.0, 0.0)
    real_R, drawn_N = (np.nan_to_num((values - mean) / (deviation or 1.0)) for values in both)
    return real_R, drawn_N
