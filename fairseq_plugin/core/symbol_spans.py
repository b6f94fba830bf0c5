"""Which positions go through the output layer together, and with which of its symbols.

Where a grammar leaves each position a range of symbols (:mod:`fairseq_plugin.core.allowed_symbols`), logits
of all the others are work for nothing: they have probability 0 and no gradient. Positions are put in the
order of their ranges, and neighbours share one product with the symbols from the lowest to the highest of
theirs, as long as that makes fewer logits too many than another product costs. A row of 500 decimals has
905 ranges in 118,904 symbols; 4 such rows make SOME million logits instead of 430 million.

The result is the same but for rounding: a span holds every symbol that its positions allow.

Legend: N positions in all, C of a span, V symbols.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from fairseq_plugin.core.allowed_symbols import AllowedSymbols

# So many logits too many cost what the calls of one more product do (one core, width 64).
_LOGITS_OF_A_CALL = 32_768


@dataclass(frozen=True)
class Span:
    """Positions of one product, and its symbols.

    Attributes:
        positions_C: int64, flat positions, one at least.
        low, high: the symbols ``low <= symbol < high``.
        is_all: they are all symbols of the output layer.
    """

    positions_C: torch.Tensor
    low: int
    high: int
    is_all: bool = False

    @property
    def width(self) -> int:
        """How many symbols it has."""
        return self.high - self.low

    @property
    def num_logits(self) -> int:
        """Of all its positions."""
        return self.positions_C.numel() * self.width

    def local(self, symbols_K: torch.Tensor) -> torch.Tensor:
        """Those of the symbols that are its own, counted from its first."""
        if self.is_all:
            return symbols_K
        return symbols_K[(symbols_K >= self.low) & (symbols_K < self.high)] - self.low

    def chunks(self, size: int) -> Iterator["Span"]:
        """Of at most so many positions, of nearly one size."""
        num_positions = self.positions_C.numel()
        num_chunks = -(-num_positions // size)
        for positions_C in self.positions_C.split(-(-num_positions // num_chunks)):
            yield replace(self, positions_C=positions_C)


def spans(positions_N: torch.Tensor, allowed: AllowedSymbols | None, num_logits: int) -> list[Span]:
    """Put positions together. Reads the ranges on the host: on CUDA, where that is a wait, all are one span.

    Args:
        positions_N: int64, flat positions.
        allowed: their ranges; None: everything.
        num_logits: V, of the output layer.

    Returns:
        Spans that hold each position once; where there is but one, in the order given.
    """
    if not positions_N.numel():
        return []
    if allowed is None or positions_N.device.type != "cpu":
        return [Span(positions_N, 0, num_logits, is_all=True)]
    low_N = allowed.low_BT.reshape(-1)[positions_N].long()
    count_N = allowed.count_BT.reshape(-1)[positions_N].long()
    low_N = torch.where(count_N > 0, low_N, 0)
    high_N = torch.where(count_N > 0, low_N + count_N, num_logits).clamp(max=num_logits)
    keys_N, order_N = (low_N * (num_logits + 1) + high_N).sort(stable=True)
    keys_R, sizes_R = keys_N.unique_consecutive(return_counts=True)
    merged = list(_merged(keys_R.tolist(), sizes_R.tolist(), num_logits + 1))
    ordered_N = positions_N if len(merged) == 1 else positions_N[order_N]
    parts = ordered_N.split([size for _, _, size in merged])
    return [
        Span(positions_C, low, high, is_all=high - low == num_logits)
        for positions_C, (low, high, _) in zip(parts, merged)
    ]


def _merged(keys: list[int], sizes: list[int], base: int) -> Iterator[tuple[int, int, int]]:
    """``(low, high, positions)`` of the spans, from ranges ``low * base + high`` in order."""
    low, high = divmod(keys[0], base)
    size = sizes[0]
    for key, more in zip(keys[1:], sizes[1:]):
        its_low, its_high = divmod(key, base)
        joint = max(high, its_high)
        apart = size * (high - low) + more * (its_high - its_low)
        if (size + more) * (joint - low) - apart <= _LOGITS_OF_A_CALL:
            high, size = joint, size + more
        else:
            yield low, high, size
            low, high, size = its_low, its_high, more
    yield low, high, size
