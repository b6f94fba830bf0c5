"""The loss of a model that knows how often each token occurs, and nothing else."""

from collections.abc import Iterable

import numpy as np


def unigram_entropy(counts: Iterable[int]) -> float:
    """Entropy in bits per token of a text with these token counts.

    >>> unigram_entropy([2, 1, 1, 0])
    1.5

    A trained model whose loss is not below it has learnt no context.
    """
    found = np.array([count for count in counts if count > 0], dtype=np.float64)
    if not len(found):
        raise ValueError("all counts are zero")
    shares = found / found.sum()
    return float(-(shares * np.log2(shares)).sum())
