"""Can a classifier tell new rows from real ones? 0.5 is ideal: it can only guess.

Against *held-out* rows this measures likeness, and copying does not help: copies are told apart by being
there twice. Against the *training* rows it is an alarm: well below 0.5, real rows come back.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.synthesis.judges.rows import JudgedRows, without_missing

FEWEST_ROWS = 20  # of each kind: fewer say nothing
MOST_ROWS = 5000  # of each kind; more only cost time
TREES = 100
_PARTS = 5
_MOST_CODES = 250  # that boosted trees take as categories


@dataclass(frozen=True)
class Discrimination:
    """Areas under the ROC curve, in [0, 1], by 5-fold cross-validation.

    Attributes:
        forest: of a random forest.
        boosted: of gradient boosted trees.
        rows: of each kind.
    """

    forest: float
    boosted: float
    rows: int

    @property
    def error(self) -> float:
        """Standard error of an area when there is nothing to tell apart (Hanley & McNeil 1982)."""
        return float(np.sqrt((2 * self.rows + 1) / (12 * self.rows**2)))

    @property
    def worst(self) -> float:
        """The larger of the two."""
        return max(self.forest, self.boosted)


def discriminate(
    real: JudgedRows, synthetic: JudgedRows, seed: int, trees: int = TREES
) -> Discrimination | None:
    """Try to tell rows apart; as many of each kind. None where there are too few.

    Args:
        real: held-out rows, or training rows for the alarm.
        synthetic: new rows.
        seed: of what is drawn, of the parts and of the classifiers.
        trees: of each classifier.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rows = min(len(real), len(synthetic), MOST_ROWS)
    if rows < FEWEST_ROWS:
        return None
    kinds = without_missing(real.some(rows, seed), synthetic.some(rows, seed))
    values_NC, is_new_N = np.concatenate(kinds), np.repeat([0, 1], rows)
    parts = StratifiedKFold(_PARTS, shuffle=True, random_state=seed)
    areas = []
    for classifier in (forest(True, seed, trees), boosted(True, real, seed, trees)):
        told = cross_val_predict(classifier, values_NC, is_new_N, cv=parts, method="predict_proba")
        areas.append(float(roc_auc_score(is_new_N, np.asarray(told)[:, 1])))
    return Discrimination(areas[0], areas[1], rows)


def forest(classifies: bool, seed: int, trees: int) -> Any:
    """A random forest."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestClassifier if classifies else RandomForestRegressor
    return kind(trees, random_state=seed)


def boosted(classifies: bool, rows: JudgedRows, seed: int, trees: int, without: int | None = None) -> Any:
    """Gradient boosted trees that know which columns are categories.

    Args:
        classifies: or predicts numbers.
        rows: with the columns.
        seed: of the trees.
        trees: how many; for each class, where there are more than two.
        without: the column that is left out of the values.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if classifies else HistGradientBoostingRegressor
    is_code: NDArray[np.bool_] = np.array(
        [
            column.is_category and column.num_values <= _MOST_CODES
            for place, column in enumerate(rows.columns)
            if place != without
        ],
        dtype=bool,
    )
    chosen: Any = is_code if is_code.any() else None
    return kind(categorical_features=chosen, max_iter=trees, random_state=seed)
