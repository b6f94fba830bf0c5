"""From the points of a study to claims: each new way to train against the best that costs nothing.

A gain is claimed where the 95 % interval of the paired difference lies above 0 *and* Holm's p over all k of
the same student, generator and arm is at most 5 %. Harm is named where the interval against the real rows
alone lies below 0. Everything else is "no difference".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.augment.verdict.arms import REAL
from fairseq_plugin.augment.verdict.paired_bootstrap import Gain, holm, paired_gain
from fairseq_plugin.augment.verdict.students import balanced_accuracy
from fairseq_plugin.augment.verdict.study.arms import CHEAP, NEW
from fairseq_plugin.augment.verdict.study.points import ArmResult, Key, Point
from fairseq_plugin.augment.verdict.study.request import splits_advised

GAIN, HARM, NONE = "gain", "harm", "no difference"
LEVEL = 0.05


@dataclass(frozen=True)
class Way:
    """One way to train, over the splits of one k.

    Attributes:
        rows: that were trained on, mean over splits.
        accuracies: one for each split.
        seconds: of training and answering, mean over splits.
        balanced: mean over labels of the share that is right, mean over splits: every label counts alike,
            however few rows it has; None where the rows' labels are not known.
    """

    rows: float
    accuracies: tuple[float, ...]
    seconds: float
    balanced: float | None = None

    @property
    def accuracy(self) -> float:
        """Mean over splits."""
        return float(np.mean(self.accuracies))

    @property
    def spread(self) -> float:
        """Standard deviation over splits; 0 for one."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else 0.0


@dataclass(frozen=True)
class Comparison:
    """A new way to train beside the best cheap one.

    Attributes:
        student, k, gamma, temperature, arm: which.
        way: its accuracy.
        best_cheap: name of the arm that it is compared with.
        gain: over that arm, on the same splits and rows.
        change: over the real rows alone.
        p: Holm's, across k.
        outcome: :data:`GAIN`, :data:`HARM` or :data:`NONE`.
    """

    student: str
    k: int
    gamma: float
    temperature: float
    arm: str
    way: Way
    best_cheap: str
    gain: Gain
    change: Gain
    p: float
    outcome: str

    @property
    def num_splits(self) -> int:
        """Draws of the rows."""
        return len(self.way.accuracies)

    @property
    def is_few(self) -> bool:
        """Fewer draws than a credible comparison needs."""
        return self.num_splits < splits_advised(self.k)


@dataclass(frozen=True)
class Found:
    """What a study has found.

    Attributes:
        cheap: the ways that cost nothing, by student, k and name.
        comparisons: every new way, in order.
        facts: of the generators, mean over splits, by k, gamma and temperature.
    """

    cheap: dict[tuple[str, int], dict[str, Way]]
    comparisons: tuple[Comparison, ...]
    facts: dict[tuple[int, float, float], dict[str, float]]

    def best_cheap(self, student: str, k: int) -> Way:
        """The best cheap way; the first among equals."""
        ways = self.cheap[student, k]
        return ways[_best(ways)]


def compare(points: Mapping[Key, Point], order: Sequence[int], labels: Sequence[int] | None = None) -> Found:
    """Compare what there is; a new point counts where the real rows of its split were measured too.

    Args:
        points: of one study.
        order: the k, as they are to be told.
        labels: of the rows that measure.
    """
    real: dict[tuple[str, int], dict[int, Point]] = {}
    new: dict[tuple[str, float, float, int], dict[int, Point]] = {}
    for key, point in points.items():
        if key.generator is None:
            real.setdefault((key.student, key.k), {})[key.split] = point
        else:
            new.setdefault((key.student, *key.generator, key.k), {})[key.split] = point
    cheap = {place: _ways(own, CHEAP, labels) for place, own in real.items()}
    found: list[Comparison] = []
    for curve in sorted({place[:3] for place in new}, key=lambda curve: (curve[0], -curve[1], curve[2])):
        for arm in NEW:
            own = [
                _compare(curve, k, arm, real[curve[0], k], new[(*curve, k)], cheap[curve[0], k], labels)
                for k in order
                if (*curve, k) in new and (curve[0], k) in real
            ]
            found += _corrected([one for one in own if one is not None])
    return Found(cheap, tuple(found), _facts(points))


def _ways(
    by_split: Mapping[int, Point], names: Sequence[str], labels: Sequence[int] | None
) -> dict[str, Way]:
    some = next(iter(by_split.values())).arms
    return {
        name: _way([point.arms[name] for point in by_split.values()], labels)
        for name in names
        if name in some
    }


def _way(results: Sequence[ArmResult], labels: Sequence[int] | None) -> Way:
    return Way(
        float(np.mean([one.rows for one in results])),
        tuple(float(one.right_N.mean()) for one in results),
        float(np.mean([one.seconds for one in results])),
        None
        if labels is None
        else float(np.mean([balanced_accuracy(one.right_N, labels) for one in results])),
    )


def _best(ways: Mapping[str, Way]) -> str:
    return max(ways, key=lambda name: ways[name].accuracy)


def _compare(
    curve: tuple[str, float, float],
    k: int,
    arm: str,
    real: Mapping[int, Point],
    new: Mapping[int, Point],
    cheap: Mapping[str, Way],
    labels: Sequence[int] | None,
) -> Comparison | None:
    splits, best = sorted(set(real) & set(new)), _best(cheap)
    if not splits:
        return None

    def right(points: Mapping[int, Point], name: str) -> NDArray[np.bool_]:
        return np.stack([points[split].arms[name].right_N for split in splits])

    gain, change = (paired_gain(right(real, name), right(new, arm)) for name in (best, REAL))
    way = _way([new[split].arms[arm] for split in splits], labels)
    return Comparison(curve[0], k, curve[1], curve[2], arm, way, best, gain, change, gain.p, NONE)


def _corrected(own: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons with Holm's p across k, and what they come to."""
    ps = holm([one.gain.p for one in own])
    return [_concluded(one, p) for one, p in zip(own, ps, strict=True)]


def _concluded(one: Comparison, p: float) -> Comparison:
    outcome = NONE
    if one.gain.is_above and p <= LEVEL:
        outcome = GAIN
    elif one.change.is_below:
        outcome = HARM
    return Comparison(**{**vars(one), "p": p, "outcome": outcome})


def _facts(points: Mapping[Key, Point]) -> dict[tuple[int, float, float], dict[str, float]]:
    gathered: dict[tuple[int, float, float], dict[int, dict[str, float]]] = {}
    for key, point in points.items():
        if key.generator is not None:
            gathered.setdefault((key.k, *key.generator), {})[key.split] = point.facts
    found = {}
    for place, by_split in gathered.items():
        names = dict.fromkeys(name for facts in by_split.values() for name in facts)
        values = {name: [facts[name] for facts in by_split.values() if name in facts] for name in names}
        found[place] = {name: float(np.mean(own)) for name, own in values.items()}
    return found
