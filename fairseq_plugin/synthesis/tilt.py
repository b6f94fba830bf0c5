"""Weights under which drawn rows have the statistics of real ones.

    p(row) = exp(tilt_F . features_F(row)) / Z    over the drawn rows

The tilt is the one that makes the features of the real rows most probable, with a standard normal prior: each
feature's mean under p is that of the real rows, up to what so few of them leave open (exponential tilting;
entropy balancing: Hainmueller 2012, doi:10.1093/pan/mpr025). The features say

- in which class of its distribution a value lies, of each column;
- the same of what a regression on all other columns leaves of a number, and of its logarithm: laws that hold
  nearly, such as a whole and its parts, are in how small that is;
- the same of the distance to the closest real row, so that rows come no closer than real ones to each other;
- products of two columns, of which correlations are made.

Legend: N drawn rows, D of them that decide, F features, K classes, Q coordinates.
"""

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.synthesis.judges.closeness import distances
from fairseq_plugin.synthesis.judges.rows import JudgedRows, without_missing
from fairseq_plugin.synthesis.points import Points, mean_products

_CLASSES = 20  # of a distribution, with about as many real rows each
_MOST_CLASSES = 1000  # of all distributions
_FEWEST_COMPARED, _MOST_COMPARED = 200, 5000  # real rows to which distances are taken: fewer of large tables
_MOST_COMPARISONS = 1_000_000_000  # of cells
_EXTREME = 4.0  # standard deviations: products do not grow beyond
_MOST_DECIDING = 20_000  # drawn rows
_ROUNDS = 300  # of the search
_AT_ONCE = 20_000  # rows whose features are in memory


class _Features:
    """Features of the drawn rows, each with mean 0 over the real rows and deviation 1 over the deciding ones;
    those that differ in none of these are 0."""

    def __init__(
        self, real: JudgedRows, drawn: JudgedRows, points: Points, pairs: NDArray[np.int64], deciding: slice
    ) -> None:
        real_RC, drawn_NC = without_missing(real, drawn)
        num_compared = _MOST_COMPARISONS // drawn.values_NC.size
        compared = real.some(min(max(num_compared, _FEWEST_COMPARED), _MOST_COMPARED), 0)
        distributions = [
            *zip(real_RC.T, drawn_NC.T),
            *points.remainders(),
            *Points.of(real, drawn, logarithms=True).remainders(),
            (distances(compared, compared, to_others=True), distances(drawn, compared)),
        ]
        most = max(min(_CLASSES, _MOST_CLASSES // len(distributions)), 2)
        self._classes: list[tuple[NDArray[np.int64], int]] = []
        means: list[NDArray[np.float64]] = []
        for own_R, theirs_N in distributions:
            cuts = np.unique(np.quantile(own_R, np.linspace(0, 1, most + 1)[1:-1], method="lower"))
            size = len(cuts) + 1
            self._classes.append((np.searchsorted(cuts, theirs_N, side="right"), size))
            own_K = np.bincount(np.searchsorted(cuts, own_R, side="right"), minlength=size)
            means.append(own_K / len(own_R))
        self._points_NQ, self._pairs = points.drawn_NQ.clip(-_EXTREME, _EXTREME), pairs
        means.append(mean_products(points.real_RQ.clip(-_EXTREME, _EXTREME), pairs))
        self._mean_F = np.concatenate(means)
        self._scale_F = np.ones_like(self._mean_F)
        deviation_F = self.of(deciding).std(0, dtype=np.float64)
        self._scale_F = np.divide(1, deviation_F, out=np.zeros_like(deviation_F), where=deviation_F > 1e-6)

    def of(self, places: slice) -> NDArray[np.float32]:
        """Of some rows, (rows, F)."""
        points_BQ = self._points_NQ[places]
        found = [class_N[places, None] == np.arange(size) for class_N, size in self._classes]
        found.append(points_BQ[:, self._pairs[:, 0]] * points_BQ[:, self._pairs[:, 1]])
        features_BF = np.concatenate(found, axis=1, dtype=np.float32)
        features_BF -= self._mean_F.astype(np.float32)
        features_BF *= self._scale_F.astype(np.float32)
        return features_BF


def tilted(
    real: JudgedRows, drawn: JudgedRows, points: Points, pairs: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Log weights of the drawn rows, (N,); the module says which.

    Args:
        real, drawn: rows of the same columns.
        points: both.
        pairs: of coordinates, whose mean products are those of the real rows.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    deciding = slice(None, None, -(-len(drawn) // _MOST_DECIDING))  # rows are drawn in no order
    with threadpool_limits(1):  # or the last digits of sums would depend on their number
        features = _Features(real, drawn, points, pairs, deciding)
        some_DF = features.of(deciding)

        def improbability(tilt_F: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            """Of a real row, in nats, and its slope: the real rows' features have mean 0."""
            log_D = (some_DF @ tilt_F.astype(np.float32)).astype(np.float64)
            weight_D = np.exp(log_D - log_D.max())
            total, prior_F = weight_D.sum(), tilt_F / len(real)
            mean_F = (weight_D / total).astype(np.float32) @ some_DF
            return float(log_D.max() + np.log(total) + tilt_F @ prior_F / 2), mean_F + prior_F

        start_F = np.zeros(some_DF.shape[1])
        found = minimize(improbability, start_F, jac=True, method="L-BFGS-B", options={"maxiter": _ROUNDS})
        tilt_F = found.x.astype(np.float32)
        starts = range(0, len(drawn), _AT_ONCE)
        parts = [features.of(slice(first, first + _AT_ONCE)) @ tilt_F for first in starts]
    return np.concatenate(parts).astype(np.float64)
