"""Has a generator learnt its language? Held-out real text tells: the bits that it needs for it.

A generator that finds held-out sentences less probable than counts of four letters in a row, of the same
training rows, has not learnt to spell words, whatever its own text looks like. The counts are a hard rival on
small sets and an easy one on large ones: a language is more than four letters. Nothing here looks at the new
text, so no text looks better for being different.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.augment.write_sets import Examples
from fairseq_plugin.reports.statistics import draw

MOST_TRAIN = 3000  # rows that are counted; fewer rows make a weaker rival, which refuses less
MOST_HELD = 200  # rows that are scored
DECISIVE = 20.0  # bits over all held-out text: it is a million times more probable under the counts
_END = "\0"
_ORDER = 3  # letters before the one that is told


class Likelihoods(Protocol):
    """A generator that tells how probable texts are."""

    def reads_whole(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is one that it can score to its end."""
        ...

    def log_likelihoods(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """log p(text and its end | label) in nats, ``(N, L)``."""
        ...


class LetterCounts:
    """Characters given the three before them (Witten and Bell 1991, method C): counts, mixed with those of
    fewer letters as far as a context is rare.

        p(c | x) = (count(x c) + kinds(x) p(c | x without its first)) / (count(x) + kinds(x))

    with kinds(x) the number of different characters seen after x.

    A character that was never seen costs 8 bits for each byte of its UTF-8.

    Args:
        texts: to count in; each has an end.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._after: dict[str, Counter[str]] = {}
        for text in texts:
            whole = text + _END
            for place, character in enumerate(whole):
                for length in range(min(_ORDER, place) + 1):
                    own = self._after.setdefault(whole[place - length : place], Counter())
                    own[character] += 1
        self._totals = {context: own.total() for context, own in self._after.items()}

    def bits(self, text: str) -> float:
        """Of a text and its end, >= 0."""
        whole = text + _END
        return -sum(
            math.log2(self._probability(whole[max(0, place - _ORDER) : place], character))
            for place, character in enumerate(whole)
        )

    def _probability(self, context: str, character: str) -> float:
        found = 256.0 ** -len(character.encode("utf-8", "surrogatepass"))
        for length in range(len(context) + 1):
            shorter = context[len(context) - length :]
            if (own := self._after.get(shorter)) is None:
                break
            found = (own[character] + len(own) * found) / (self._totals[shorter] + len(own))
        return found


@dataclass(frozen=True)
class Language:
    """What held-out text costs.

    Attributes:
        rows: that were scored.
        characters: in them, an end for each counted.
        model, counts: bits per character by the generator, given the label, and by :class:`LetterCounts`.
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
    rival = LetterCounts([text for _, text in draw(train, MOST_TRAIN, seed)])
    characters = sum(len(text) + 1 for text in texts)
    counts = sum(map(rival.bits, texts))
    return Language(len(rows), characters, float(model) / characters, counts / characters)
