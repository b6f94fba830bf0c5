"""One column at a time: how far is the distribution of the new cells from that of the real ones?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.synthesis.judges.rows import JudgedRows


@dataclass(frozen=True)
class Marginal:
    """Attributes:
    name: of the column.
    measure: ``KS`` (the largest distance of the cumulated shares) of numbers, dates and lengths, ``TV``
        (total variation, half the sum of the differences of shares) of categories. Both are in [0, 1];
        missing cells are one value more, below all others.
    synthetic: new rows against the training rows.
    real: held-out rows against the training rows: what a perfect model would show with as many rows.
    """

    name: str
    measure: str
    synthetic: float
    real: float


def marginals(train: JudgedRows, held_out: JudgedRows, synthetic: JudgedRows) -> list[Marginal]:
    """Judge each column."""
    found = []
    for place, column in enumerate(train.columns):
        distance = total_variation if column.is_category else kolmogorov_smirnov
        own_N = train.values_NC[:, place]
        found.append(
            Marginal(
                column.name,
                "TV" if column.is_category else "KS",
                distance(own_N, synthetic.values_NC[:, place]),
                distance(own_N, held_out.values_NC[:, place]),
            )
        )
    return found


def kolmogorov_smirnov(one_N: NDArray[np.float64], other_N: NDArray[np.float64]) -> float:
    """The largest distance of two cumulated distributions; NaN lies below every number.

    >>> kolmogorov_smirnov(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    one_N, other_N = (np.sort(np.where(np.isnan(values), -np.inf, values)) for values in (one_N, other_N))
    at = np.unique(np.concatenate([one_N, other_N]))
    shares = [np.searchsorted(values, at, side="right") / len(values) for values in (one_N, other_N)]
    return float(np.abs(shares[0] - shares[1]).max())


def total_variation(one_N: NDArray[np.float64], other_N: NDArray[np.float64]) -> float:
    """Half the sum of the differences of the values' shares; NaN is a value.

    >>> total_variation(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0]))
    0.25
    """
    one_N, other_N = (np.where(np.isnan(values), -1, values) for values in (one_N, other_N))
    values = np.unique(np.concatenate([one_N, other_N]))
    shares = [
        np.bincount(np.searchsorted(values, own), minlength=len(values)) / len(own)
        for own in (one_N, other_N)
    ]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)
