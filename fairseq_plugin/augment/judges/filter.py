"""The probability of its label as a filter, and what was found of each sample, for columns and rankings.

Shape legend: N samples, L labels.
"""

from array import array
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.filters.sample_ids import SampleIds


class LabelProbabilities(Protocol):
    """Who tells how probable each label of a text is."""

    @property
    def name(self) -> str:
        """As a person reads it."""
        ...

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """p(label | text), ``(N, L)``; NaN in all of a text that it has no answer for."""
        ...


class Opinions:
    """The probabilities of the labels of samples: 4 bytes each, and 8 for a sample's id.

    Args:
        num_labels: L.
    """

    def __init__(self, num_labels: int) -> None:
        self._ids = SampleIds(num_labels)
        self._values = [array("f") for _ in range(num_labels)]

    def add(self, candidates: Sequence[Candidate], probability_NL: NDArray[np.float64]) -> None:
        """Remember answers; the samples of each label come in the order of their ids."""
        for one, probability_L in zip(candidates, probability_NL, strict=True):
            self._ids.add(one.id)
            self._values[one.label].extend(probability_L)

    def of(self, sample_id: int) -> NDArray[np.float32]:
        """p(label | text) of a sample, ``(L,)``.

        Raises:
            KeyError: it was not added.
        """
        num_labels, (label, place) = len(self._values), self._ids.place(sample_id)
        own = self._values[label][place * num_labels : (place + 1) * num_labels]
        return np.array(own, dtype=np.float32)

    def confidence(self, sample_id: int) -> float:
        """p(its own label | text) of a sample."""
        return float(self.of(sample_id)[sample_id % len(self._values)])


class LabelFidelity:
    """Rejects samples whose label is not probable enough, and those that the judge has no answer for.

    Args:
        judge: tells the probabilities.
        num_labels: number of labels.
        threshold: least probability of a sample's own label, in [0, 1].

    Attributes:
        opinions: of the samples that passed.
    """

    revoked: Sequence[tuple[int, str]] = ()

    def __init__(self, judge: LabelProbabilities, num_labels: int, threshold: float = 0.0) -> None:
        self._judge, self._threshold, self.opinions = judge, threshold, Opinions(num_labels)
        self.reasons: Mapping[str, str] = {
            "not_judged": f"has no probability of its label by {judge.name}",
            "doubtful_label": f"has a label that {judge.name} finds less probable than {threshold:g}",
        }

    def check(self, candidates: Sequence[Candidate]) -> list[str | None]:
        probability_NL = self._judge.probabilities([candidate.text for candidate in candidates])
        verdicts = list(map(self._check, candidates, probability_NL))
        passes = [verdict is None for verdict in verdicts]
        passing = [one for one, is_in in zip(candidates, passes) if is_in]
        self.opinions.add(passing, probability_NL[np.array(passes, dtype=bool)])
        return verdicts

    def _check(self, candidate: Candidate, probability_L: NDArray[np.float64]) -> str | None:
        own = probability_L[candidate.label]
        if np.isnan(own):
            return "not_judged"
        return None if own >= self._threshold else "doubtful_label"
