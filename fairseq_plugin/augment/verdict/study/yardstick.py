"""A judge that has read the whole training set: it measures new rows for a report; no arm ever sees it."""

from dataclasses import dataclass

import numpy as np

from fairseq_plugin.augment.judges.words import Judge, train_judge
from fairseq_plugin.augment.verdict.study.splits import LabelledSet
from fairseq_plugin.augment.write_sets import Examples
from fairseq_plugin.reports.statistics import draw

_MOST = 20_000  # rows that it reads


@dataclass(frozen=True)
class Yardstick:
    """The judge.

    Attributes:
        judge: of the whole training set.
        accuracy: on the rows that measure, in [0, 1]: no agreement means more than this.
    """

    judge: Judge
    accuracy: float

    @classmethod
    def of(cls, whole: LabelledSet) -> "Yardstick":
        """Train it."""
        rows = draw(whole.pool, _MOST, seed=1)
        judge = train_judge([text for _, text in rows], [label for label, _ in rows])
        return cls(judge, agreement(judge, whole.test))


def agreement(judge: Judge, rows: Examples) -> float:
    """Share of rows, at least one, whose label the judge gives too."""
    judged = np.asarray(judge.predict([text for _, text in rows]))
    return float((judged == np.array([label for label, _ in rows])).mean())
