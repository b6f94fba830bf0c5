"""What a model wrote at each temperature, measured: are its words words, and does it repeat itself?"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fairseq_plugin.evaluation.repetition import count_ngrams
from fairseq_plugin.reports.sample_book import Sample
from fairseq_plugin.text.words import words

_ROW = 4  # words in a row that may be a repetition


@dataclass(frozen=True)
class Written:
    """Samples of one kind.

    Attributes:
        name: such as ``temperature 0.8``.
        best: the sample that is shown.
        num: samples in all.
        known: share of their words that the training text has, in [0, 1]; None where there is no word.
        repeated: share of their sequences of four words that stood in the same sample before.
    """

    name: str
    best: Sample
    num: int
    known: float | None
    repeated: float | None


def measure_written(name: str, samples: Sequence[Sample], vocabulary: Collection[str]) -> Written:
    """Measure samples.

    Args:
        name: of the kind.
        samples: at least one.
        vocabulary: the words of the training text.

    Returns:
        The best sample is the one whose words are most often words of the text, less what it repeats; of
        equals the first.
    """
    own = [words(text) for _, text in samples]
    scores = [(_share(one, vocabulary) or 0.0) * (1 - (_repeated([one]) or 0.0)) for one in own]
    best = samples[max(range(len(samples)), key=lambda number: (scores[number], -number))]
    return Written(
        name, best, len(samples), _share([word for one in own for word in one], vocabulary), _repeated(own)
    )


def _share(found: Sequence[str], vocabulary: Collection[str]) -> float | None:
    return sum(word in vocabulary for word in found) / len(found) if found else None


def _repeated(texts: Sequence[Sequence[str]]) -> float | None:
    counts = [count_ngrams(text, _ROW) for text in texts]
    total = sum(every for _, every in counts)
    return 1 - sum(distinct for distinct, _ in counts) / total if total else None
