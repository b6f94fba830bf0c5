"""Self-BLEU: how much sentences of a set resemble each other (Zhu et al. 2018, Texygen, arXiv:1802.01886).

The BLEU of every sentence with *all* the others as its references, averaged. High where sentences repeat each
other. Low is not good in itself: random words have the lowest of all, so real text of the same number of
sentences stands beside it.

What a sentence shares with the others is known from the two largest counts of each n-gram in any sentence:
the largest of the *others* is the second where the sentence holds the largest itself. So the time is linear
in the number of words, where one BLEU after another takes the square of it; the value is the same, to the
last digits of a float.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from fairseq_plugin.reports.statistics import Words

NO_MATCH = 0.1  # counted for an order without a match: nltk's SmoothingFunction().method1


def self_bleu(sentences: Sequence[Words], order: int = 4) -> float | None:
    """Mean BLEU of each sentence against the others, in [0, 1].

    Args:
        sentences: their words; those without words have the BLEU 0.
        order: n of the longest n-grams; all orders weigh alike.

    Returns:
        ``mean(nltk.translate.bleu_score.sentence_bleu(others, sentence, [1 / order] * order, method1))``, or
        None for fewer than two sentences.
    """
    if len(sentences) < 2:
        return None
    if order < 1:
        raise ValueError(f"order {order} must be at least 1")
    logs = [0.0] * len(sentences)
    has_match = [False] * len(sentences)
    for n in range(1, order + 1):
        for index, (matches, total) in enumerate(_matches(sentences, n)):
            if n == 1:
                has_match[index] = matches > 0
            logs[index] += math.log((matches or NO_MATCH) / max(1, total)) / order
    lengths = sorted(map(len, sentences))
    values = [
        _brevity(len(sentence), lengths) * math.exp(log) if matched else 0.0
        for sentence, log, matched in zip(sentences, logs, has_match, strict=True)
    ]
    return math.fsum(values) / len(values)


def _matches(sentences: Sequence[Words], n: int) -> list[tuple[int, int]]:
    """For each sentence, n-grams that others hold (as often as the one with most of them), and all."""
    counts = [_ngrams(sentence, n) for sentence in sentences]
    largest: dict[tuple[str, ...], tuple[int, int]] = {}  # in any sentence, and in any other one
    for own in counts:
        for ngram, count in own.items():
            first, second = largest.get(ngram, (0, 0))
            largest[ngram] = (count, first) if count > first else (first, max(second, count))
    found = []
    for own in counts:
        matches = 0
        for ngram, count in own.items():
            first, second = largest[ngram]
            matches += min(count, second if count == first else first)
        found.append((matches, own.total()))
    return found


def _ngrams(sentence: Words, n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(sentence[start:] for start in range(n))))


def _brevity(length: int, lengths: Sequence[int]) -> float:
    """BLEU's penalty for being shorter than the reference of the nearest length; the shorter of two as near.

    Args:
        length: of the sentence, > 0.
        lengths: of all sentences, its own among them, ascending.
    """
    place = bisect_left(lengths, length)  # its own, or another of its length
    others = [*lengths[max(0, place - 1) : place], *lengths[place + 1 : place + 2]]
    nearest = min(others, key=lambda other: (abs(other - length), other))
    return 1.0 if length > nearest else math.exp(1 - nearest / length)
