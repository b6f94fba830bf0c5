"""A text in which one sentence comes again and again: the training data of DITTO.

    text      . a b . c d e . f g        the sentence a b . begins and ends in it and fits in twice
    repeated  . a b . a b . a b . a      (one token more than the text: the last target)

Legend: T tokens of a text.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Repeated(NamedTuple):
    """A text with a repeated sentence.

    Attributes:
        tokens: T + 1; the text up to the sentence, then the sentence until the window is full.
        start: where the sentence begins, >= 1.
        length: of the sentence in tokens.
    """

    tokens: list[int]
    start: int
    length: int


def sentences(is_end: Sequence[bool]) -> list[tuple[int, int]]:
    """``(start, length)`` of every sentence that begins and ends in a text and fits into it twice.

    Args:
        is_end: for each of T tokens, whether it ends a sentence.
    """
    ends = [t for t, end in enumerate(is_end) if end]
    found = [(before + 1, end - before) for before, end in pairwise(ends)]
    return [(start, length) for start, length in found if start + 2 * length <= len(is_end) + 1]


def repeat_sentence(tokens: Sequence[int], is_end: Sequence[bool], uniform: float) -> Repeated | None:
    """Repeat one of the sentences of a text until it is one token longer than the text.

    Args:
        tokens: T of them.
        is_end: as for :func:`sentences`.
        uniform: in (0, 1), which sentence.

    Returns:
        None if the text has no such sentence.
    """
    found = sentences(is_end)
    if not found:
        return None
    start, length = found[int(uniform * len(found))]
    repeated = list(tokens[:start])
    sentence = list(tokens[start : start + length])
    while len(repeated) <= len(tokens):
        repeated += sentence
    return Repeated(repeated[: len(tokens) + 1], start, length)
