"""Which tokens of a text belong to an n-gram that the text already held.

    text    a b c a b c d        n = 2
    n-grams ab bc ca ab bc cd    ab and bc come back
    marks   . . . x x x .

Legend: K texts, L tokens of each, M = L - n + 1 n-grams of each.
"""

import torch


def repeated_ngrams(tokens_KL: torch.Tensor, n: int) -> torch.Tensor:
    """Find the n-grams that occurred earlier in the same text, overlapping ones included.

    Args:
        tokens_KL: int64 ``(K, L)``, texts of equal length without padding.
        n: at least 1.

    Returns:
        bool ``(K, M)``, whether the n-gram that starts there started earlier as well; M is 0 for L < n.

    Raises:
        ValueError: n below 1.
    """
    if n < 1:
        raise ValueError(f"n {n}: an n-gram has at least 1 token")
    num_texts, length = tokens_KL.shape
    if length < n:
        return torch.zeros(num_texts, 0, dtype=torch.bool, device=tokens_KL.device)
    ngrams_KMn = tokens_KL.unfold(1, n, 1)
    same_KMM = torch.ones(num_texts, *[length - n + 1] * 2, dtype=torch.bool, device=tokens_KL.device)
    for i in range(n):  # not all n tokens at once: K x M x M x n
        same_KMM &= ngrams_KMn[:, :, None, i] == ngrams_KMn[:, None, :, i]
    return same_KMM.tril(-1).any(dim=2)


def mark_repeats(tokens_KL: torch.Tensor, n: int) -> torch.Tensor:
    """Mark every token of every n-gram of :func:`repeated_ngrams`, the last n-gram included.

    Returns:
        bool ``(K, L)``.
    """
    repeats_KM = repeated_ngrams(tokens_KL, n)
    marks_KL = torch.zeros_like(tokens_KL, dtype=torch.bool)
    for i in range(n if repeats_KM.size(1) else 0):
        marks_KL[:, i : i + repeats_KM.size(1)] |= repeats_KM
    return marks_KL
