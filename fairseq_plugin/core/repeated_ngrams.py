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
    return _same_ngrams(tokens_KL, n).tril(-1).any(dim=2)


def recurring_ngrams(tokens_KL: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the n-grams that occur more than once in their text, overlapping ones included.

    Args:
        tokens_KL, n: as for :func:`repeated_ngrams`.

    Returns:
        ``(first_KM, recurs_KM)``: int64, where the n-gram that starts there started first; bool, whether it
        occurs again anywhere in the text.

    Raises:
        ValueError: n below 1.
    """
    same_KMM = _same_ngrams(tokens_KL, n)
    if not same_KMM.numel():
        return same_KMM.new_zeros(same_KMM.shape[:2], dtype=torch.int64), same_KMM.new_zeros(
            same_KMM.shape[:2]
        )
    return same_KMM.int().argmax(dim=2), same_KMM.sum(dim=2) > 1


def _same_ngrams(tokens_KL: torch.Tensor, n: int) -> torch.Tensor:
    """Whether the n-grams that start at two places are the same: bool ``(K, M, M)``."""
    if n < 1:
        raise ValueError(f"n {n}: an n-gram has at least 1 token")
    num_texts, length = tokens_KL.shape
    num_ngrams = max(length - n + 1, 0)
    same_KMM = torch.ones(num_texts, num_ngrams, num_ngrams, dtype=torch.bool, device=tokens_KL.device)
    for i in range(n if num_ngrams else 0):  # not all n tokens at once: K x M x M x n
        ith_KM = tokens_KL[:, i : i + num_ngrams]
        same_KMM &= ith_KM[:, :, None] == ith_KM[:, None]
    return same_KMM


def mark_repeats(tokens_KL: torch.Tensor, n: int) -> torch.Tensor:
    """Mark every token of every n-gram of :func:`repeated_ngrams`, the last n-gram included.

    Returns:
        bool ``(K, L)``.
    """
    return spread(repeated_ngrams(tokens_KL, n), n, tokens_KL.size(1))


def spread(starts_KM: torch.Tensor, n: int, length: int) -> torch.Tensor:
    """Mark the n tokens from each start on: bool ``(..., M)`` -> bool ``(..., length)``."""
    num_ngrams = starts_KM.size(-1)
    marks_KL = torch.zeros(*starts_KM.shape[:-1], length, dtype=torch.bool, device=starts_KM.device)
    for i in range(n if num_ngrams else 0):
        marks_KL[..., i : i + num_ngrams] |= starts_KM
    return marks_KL
