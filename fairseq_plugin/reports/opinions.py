"""What others say of an augmented set, as the page shows it: the verdict, and judges of its labels.

Every share lies in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass

OUTCOMES = ("use this", "no gain", "do not use this", "not checked")


@dataclass(frozen=True)
class Arm:
    """One way to train a classifier: on how many rows, and its accuracy over several draws.

    ``by_label`` is the mean over labels of the share that is right (balanced accuracy); None: not known.
    """

    name: str
    rows: int
    accuracy: float
    lowest: float
    highest: float
    by_label: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The first words of the page.

    Attributes:
        outcome: one of :data:`OUTCOMES`.
        sentence: why, with the figures.
        measured_on: what the arms were measured on, in words.
        arms: what was compared; none where only the labels were looked at.
    """

    outcome: str
    sentence: str
    measured_on: str = ""
    arms: Sequence[Arm] = ()


@dataclass(frozen=True)
class LabelFidelity:
    """How often a judge reads one label as it was given; None where there are no such rows."""

    synthetic: float | None
    real: float | None


@dataclass(frozen=True)
class Fidelity:
    """How often a judge reads the labels as they were given.

    Attributes:
        synthetic: share of the new sentences.
        real: share of the real valid sentences: the judge's own accuracy; None where there are none.
        labels: in the order of the labels.
    """

    synthetic: float | None
    real: float | None
    labels: Sequence[LabelFidelity]


@dataclass(frozen=True)
class Bin:
    """Answers of about the same confidence: mean confidence, share of right answers, number."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Calibration:
    """Whether a judge is right as often as it says, on real sentences that it was not trained on.

    Attributes:
        judge: its name.
        rows: number of sentences.
        accuracy: share of right answers.
        log_loss: nats per sentence.
        bins: by rising confidence.
    """

    judge: str
    rows: int
    accuracy: float
    log_loss: float
    bins: Sequence[Bin]


@dataclass(frozen=True)
class DoubtfulRow:
    """A real training row whose label a judge does not believe.

    Attributes:
        text: the sentence.
        label: as given, and its probability.
        judged: the judge's label, and its probability.
    """

    text: str
    label: str
    probability: float
    judged: str
    judged_probability: float
