"""Do the new rows teach what the real ones teach? Models that learn the target from new rows (TSTR: train on
synthetic, test on real) beside models that learn it from real rows (TRTR), both on held-out rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.augment.verdict.students import balanced_accuracy
from fairseq_plugin.synthesis.judges.discriminator import FEWEST_ROWS, TREES, boosted, forest
from fairseq_plugin.synthesis.judges.rows import JudgedRows, without_missing

SEEDS = 5
MOST_ROWS = 10_000  # that a model learns from
MOST_CLASSES = 100  # of a target


@dataclass(frozen=True)
class Scores:
    """Means over the seeds, and their standard deviations."""

    forest: float
    boosted: float
    forest_spread: float
    boosted_spread: float


@dataclass(frozen=True)
class Usefulness:
    """Attributes:
    target: what is predicted.
    measure: ``R2`` of numbers (1 is perfect, 0 the mean), ``balanced accuracy`` of categories, in [0, 1].
    guess: the measure of who knows nothing: 0, or 1 / classes.
    real, synthetic: of models trained on training rows, and on as many new ones.
    rows: that they learnt from, real and synthetic.
    """

    target: str
    measure: str
    guess: float
    real: Scores
    synthetic: Scores
    rows: tuple[int, int]

    @property
    def is_learnable(self) -> bool:
        """Whether real rows teach anything."""
        return max(self.real.forest, self.real.boosted) > self.guess + 0.01

    @property
    def kept(self) -> float:
        """The share of what real rows teach that the new rows teach too, by the better of the two models;
        1 where real rows teach nothing."""
        real, synthetic = (max(scores.forest, scores.boosted) for scores in (self.real, self.synthetic))
        return (synthetic - self.guess) / (real - self.guess) if self.is_learnable else 1.0


def usefulness(
    train: JudgedRows,
    held_out: JudgedRows,
    synthetic: JudgedRows,
    target: str | None,
    seed: int,
    seeds: int = SEEDS,
    trees: int = TREES,
) -> Usefulness | None:
    """Compare what is learnt; None without a target or other columns, with too few rows, or too many classes.

    Args:
        train, held_out, synthetic: rows.
        target: name of a column.
        seed: of the rows drawn, and of the first model.
        seeds: models of each kind.
        trees: of each model.
    """
    names = [column.column.name for column in train.columns]
    if target not in names or len(names) < 2:
        return None
    place = names.index(target)
    column = train.columns[place]
    sets = [_with_target(rows, place) for rows in (train, held_out, synthetic)]
    if min(map(len, sets)) < FEWEST_ROWS or column.num_values > MOST_CLASSES:
        return None
    most = min(len(sets[0]), MOST_ROWS)
    learnt = [sets[0].some(most, seed), sets[2].some(most, seed)]
    real, new = (_scores(rows, sets[1], place, range(seed, seed + seeds), trees) for rows in learnt)
    classes = len(np.unique(sets[1].values_NC[:, place]))
    return Usefulness(
        target,
        "balanced accuracy" if column.is_category else "R2",
        1 / classes if column.is_category else 0.0,
        real,
        new,
        (len(learnt[0]), len(learnt[1])),
    )


def _with_target(rows: JudgedRows, place: int) -> JudgedRows:
    """The rows whose target is there."""
    return rows.at(np.flatnonzero(~np.isnan(rows.values_NC[:, place])))


def _scores(learnt: JudgedRows, tested: JudgedRows, place: int, seeds: Sequence[int], trees: int) -> Scores:
    classifies = learnt.columns[place].is_category
    learnt_NC, tested_NC = without_missing(learnt, tested)
    found = np.array(
        [
            [
                _score(model, learnt_NC, tested_NC, place, classifies)
                for model in (
                    forest(classifies, seed, trees),
                    boosted(classifies, learnt, seed, trees, place),
                )
            ]
            for seed in seeds
        ]
    )
    (one, two), (spread, spread_two) = found.mean(0).tolist(), found.std(0).tolist()
    return Scores(one, two, spread, spread_two)


def _score(
    model: Any, learnt_NC: NDArray[np.float64], tested_NC: NDArray[np.float64], place: int, classifies: bool
) -> float:
    from sklearn.metrics import r2_score

    inputs, answers_N = np.delete(learnt_NC, place, 1), learnt_NC[:, place]
    tested, truth_N = np.delete(tested_NC, place, 1), tested_NC[:, place]
    if classifies and len(np.unique(answers_N)) < 2:
        told_N = np.full(len(truth_N), answers_N[0])
    else:
        told_N = model.fit(inputs, answers_N).predict(tested)
    if classifies:
        return balanced_accuracy(told_N == truth_N, truth_N.astype(np.int64))
    return float(r2_score(truth_N, told_N))
