"""The plain classifier that tells whether new rows help: bag of words, tuned alike in every comparison.

A student answers with each of its settings, and :func:`chosen` picks the setting by rows that are neither
trained on nor counted. So every set of training rows gets the tuning that suits it, and none gets more of it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.augment.judge import word_pairs
from fairseq_plugin.augment.write_sets import Examples

STRENGTHS = (1.0, 10.0, 100.0)  # of logistic regression, scikit-learn's C; the smaller the plainer


def bag_of_words_answers(train: Examples, texts: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Words and word pairs by TF-IDF, then logistic regression, once for each of :data:`STRENGTHS`.

    Args:
        train: its rows; with one label alone, that is every answer.
        texts: to be answered.
        seed: of the solver.

    Returns:
        Label index by setting and text, ``(S, N)``.
    """
    from sklearn.linear_model import LogisticRegression

    labels = [label for label, _ in train]
    if len(set(labels)) < 2 or not texts:
        return np.full((len(STRENGTHS), len(texts)), labels[0] if labels else -1)
    vectorizer = word_pairs(len(train))
    train_NV = vectorizer.fit_transform([text for _, text in train])
    texts_NV = vectorizer.transform(texts)
    # From weak to strong, each from the weights of the one before: a third of the time of three fresh starts.
    classifier = LogisticRegression(max_iter=2000, random_state=seed, warm_start=True)
    answers = []
    for strength in STRENGTHS:
        answers.append(classifier.set_params(C=strength).fit(train_NV, labels).predict(texts_NV))
    return np.stack(answers).astype(np.int64)


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
