"""The ways to train that the study compares, and one student on each of them.

Cheap: the real rows; the same rows repeated to as many as the new ones would make, so with as many updates;
trained until dev does not improve; changed a little (EDA). New: the generator's rows alone, and the real rows
with its first samples as they came, with those that passed the filters, and with those that a judge is most
confident of: a plain classifier, or the generator itself by Bayes' rule. Either judge has read the k rows and
nothing else.
"""

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.augment.verdict.arms import EDA, REAL, REPEATED, SYNTHETIC, cheap_arms
from fairseq_plugin.augment.verdict.eda import Synonyms
from fairseq_plugin.augment.verdict.fairseq_student import SENTENCE_PREDICTION
from fairseq_plugin.augment.verdict.neural_students import BILSTM, NGRAM_BAG
from fairseq_plugin.augment.verdict.students import BagOfWords, Student
from fairseq_plugin.augment.verdict.study.points import ArmResult
from fairseq_plugin.augment.verdict.study.splits import Split
from fairseq_plugin.augment.write_sets import Examples

STUDENTS: dict[str, Student] = {
    "bag-of-words": BagOfWords(),
    "ngrams": NGRAM_BAG,
    "bilstm": BILSTM,
    "sentence-prediction": SENTENCE_PREDICTION,
}
PATIENCE = "real, to patience"
UNFILTERED, FILTERED = "real + unfiltered", "real + filtered"
JUDGED, MODEL_JUDGED = "real + judged", "real + judged by the model"
CHEAP = (REAL, REPEATED, PATIENCE, EDA)
NEW = (SYNTHETIC, UNFILTERED, FILTERED, JUDGED, MODEL_JUDGED)


def real_arms(
    split: Split, wanted: Mapping[int, int], student: Student, seed: int, synonyms: Synonyms | None
) -> dict[str, Examples]:
    """The training rows of the cheap arms.

    Args:
        split: the rows.
        wanted: new rows of each label that the generator is asked for.
        student: is left out where training longer cannot change it: :data:`PATIENCE` would be :data:`REAL`.
        seed: of what is repeated and changed.
        synonyms: for EDA.
    """
    found = cheap_arms(split.train, wanted, seed, synonyms)
    return {**found, PATIENCE: split.train} if student.stops_by_patience else found


def train_and_answer(
    student: Student, arms: Mapping[str, Examples], split: Split, test: Examples, seed: int
) -> dict[str, ArmResult]:
    """Train a student on every arm's rows and let it answer the rows that measure."""
    texts, truth_N = [text for _, text in test], np.array([label for label, _ in test])
    found = {}
    for name, rows in arms.items():
        began = time.monotonic()
        answers_N = student.answers(rows, split.dev, texts, seed, to_patience=name == PATIENCE)
        found[name] = ArmResult(len(rows), time.monotonic() - began, answers_N == truth_N)
    return found


def most_confident(rows: Examples, shares_NL: NDArray[np.float64], wanted: Mapping[int, int]) -> Examples:
    """Of the rows whose label a judge gives too, those of every label that it is most confident of, in order.

    Args:
        rows: label index and text of each.
        shares_NL: the judge's probability of every label of each.
        wanted: how many to keep of each label; the first among equals.
    """
    labels_N = np.array([label for label, _ in rows], dtype=np.int64)
    confidence_N = shares_NL[np.arange(len(rows)), labels_N]
    agrees_N = shares_NL.argmax(axis=1) == labels_N
    left, kept = dict(wanted), []
    for place in np.argsort(-confidence_N, kind="stable").tolist():
        label = rows[place][0]
        if agrees_N[place] and left.get(label, 0) > 0:
            left[label] -= 1
            kept.append(place)
    return [rows[place] for place in sorted(kept)]
