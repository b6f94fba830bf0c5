"""Values of statistics that are functions of sums over units, with bootstrap confidence intervals.

Efron's percentile bootstrap: units (continuations, or windows of a text) are drawn with replacement, as many
as there are, and the statistic is computed again from their sums. The draws depend on (seed, number of units)
only, so two systems measured on the same units are resampled alike, and their replicates can be subtracted
pairwise.

Only sums can be treated so. Counts of *distinct* things over all units cannot: a resample repeats units
and holds fewer of them for that reason alone. Such counts get no interval.

Legend: U units, R resamples, S sums.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES, LEVEL, SEED = 1000, 0.95, 1

Interval = tuple[float, float]
Totals = dict[str, NDArray[np.float64]]  # by the sums' names
Statistic = Callable[[Totals], NDArray[np.float64]]  # of totals, elementwise


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made.

    Args:
        resamples: R; 0 for no intervals.
        seed: of the draws, >= 0.
        level: of the intervals, in (0, 1).
    """

    resamples: int = RESAMPLES
    seed: int = SEED
    level: float = LEVEL


DEFAULT = Bootstrap()


@dataclass(frozen=True)
class Measured:
    """Statistics of one system on its units.

    Attributes:
        values: by name; None where the sums allow none (nothing was long enough to count).
        intervals: by name; None where there is no value, or in some resample none.
        units: what the units were, to know whether two systems can be paired.
        replicates: by name, arrays ``(R,)``.
    """

    values: dict[str, float | None]
    intervals: dict[str, Interval | None]
    units: Hashable
    replicates: dict[str, NDArray[np.float64]] = field(repr=False, default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """``second - first`` of one statistic, and its interval."""

    value: float
    interval: Interval | None


def resample_sums(
    sums_US: NDArray[np.float64], resamples: int = RESAMPLES, seed: int = SEED
) -> NDArray[np.float64]:
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


def measure(
    sums: Mapping[str, ArrayLike],
    statistics: Mapping[str, Statistic],
    units: Hashable,
    bootstrap: Bootstrap = DEFAULT,
) -> Measured:
    """Compute statistics and their intervals.

    >>> sums = {"wrong": [1, 0, 2], "all": [4, 4, 4]}
    >>> measure(sums, {"rate": lambda s: s["wrong"] / s["all"]}, units=3).values
    {'rate': 0.25}

    Args:
        sums: by name, what each unit adds, arrays ``(U,)`` with U >= 1.
        statistics: by name, functions of the totals over units.
        units: see :class:`Measured`.
        bootstrap: of the intervals.
    """
    names = list(sums)
    sums_US = np.stack([np.asarray(sums[name], dtype=np.float64) for name in names], axis=1)
    if not len(sums_US):
        raise ValueError("there is no unit: nothing to measure")
    totals_RS = np.concatenate(
        [sums_US.sum(0, keepdims=True), resample_sums(sums_US, bootstrap.resamples, bootstrap.seed)]
    )
    totals = {name: totals_RS[:, place] for place, name in enumerate(names)}
    values, intervals, replicates = {}, {}, {}
    for name, function in statistics.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            found_R = np.asarray(function(totals), dtype=np.float64)
        values[name] = float(found_R[0]) if np.isfinite(found_R[0]) else None
        intervals[name] = interval(found_R[1:], bootstrap.level)
        replicates[name] = found_R[1:]
    return Measured(values, intervals, units, replicates)


def interval(replicates_R: NDArray[np.float64], level: float = LEVEL) -> Interval | None:
    """The percentile interval of replicates; None where there are none, or one is not a number."""
    if not len(replicates_R) or not np.isfinite(replicates_R).all():
        return None
    low, high = np.quantile(replicates_R, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def differences(first: Measured, second: Measured, level: float = LEVEL) -> dict[str, Difference] | None:
    """``second - first`` of every statistic that both have a value for, units paired.

    Returns:
        By name; None if the units differ.
    """
    if first.units != second.units:
        return None
    found = {}
    for name, value in first.values.items():
        other = second.values.get(name)
        if value is not None and other is not None:
            spread = interval(second.replicates[name] - first.replicates[name], level)
            found[name] = Difference(other - value, spread)
    return found
