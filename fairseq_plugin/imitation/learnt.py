"""What a model has learnt, beside counts of characters: only so does its loss mean something."""

import math
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.augment.verdict.by_labels import Verdict
from fairseq_plugin.corpus.folder import read_documents
from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.imitation.verdict import verdict_on_text
from fairseq_plugin.reports.letter_counts import letter_bits

IN_A_ROW = (1, 5)  # characters of the counts
MOST_COUNTED = 5_000_000  # characters of the training text: the last ones, next to the validation text


@dataclass(frozen=True)
class Learnt:
    """The loss on the validation text, in nats per character, ends of documents counted in.

    Attributes:
        model: of the best checkpoint.
        counts: by characters in a row, of :data:`IN_A_ROW`.
        counted: characters of the training text that were counted.
        bits_per_token: of the model, as fairseq tells it.
        verdict: whether the model knows more than how often each token occurs.
        nats_per_bit: of a loss in bits per token: times this it is one in nats per character, by split.
    """

    model: float
    counts: dict[int, float]
    counted: int
    bits_per_token: float
    verdict: Verdict
    nats_per_bit: dict[str, float]

    @property
    def tone(self) -> str:
        """``good``: better than the counts; ``fair``: worse; ``bad``: hardly any context."""
        if not self.verdict.is_worth_using:
            return "bad"
        return "good" if self.model < self.counts[IN_A_ROW[-1]] else "fair"

    @property
    def sentence(self) -> str:
        """In words, with the figures."""
        longest = IN_A_ROW[-1]
        figures = (
            f"{self.model:.2f} nats per character on text that it has not seen; counts of {longest} "
            f"characters in a row of the same training text reach {self.counts[longest]:.2f}, counts of "
            f"single ones {self.counts[1]:.2f}"
        )
        if self.tone == "good":
            return f"The model has learnt more than {longest} characters in a row tell: {figures}."
        if self.tone == "fair":
            return (
                f"The model has not yet learnt what counts of {longest} characters in a row know: {figures}. "
                "More minutes help."
            )
        return self.verdict.sentence


def measure_learnt(data: Path, bits: float) -> Learnt:
    """Hold a model's loss against counts.

    Args:
        data: the prepared text.
        bits: validation loss, bits per token.

    Raises:
        UserError: the folder is damaged.
    """
    splits = TextManifest.load(data).splits
    nats_per_bit = {
        name: math.log(2) * split.tokens / max(1, split.characters) for name, split in splits.items()
    }
    train, valid = _last(read_documents(data, "train"), MOST_COUNTED), read_documents(data, "valid")
    characters = max(1, sum(map(len, valid)))
    counts = {
        row: math.log(2) * float(letter_bits(train, valid, row - 1).sum()) / characters for row in IN_A_ROW
    }
    return Learnt(
        model=bits * nats_per_bit["valid"],
        counts=counts,
        counted=sum(map(len, train)),
        bits_per_token=bits,
        verdict=verdict_on_text(data, bits),
        nats_per_bit=nats_per_bit,
    )


def _last(texts: list[str], most: int) -> list[str]:
    """The last texts, of so many characters at most; the first of them may lose its beginning."""
    found: list[str] = []
    for text in reversed(texts):
        found.append(text[-most:] if most else "")
        most -= len(found[-1])
        if not most:
            break
    return found[::-1]
