"""Two columns at a time: do the new rows have the trends of the real ones?

Legend: N rows, C columns.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.synthesis.judges.rows import JudgedRows

MOST_VALUES = 100  # of a category: with more, chance alone looks like a trend


@dataclass(frozen=True)
class Pairs:
    """How strongly columns go together: Pearson's correlation of two numbers, in [-1, 1]; the correlation
    ratio of a number and a category, and Cramér's V of two categories, in [0, 1].

    Attributes:
        names: of the columns.
        train_CC, held_out_CC, synthetic_CC: of each pair; 1 on the diagonal.
        left_out: columns of too many categories.
    """

    names: list[str]
    train_CC: NDArray[np.float64]
    held_out_CC: NDArray[np.float64]
    synthetic_CC: NDArray[np.float64]
    left_out: list[str]

    @property
    def synthetic(self) -> float:
        """Mean absolute difference of the pairs, new rows against training rows."""
        return _difference(self.train_CC, self.synthetic_CC)

    @property
    def real(self) -> float:
        """The same, held-out rows against training rows."""
        return _difference(self.train_CC, self.held_out_CC)


def pairs(train: JudgedRows, held_out: JudgedRows, synthetic: JudgedRows) -> Pairs:
    """Judge each pair of columns."""
    places = [
        place for place, column in enumerate(train.columns) if column.num_values <= MOST_VALUES
    ]  # also numbers
    own, held, new = (
        trends(rows.values_NC[:, places], train.is_category_C[places])
        for rows in (train, held_out, synthetic)
    )
    left_out = [name for place, name in enumerate(train.names) if place not in places]
    return Pairs([train.names[place] for place in places], own, held, new, left_out)


def _difference(one_CC: NDArray[np.float64], other_CC: NDArray[np.float64]) -> float:
    upper = np.triu_indices(len(one_CC), 1)
    return float(np.abs(one_CC - other_CC)[upper].mean()) if len(upper[0]) else 0.0


def trends(values_NC: NDArray[np.float64], is_category_C: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How strongly each pair of columns goes together; see :class:`Pairs`. 0 where one of them is constant.

    Args:
        values_NC: as in :class:`JudgedRows`. A pair of numbers is measured on the rows that have both; a
            missing category is a category.
        is_category_C: which are codes.
    """
    size = values_NC.shape[1]
    found_CC = np.eye(size)
    codes = {
        place: np.unique(np.nan_to_num(values_NC[:, place], nan=-1), return_inverse=True)[1]
        for place in np.flatnonzero(is_category_C).tolist()
    }
    numbers = np.flatnonzero(~is_category_C)
    found_CC[np.ix_(numbers, numbers)] = _correlations(values_NC[:, numbers])
    for one, own_N in codes.items():
        for other in numbers.tolist():
            found_CC[one, other] = found_CC[other, one] = _correlation_ratio(own_N, values_NC[:, other])
        for other, other_N in codes.items():
            if other > one:
                found_CC[one, other] = found_CC[other, one] = _cramers_v(own_N, other_N)
    return found_CC


def _correlations(values_NC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's, each over the rows that have both numbers."""
    is_there_NC = ~np.isnan(values_NC)
    count_C = is_there_NC.sum(0).clip(1)
    filled_NC = np.where(is_there_NC, values_NC, 0.0)
    filled_NC = np.where(is_there_NC, filled_NC - filled_NC.sum(0) / count_C, 0.0)
    spread_C = np.sqrt((filled_NC**2).sum(0) / count_C)
    filled_NC = filled_NC / np.where(spread_C > 0, spread_C, 1.0)  # no large numbers are squared below
    there_NC = is_there_NC.astype(np.float64)
    count_CC = (there_NC.T @ there_NC).clip(1)
    sum_CC = filled_NC.T @ there_NC  # of the first column, over the rows that have both
    squares_CC = (filled_NC**2).T @ there_NC
    shared_CC = filled_NC.T @ filled_NC - sum_CC * sum_CC.T / count_CC
    variance_CC = squares_CC - sum_CC**2 / count_CC
    product_CC = np.sqrt((variance_CC * variance_CC.T).clip(0))
    found_CC = np.where(product_CC > 1e-9, shared_CC / np.where(product_CC > 1e-9, product_CC, 1.0), 0.0)
    np.fill_diagonal(found_CC, 1.0)
    return found_CC.clip(-1, 1)


def _correlation_ratio(codes_N: NDArray[np.int64], values_N: NDArray[np.float64]) -> float:
    """The share of a number's spread that lies between the categories, as a square root."""
    is_there_N = ~np.isnan(values_N)
    codes_N, values_N = codes_N[is_there_N], values_N[is_there_N]
    if not len(values_N):
        return 0.0
    values_N = values_N - values_N.mean()
    total = float((values_N**2).sum())
    sizes = np.bincount(codes_N)
    between = (np.bincount(codes_N, weights=values_N) ** 2 / sizes.clip(1)).sum()
    return float(np.sqrt(min(between / total, 1.0))) if total > 0 else 0.0


def _cramers_v(one_N: NDArray[np.int64], other_N: NDArray[np.int64]) -> float:
    rows, columns = int(one_N.max()) + 1, int(other_N.max()) + 1
    if min(rows, columns) < 2:
        return 0.0
    seen = np.bincount(one_N * columns + other_N, minlength=rows * columns).reshape(rows, columns)
    expected = seen.sum(1, keepdims=True) * seen.sum(0, keepdims=True) / len(one_N)
    chi2 = ((seen - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi2 / (len(one_N) * (min(rows, columns) - 1))))
