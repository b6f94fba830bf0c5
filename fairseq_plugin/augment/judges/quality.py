"""What a judge that tells probabilities is worth: its calibration, and the real rows that it doubts.

Shape legend: N sentences, L labels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.reports.opinions import Bin, Calibration, DoubtfulRow

_NUM_BINS = 10
_LEAST = 1e-12  # probability that counts in the log loss: a certainty that is wrong costs 27.6 nats, not all


def calibrate(judge: str, probability_NL: NDArray[np.float64], given: Sequence[int]) -> Calibration:
    """Whether a judge is right as often as it says.

    Args:
        judge: its name.
        probability_NL: its answers on real sentences that it was not trained on, N >= 1.
        given: the sentences' labels.

    Returns:
        Accuracy, log loss, and ten bins of equal width of the probability of the answer; empty ones left out.
    """
    given_N = np.array(given, dtype=np.int64)
    numbers_N, answer_N = np.arange(len(given_N)), probability_NL.argmax(axis=1)
    sure_N, right_N = probability_NL[numbers_N, answer_N], answer_N == given_N
    bin_N = np.minimum((sure_N * _NUM_BINS).astype(int), _NUM_BINS - 1)
    bins = [
        Bin(float(sure_N[own_N].mean()), float(right_N[own_N].mean()), int(own_N.sum()))
        for own_N in (bin_N == number for number in range(_NUM_BINS))
        if own_N.any()
    ]
    loss = -np.log(np.maximum(probability_NL[numbers_N, given_N], _LEAST)).mean()
    return Calibration(judge, len(given), float(right_N.mean()), float(loss), bins)


def doubtful_rows(
    examples: Sequence[tuple[int, str]],
    probability_NL: NDArray[np.float64],
    names: Sequence[str],
    most: int = 100,
) -> list[DoubtfulRow]:
    """The real examples whose label a judge believes least, of those where it would give another one.

    Args:
        examples: label index and text of each.
        probability_NL: the judge's answers.
        names: of the labels.
        most: examples to tell.
    """
    found = []
    for (label, text), probability_L in zip(examples, probability_NL, strict=True):
        judged = int(probability_L.argmax())
        if judged != label:
            own, other = float(probability_L[label]), float(probability_L[judged])
            found.append(DoubtfulRow(text, names[label], own, names[judged], other))
    return sorted(found, key=lambda row: row.probability)[:most]  # equal ones in the order of the data
