"""Plain classifiers that tell whether new rows help, tuned alike in every comparison.

A student has a few settings, and rows that are neither trained on nor counted choose among them. So every set
of training rows gets the tuning that suits it, and none gets more of it. The bag of words is here; two small
networks are in :mod:`.neural_students`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.augment.judges.words import word_pairs
from fairseq_plugin.augment.write_sets import Examples

LEAST_WEIGHT = 0.01  # of a soft label; smaller ones cost time and change nothing
STRENGTHS = (1.0, 10.0, 100.0)  # of logistic regression, scikit-learn's C; the smaller the plainer


class Student(Protocol):
    """A classifier that is trained again and again, on one set of rows after the other.

    Attributes:
        name: for people.
        stops_by_patience: whether training longer can change it; False where it is trained to its optimum.
    """

    @property
    def name(self) -> str: ...

    @property
    def stops_by_patience(self) -> bool: ...

    def answers(
        self, train: Examples, dev: Examples, texts: Sequence[str], seed: int, to_patience: bool = False
    ) -> NDArray[np.int64]:
        """Train on some rows and answer texts.

        Args:
            train: its rows; with one label alone, that is every answer.
            dev: rows that choose among the settings and decide when to stop.
            texts: to be answered.
            seed: the answers depend on it, the rows and the texts alone.
            to_patience: train until dev does not improve any more, however many updates that takes.

        Returns:
            Label index of each text, ``(N,)``.
        """
        ...


class BagOfWords:
    """Words and word pairs by TF-IDF, then logistic regression; its optimum, so there is nothing to stop."""

    name = "bag of words"
    stops_by_patience = False

    def answers(
        self, train: Examples, dev: Examples, texts: Sequence[str], seed: int, to_patience: bool = False
    ) -> NDArray[np.int64]:
        """See :meth:`Student.answers`."""
        truth_N = np.array([label for label, _ in dev], dtype=np.int64)
        found_SN = bag_of_words_answers(train, [*(text for _, text in dev), *texts], seed)
        best = (found_SN[:, : len(dev)] == truth_N).sum(axis=1).argmax()  # the first among equals
        return found_SN[best, len(dev) :]


def only_label(train: Examples, texts: Sequence[str]) -> NDArray[np.int64] | None:
    """The answers where there is nothing to learn: one label, or no text; else None."""
    labels = {label for label, _ in train}
    if len(labels) > 1 and texts:
        return None
    return np.full(len(texts), min(labels, default=-1), dtype=np.int64)


def bag_of_words_answers(
    train: Examples, texts: Sequence[str], seed: int, soft: Mapping[str, NDArray[np.float64]] | None = None
) -> NDArray[np.int64]:
    """Words and word pairs by TF-IDF, then logistic regression, once for each of :data:`STRENGTHS`.

    Args:
        train: its rows; with one label alone, that is every answer.
        texts: to be answered.
        seed: of the solver.
        soft: p(label | text), ``(L,)``, of the texts whose own label is not to be believed: such a row counts
            for every label, with this weight (distillation).

    Returns:
        Label index by setting and text, ``(S, N)``.
    """
    from sklearn.linear_model import LogisticRegression

    if (alone := only_label(train, texts)) is not None:
        return np.tile(alone, (len(STRENGTHS), 1))
    vectorizer = word_pairs(len(train))
    train_NV = vectorizer.fit_transform([text for _, text in train])
    places_M, labels_M, weights_M = _weighted(train, soft or {})
    train_MV = train_NV[places_M]
    texts_NV = vectorizer.transform(texts)
    # From weak to strong, each from the weights of the one before: a third of the time of three fresh starts.
    classifier = LogisticRegression(max_iter=2000, random_state=seed, warm_start=True)
    answers = []
    for strength in STRENGTHS:
        classifier.set_params(C=strength).fit(train_MV, labels_M, sample_weight=weights_M)
        answers.append(classifier.predict(texts_NV))
    return np.stack(answers).astype(np.int64)


def _weighted(
    train: Examples, soft: Mapping[str, NDArray[np.float64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Of every row and label that counts: the row's place, the label, and the weight, each ``(M,)``."""
    found: list[tuple[int, int, float]] = []
    for place, (label, text) in enumerate(train):
        if (share_L := soft.get(text)) is None:
            found.append((place, label, 1.0))
        else:
            found += [
                (place, own, float(share)) for own, share in enumerate(share_L) if share >= LEAST_WEIGHT
            ]
    places, labels, weights = zip(*found)
    return np.array(places, dtype=np.int64), np.array(labels, dtype=np.int64), np.array(weights)


def balanced_accuracy(right_XN: NDArray[np.bool_], labels: Sequence[int] | NDArray[np.int64]) -> float:
    """Mean over the labels that have rows of the share that is right, in [0, 1].

    >>> balanced_accuracy(np.array([True, True, True, False]), [0, 0, 0, 1])
    0.5

    Args:
        right_XN: whether each row was answered rightly, once or several times.
        labels: of the rows, ``(N,)``.
    """
    labels_N = np.asarray(labels)
    return float(np.mean([right_XN[..., labels_N == label].mean() for label in np.unique(labels_N)]))


def chosen(
    right_SN: NDArray[np.bool_], groups_N: NDArray[np.int64], counted_N: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The answers of the setting that does best on the rows of other groups; the first among equals.

    Args:
        right_SN: whether each setting is right on each row.
        groups_N: group of each row. The rows of a group never choose the setting that they are counted with.
        counted_N: rows whose answers are wanted; the others only choose.

    Returns:
        One entry per counted row, in order.
    """
    right_N = np.zeros(right_SN.shape[1], dtype=bool)
    for group in np.unique(groups_N[counted_N]):
        own, best = groups_N == group, right_SN[:, groups_N != group].sum(axis=1).argmax()
        right_N[own] = right_SN[best, own]
    return right_N[counted_N]
