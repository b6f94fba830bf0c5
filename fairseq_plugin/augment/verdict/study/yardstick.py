"""A judge that has read the whole training set: it measures new rows for a report; no arm ever sees it."""

from dataclasses import dataclass

from fairseq_plugin.augment.judges.words import Judge, agree, train_judge
from fairseq_plugin.augment.verdict.study.splits import LabelledSet
from fairseq_plugin.augment.write_sets import Examples
from fairseq_plugin.reports.statistics import draw

_MOST = 20_000  # rows that it reads


@dataclass(frozen=True)
class Yardstick:
    """The judge.

    Attributes:
        judge: of the whole training set.
        labels: their names.
        accuracy: on the rows that measure, in [0, 1]: no agreement means more than this.
    """

    judge: Judge
    labels: list[str]
    accuracy: float

    @classmethod
    def of(cls, whole: LabelledSet) -> "Yardstick":
        """Train it."""
        rows = draw(whole.pool, _MOST, seed=1)
        judge = train_judge([text for _, text in rows], [label for label, _ in rows])
        accuracy = agree(judge, whole.test, whole.labels).share
        assert accuracy is not None, "a set has rows that measure"
        return cls(judge, whole.labels, accuracy)

    def share(self, rows: Examples) -> float | None:
        """Of rows, those whose label the judge gives too; None for no rows."""
        return agree(self.judge, rows, self.labels).share
