"""Texts for the training of a tokenizer, so that it takes time linear in their length."""

from collections.abc import Iterable, Iterator

import regex

LONGEST_WORD = 1_024  # characters; the trainers take time quadratic in the length of a word


def cut_long_words(
    texts: Iterable[str], words: regex.Pattern[str], longest: int = LONGEST_WORD
) -> Iterator[str]:
    """Texts with every word cut that is longer than ``longest`` characters; all others as they are.

    The trainer then counts no pair of characters across a cut, one place in ``longest``. Only training sees
    the cuts: a trained tokenizer encodes a word of any length whole.

    Args:
        texts: the texts.
        words: the pattern whose matches are the trainer's words.
        longest: characters, >= 1.
    """
    for text in texts:
        begin = 0  # of what is not yet given out
        if len(text) > longest:
            for match in words.finditer(text):
                cut = match.start() + longest
                while cut < match.end():
                    yield text[begin:cut]
                    begin, cut = cut, cut + longest
        yield text[begin:]
