"""Is one way of training better than another? Paired comparisons that know two sources of chance.

Both ways are trained on the same draws of training rows and answer the same test rows. A replicate draws both
with replacement (the two-way or pigeonhole bootstrap of Owen 2007, doi:10.1214/07-AOAS122), so the interval
covers the choice of the training rows as well as that of the test rows.

Legend: D draws of training rows, N test rows, R replicates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.reports.bootstrap import LEVEL, Interval, interval

REPLICATES = 2000
_CHUNK = 2**22  # numbers in memory at a time


@dataclass(frozen=True)
class Gain:
    """``second - first``, of shares in [0, 1].

    Attributes:
        value: mean over draws and rows.
        interval: 95 % of the replicates lie in it.
        p: twice the share of replicates on the far side of 0, at most 1.
    """

    value: float
    interval: Interval
    p: float

    @property
    def is_above(self) -> bool:
        """The interval lies above 0."""
        return self.interval[0] > 0

    @property
    def is_below(self) -> bool:
        """The interval lies below 0."""
        return self.interval[1] < 0


def paired_gain(first_DN: NDArray[np.bool_], second_DN: NDArray[np.bool_], seed: int = 1) -> Gain:
    """How much more often the second is right.

    Args:
        first_DN, second_DN: whether each answered rightly, by draw and row; the same draws and rows.
        seed: of the replicates, >= 0.
    """
    if first_DN.shape != second_DN.shape or not first_DN.size:
        raise ValueError(f"{first_DN.shape} and {second_DN.shape} are not paired")
    difference_DN = second_DN.astype(np.float64) - first_DN.astype(np.float64)
    num_draws, num_rows = difference_DN.shape
    generator = np.random.default_rng([seed, num_draws, num_rows])
    step = max(1, _CHUNK // num_rows)
    parts = []
    for start in range(0, REPLICATES, step):
        count = min(step, REPLICATES - start)
        draws_RD = generator.multinomial(num_draws, np.full(num_draws, 1 / num_draws), size=count)
        rows_RN = generator.multinomial(num_rows, np.full(num_rows, 1 / num_rows), size=count)
        parts.append(((draws_RD @ difference_DN) * rows_RN).sum(axis=1) / (num_draws * num_rows))
    replicates_R = np.concatenate(parts)
    spread = interval(replicates_R, LEVEL)
    assert spread is not None  # all finite
    far = min((replicates_R <= 0).sum(), (replicates_R >= 0).sum())
    p = min(1.0, 2 * (int(far) + 1) / (REPLICATES + 1))  # + 1: never 0 from finitely many
    return Gain(float(difference_DN.mean()), spread, p)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's p-values for several comparisons made at once (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = largest
    return adjusted
