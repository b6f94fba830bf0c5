"""Has a generator learnt its language? Held-out real text tells: the bits that it needs for it.

A generator that finds held-out sentences less probable than counts of four letters in a row, of the same
training rows, has not learnt to spell words, whatever its own text looks like. The counts are a hard rival on
small sets and an easy one on large ones: a language is more than four letters. Nothing here looks at the new
text, so no text looks better for being different.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.augment.write_sets import Examples
from fairseq_plugin.reports.letter_counts import letter_bits
from fairseq_plugin.reports.statistics import draw

MOST_TRAIN = 3000  # rows that are counted; fewer rows make a weaker rival, which refuses less
MOST_HELD = 200  # rows that are scored
DECISIVE = 20.0  # bits over all held-out text: it is a million times more probable under the counts
_BEFORE = 3  # letters before the one that is told


class Likelihoods(Protocol):
    """A generator that tells how probable texts are."""

    def reads_whole(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is one that it can score to its end."""
        ...

    def log_likelihoods(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """log p(text and its end | label) in nats, ``(N, L)``."""
        ...


@dataclass(frozen=True)
class Language:
    """What held-out text costs.

    Attributes:
        rows: that were scored.
        characters: in them, an end for each counted.
        model, counts: bits per character by the generator, given the label, and by :func:`letter_bits`.
    """

    rows: int
    characters: int
    model: float
    counts: float

    @property
    def is_unlearnt(self) -> bool:
        """Whether the counts know decisively more than the generator does."""
        return (self.model - self.counts) * self.characters >= DECISIVE

    def figures(self) -> str:
        """In words."""
        return (
            f"for {self.rows:,} held-out sentences the generator needs {self.model:.2f} bits per character, "
            f"counts of four letters in a row, in the same training rows, {self.counts:.2f}"
        )


def measure_language(generator: Likelihoods, train: Examples, held: Examples, seed: int) -> Language | None:
    """Hold a generator against counts of letters.

    Args:
        generator: trained on ``train``.
        train: its rows.
        held: rows that it was not trained on.
        seed: of what is drawn where there are more than :data:`MOST_TRAIN` or :data:`MOST_HELD`.

    Returns:
        None where no held-out row can be scored.
    """
    rows = draw(held, MOST_HELD, seed)
    whole = generator.reads_whole([text for _, text in rows])
    rows = [row for row, is_whole in zip(rows, whole, strict=True) if is_whole]
    if not rows:
        return None
    texts = [text for _, text in rows]
    likelihood_NL = generator.log_likelihoods(texts)
    model = -sum(likelihood_NL[place, label] for place, (label, _) in enumerate(rows)) / math.log(2)
    counted = [text for _, text in draw(train, MOST_TRAIN, seed)]
    characters = sum(len(text) + 1 for text in texts)
    counts = float(letter_bits(counted, texts, _BEFORE).sum())
    return Language(len(rows), characters, float(model) / characters, counts / characters)
