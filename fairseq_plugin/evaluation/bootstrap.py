"""Values of statistics that are functions of sums over units, with bootstrap confidence intervals.

Efron's percentile bootstrap: units (continuations, or windows of a text) are drawn with replacement, as many as
there are; the statistic is worked out again from their sums. The draws depend on (seed, number of units) only, so
two systems measured on the same units are resampled alike, and their replicates can be subtracted pairwise.

Only sums can be treated so. Counts of *distinct* things over all units cannot: a resample repeats units and holds
fewer of them for that reason alone. Such counts get no interval.

Legend: U units, R resamples, S sums.
"""

from dataclasses import dataclass, field

import numpy as np

RESAMPLES, LEVEL, SEED = 1000, 0.95, 1


@dataclass(frozen=True)
class Measured:
    """Statistics of one system on its units.

    Attributes:
        values: ``{name: number}``; None where the sums allow none (nothing was long enough to count).
        intervals: ``{name: (low, high)}``; None where there is no value, or in some resample none.
        units: what the units were, to know whether two systems can be paired: any value with ``==``.
        replicates: ``{name: array (R)}``.
    """

    values: dict
    intervals: dict
    units: object
    replicates: dict = field(repr=False, default_factory=dict)


def resample_sums(sums_US, resamples=RESAMPLES, seed=SEED):
    """Sums of resampled units.

    Args:
        sums_US: float64 ``(U, S)``, U >= 1.
        resamples: R.
        seed: any integer >= 0.

    Returns:
        float64 ``(R, S)``.
    """
    num_units = len(sums_US)
    generator = np.random.default_rng([seed, num_units])
    totals_RS = np.empty((resamples, sums_US.shape[1]))
    for number in range(resamples):
        drawn_U = generator.integers(num_units, size=num_units)
        totals_RS[number] = np.bincount(drawn_U, minlength=num_units) @ sums_US
    return totals_RS


def measure(sums, statistics, units, resamples=RESAMPLES, seed=SEED, level=LEVEL):
    """Work statistics out, with their intervals.

    >>> sums = {"wrong": [1, 0, 2], "all": [4, 4, 4]}
    >>> measure(sums, {"rate": lambda s: s["wrong"] / s["all"]}, units=3).values
    {'rate': 0.25}

    Args:
        sums: ``{name: array (U)}``, what each unit adds, U >= 1.
        statistics: ``{name: function}`` from ``{name: array of totals}`` to an array of the same shape.
        units: see :class:`Measured`.
        resamples: R; 0 for no intervals.
        seed: of the draws.
        level: of the intervals, in (0, 1).

    Returns:
        :class:`Measured`.
    """
    names = list(sums)
    sums_US = np.stack([np.asarray(sums[name], dtype=np.float64) for name in names], axis=1)
    if not len(sums_US):
        raise ValueError("there is no unit: nothing to measure")
    totals_RS = np.concatenate([sums_US.sum(0, keepdims=True), resample_sums(sums_US, resamples, seed)])
    totals = {name: totals_RS[:, column] for column, name in enumerate(names)}
    values, intervals, replicates = {}, {}, {}
    for name, function in statistics.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            found_R = np.asarray(function(totals), dtype=np.float64)
        values[name] = float(found_R[0]) if np.isfinite(found_R[0]) else None
        intervals[name] = interval(found_R[1:], level)
        replicates[name] = found_R[1:]
    return Measured(values, intervals, units, replicates)


def interval(replicates_R, level=LEVEL):
    """The percentile interval of replicates; None where there is none, or one is no number."""
    if not len(replicates_R) or not np.isfinite(replicates_R).all():
        return None
    low, high = np.quantile(replicates_R, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def differences(first, second, level=LEVEL):
    """``second - first`` of every statistic, units paired.

    Args:
        first, second: :class:`Measured` on the same units.
        level: of the intervals.

    Returns:
        ``{name: (difference, interval)}`` of the statistics that both have a value for; None if the units differ.
    """
    if first.units != second.units:
        return None
    found = {}
    for name, value in first.values.items():
        other = second.values.get(name)
        if value is not None and other is not None:
            spread = interval(second.replicates[name] - first.replicates[name], level)
            found[name] = (other - value, spread)
    return found
