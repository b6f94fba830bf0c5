"""Which tokens have been seen before a position, without a B x T x V mask.

Legend: B texts of the batch, T positions, U distinct tokens of a text (at most min(T, num_symbols)), N = any
selection of the B * T positions, flattened.

A token is *seen* at position t of a text once it stood among that text's tokens at positions 0 .. t-1; it is
*novel* otherwise. So all that has to be known of a text is each distinct token and the position of its first
occurrence: duplicates count once by construction, texts never mix, padding is never listed.

    seen_BT = [[7, 9, 7, pad]]   ->   tokens_BU = [[7, 9]], first_BU = [[0, 1]]
    position 0: nothing seen; position 1: {7}; position 2: {7, 9}; position 3: {7, 9}
"""

from typing import NamedTuple

import torch

LARGEST = torch.iinfo(torch.int64).max


class SeenTokens(NamedTuple):
    """The distinct tokens of every text, in order of first occurrence.

    Attributes:
        tokens_BU: int64 ``(B, U)``, token ids; 0 in unused places.
        first_BU: int64 ``(B, U)``, position of the token's first occurrence, 0 .. T-1; T in unused places,
            which is therefore seen nowhere.
        num_positions: T.
        seen_BT: int64 ``(B, T)``, the tokens in their places.
        ignore_index: in ``seen_BT``, what adds nothing.
        span: ``low, high``: :meth:`at` knows these symbols alone, counted from ``low``; None: all.
    """

    tokens_BU: torch.Tensor
    first_BU: torch.Tensor
    num_positions: int
    seen_BT: torch.Tensor
    ignore_index: int
    span: tuple[int, int] | None = None

    def within(self, low: int, high: int) -> "SeenTokens":
        """The same where only symbols ``low <= symbol < high`` can be candidates, and ``low`` is called 0."""
        return self._replace(span=(low, high))

    def at(self, positions_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The candidates and the mask of what is seen at flat positions ``b * T + t``.

        Args:
            positions_N: int64 ``(N,)`` in 0 .. B*T-1.

        Returns:
            ``tokens_NU`` int64 and ``seen_NU`` bool, both ``(N, U)``; on the CPU U is what may be seen there.
            A token outside of the span is not seen, and called by some symbol of it.
        """
        text_N = positions_N // self.num_positions
        time_N = positions_N % self.num_positions
        tokens_BU, first_BU = self.tokens_BU, self.first_BU
        if positions_N.device.type == "cpu" and positions_N.numel() and first_BU.numel():
            # In order of first occurrence: leave out what none of these positions can have seen.
            num_seen = int((first_BU < time_N.max()).sum(1).max())
            tokens_BU, first_BU = tokens_BU[:, :num_seen], first_BU[:, :num_seen]
        tokens_NU, first_NU = tokens_BU.index_select(0, text_N), first_BU.index_select(0, text_N)
        seen_NU = first_NU < time_N[:, None]
        if self.span is not None:
            low, high = self.span
            seen_NU &= (tokens_NU >= low) & (tokens_NU < high)
            tokens_NU = tokens_NU.clamp_(low, high - 1).sub_(low)
        return tokens_NU, seen_NU

    def places(self) -> torch.Tensor:
        """Where in its text's list of distinct tokens each token stands: int64 ``(B, T)``, U for none."""
        num_listed = self.tokens_BU.size(1)
        unused_BU = self.first_BU >= self.num_positions
        ordered_BU, order_BU = self.tokens_BU.masked_fill(unused_BU, LARGEST).sort(dim=1)
        if not num_listed:
            return torch.full_like(self.seen_BT, num_listed)
        found_BT = torch.searchsorted(ordered_BU, self.seen_BT.contiguous()).clamp_(max=num_listed - 1)
        return order_BU.gather(1, found_BT).masked_fill_(self.seen_BT == self.ignore_index, num_listed)


def list_seen_tokens(seen_BT: torch.Tensor, ignore_index: int, num_symbols: int) -> SeenTokens:
    """Find each text's distinct tokens and first occurrences with one stable sort.

    No T x T comparison and, on CUDA, no synchronisation with the host: there U is the bound
    min(T, num_symbols); on the CPU it is the true largest number of distinct tokens.

    Args:
        seen_BT: int64 ``(B, T)``; the token that becomes seen *after* its position.
        ignore_index: marks positions that add nothing to the seen set.
        num_symbols: size of the vocabulary; ids are in 0 .. num_symbols-1 (checked on the CPU).

    Raises:
        ValueError: a token outside the vocabulary.
    """
    num_positions = seen_BT.size(1)
    sorted_BT, time_BT = seen_BT.sort(dim=1, stable=True)  # stable: the first of a run occurred first
    starts_BT = torch.ones_like(sorted_BT, dtype=torch.bool)
    starts_BT[:, 1:] = sorted_BT[:, 1:] != sorted_BT[:, :-1]
    starts_BT &= sorted_BT != ignore_index
    first_BT, order_BT = torch.where(starts_BT, time_BT, num_positions).sort(dim=1)
    tokens_BT = sorted_BT.gather(1, order_BT).masked_fill_(first_BT == num_positions, 0)
    num_kept = min(num_positions, num_symbols)
    if tokens_BT.device.type == "cpu" and tokens_BT.numel():
        check_tokens(tokens_BT, num_symbols, "seen token")
        num_kept = int((first_BT < num_positions).sum(1).max())
    return SeenTokens(tokens_BT[:, :num_kept], first_BT[:, :num_kept], num_positions, seen_BT, ignore_index)


def check_tokens(tokens: torch.Tensor, num_symbols: int, what: str) -> None:
    """Refuse token ids outside 0 .. num_symbols-1. Reads the values: meant for tensors on the CPU.

    Raises:
        ValueError: naming the first such id and the vocabulary's size.
    """
    outside = tokens[(tokens < 0) | (tokens >= num_symbols)]
    if outside.numel():
        raise ValueError(
            f"{what} {int(outside.flatten()[0])} is outside the vocabulary (0 .. {num_symbols - 1}): "
            "does the dictionary belong to this model?"
        )
