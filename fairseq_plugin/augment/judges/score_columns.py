"""What new rows tell besides text and label: how probable the sentence is, and its labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.judges.filter import Opinions

LOG_PROBABILITY = "log_probability"
LABEL_PROBABILITY = "label_probability"
_SOFT = "p_"  # before a label's name
_DIGITS = 4


@dataclass(frozen=True)
class ScoreColumns:
    """Columns after those of the source.

    Attributes:
        names: theirs, in order.
        scores: whether the first two are the log probability of the sentence given its label (nats), and
            the probability of its label given the sentence.
        soft_labels: whether the others are the probabilities of all labels.
    """

    names: list[str]
    scores: bool
    soft_labels: bool

    @classmethod
    def asked_for(cls, scores: bool, soft_labels: bool, labels: Sequence[str]) -> "ScoreColumns":
        """By ``--scores`` and ``--soft-labels``; ``labels`` are the names of the data's."""
        names = [LOG_PROBABILITY, LABEL_PROBABILITY] if scores else []
        return cls(names + [f"{_SOFT}{name}" for name in labels if soft_labels], scores, soft_labels)

    def values(self, candidate: Candidate, opinions: Opinions) -> list[float]:
        """Of a sample, in the order of the names."""
        found = [candidate.score, opinions.confidence(candidate.id)] if self.scores else []
        found += opinions.of(candidate.id).tolist() if self.soft_labels else []
        return [round(value, _DIGITS) for value in found]
