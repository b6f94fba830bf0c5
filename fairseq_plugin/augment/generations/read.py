"""What ``fairseq-generate`` wrote for ``--gen-subset augment``: every text in it is known beforehand.

The prompt is known from the label, the sample's text from its ids, so no text can forge a sample; see
:mod:`~fairseq_plugin.storage.printed_samples`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.printed_samples import KnownTexts, read_printed

GENERATED = "generate-augment.txt"


@dataclass(frozen=True)
class Sample:
    """One generated sample.

    Attributes:
        id: the sample's number.
        text: decoded from the ids; empty where a symbol is not text.
        num_tokens: tokens drawn, the end token included.
        ended: whether the end token was reached.
        symbols: the dictionary's symbols joined by spaces, without the end token.
        score: sum of the tokens' log probabilities (nats); NaN where it was not kept.
    """

    id: int
    text: str
    num_tokens: int
    ended: bool
    symbols: str
    score: float = field(default=float("nan"), compare=False)  # kept in one of the two kinds of file


def read_samples(
    path: str | Path, decode: Callable[[list[int]], str], prompt_of: Callable[[int], str]
) -> Iterator[Sample]:
    """Read the samples of one ``generate-augment.txt``, in the order of the file.

    Args:
        path: the file.
        decode: ids -> text.
        prompt_of: sample id -> the prompt's text as S- shows it; ``KeyError`` for an unknown id.

    Yields:
        :class:`Sample`.

    Raises:
        UserError: a missing, damaged or cut file (with the line), an id that was not asked for.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"{path} does not exist; run fairseq-generate with --gen-subset augment and --results-path "
            f"{path.parent}"
        )
    for one in read_printed(path, KnownTexts(prompt_of, decode)):
        ended = one.num_scores == len(one.symbols) + 1
        yield Sample(one.id, one.text, one.num_scores, ended, " ".join(one.symbols))
