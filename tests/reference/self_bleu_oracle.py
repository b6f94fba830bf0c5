"""Self-BLEU by its definition, one sentence against every other: quadratic, in exact fractions to the end."""

import math
from collections import Counter
from fractions import Fraction

SMOOTHED = Fraction(1, 10)


def ngrams(sentence, n):
    return Counter(tuple(sentence[i : i + n]) for i in range(len(sentence) - n + 1))


def precision(sentence, others, n):
    """Clipped matches over all n-grams; a tenth of a match where there is none."""
    counts = ngrams(sentence, n)
    matches = sum(
        min(count, max(ngrams(other, n)[ngram] for other in others)) for ngram, count in counts.items()
    )
    return Fraction(matches, max(1, sum(counts.values()))), matches


def bleu(sentence, others, order):
    if not precision(sentence, others, 1)[1]:
        return 0.0
    logs = []
    for n in range(1, order + 1):
        value, matches = precision(sentence, others, n)
        total = max(1, len(sentence) - n + 1)
        logs.append(math.log(value if matches else SMOOTHED / total) / order)
    nearest = min((abs(len(other) - len(sentence)), len(other)) for other in others)[1]
    penalty = 1.0 if len(sentence) > nearest else math.exp(1 - nearest / len(sentence))
    return penalty * math.exp(sum(logs))


def self_bleu(sentences, order):
    return sum(
        bleu(sentence, sentences[:place] + sentences[place + 1 :], order)
        for place, sentence in enumerate(sentences)
    ) / len(sentences)
