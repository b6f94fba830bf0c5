"""Repetition dropout: attention does not see some of the n-grams that come back in the text.

Li et al., "Repetition In Repetition Out: Towards Understanding Neural Text Degeneration from the Data
Perspective" (NeurIPS 2023, arXiv 2310.10226). In training, for each layer on its own,

    each distinct n-gram that occurs more than once in the text is dropped with probability p;
    no position attends to a token of any of its occurrences (the first one included), except to itself

so the next token cannot be copied from what stood before. Each position keeps itself, so that none is left
with nothing to attend to. At inference nothing changes. Published settings: n = 2, p = 0.6. p = 0 draws
nothing and masks nothing: the network's bits are those without it.

    text    a b c a b d        ab comes back
    masked  x x . x x .        c attends to c; the second b to c and itself; d to c and d

Legend: L layers, B texts, T positions, M = T - n + 1 n-grams.
"""

import torch

from fairseq_plugin.core.repeated_ngrams import recurring_ngrams, spread


def check_repetition_dropout(rate: float, n: int) -> None:
    """Refuse settings that have no meaning.

    Raises:
        ValueError: a rate outside [0, 1], or n below 1.
    """
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"--repetition-dropout {rate}: must be in [0, 1]; 0 turns it off, 0.6 is published")
    if n < 1:
        raise ValueError(f"--repetition-ngram {n}: must be at least 1; 2 is published")


def masked_positions(tokens_BT: torch.Tensor, n: int, rate: float, uniform_LBM: torch.Tensor) -> torch.Tensor:
    """The positions that no later one may attend to.

    Args:
        tokens_BT: int64; padding on the right does no harm, no text attends to it.
        n: length of the n-grams, >= 1.
        rate: probability in [0, 1] that an n-gram which comes back is dropped.
        uniform_LBM: uniform numbers in (0, 1); an n-gram's number stands where it occurs first.

    Returns:
        bool ``(L, B, T)``, for ``masked_LBT`` of :meth:`fairseq_plugin.core.gpt2.GPT2.forward`.
    """
    first_BM, recurs_BM = recurring_ngrams(tokens_BT, n)
    dropped_LBM = (uniform_LBM < rate).gather(2, first_BM.expand_as(uniform_LBM)) & recurs_BM
    return spread(dropped_LBM, n, tokens_BT.size(1))
