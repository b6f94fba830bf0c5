"""The symbols that may stand at a position: a range for each, over which alone the softmax is taken.

Data with a grammar (rows of a table) knows which symbols can follow; with their numbers chosen so that these
are one range, two integers say it. Loss, gradient, ranks and predictions are then those of the softmax over
the range, exactly: what lies outside has probability 0 and gets no gradient.

Legend: B batch, T time, N = B * T positions, C positions of a block, V symbols.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class AllowedSymbols:
    """Args:
    low_BT, count_BT: integers ``(B, T)``; allowed are ``low <= symbol < low + count``. A count of 0 allows
        everything, for positions that are not scored.
    """

    low_BT: torch.Tensor
    count_BT: torch.Tensor

    def forbid(self, z_CV: torch.Tensor, positions_C: torch.Tensor) -> None:
        """Set the logits outside of the ranges to -inf, in place; ``positions_C``: flat positions."""
        low_C1 = self.low_BT.reshape(-1)[positions_C].unsqueeze(1)
        count_C1 = self.count_BT.reshape(-1)[positions_C].unsqueeze(1)
        symbols_V = torch.arange(z_CV.shape[1], device=z_CV.device)
        outside_CV = (symbols_V < low_C1) | (symbols_V >= low_C1 + count_C1)
        z_CV.masked_fill_(outside_CV & (count_C1 > 0), -torch.inf)

    def counted_from(self, low: int) -> "AllowedSymbols":
        """The same ranges where symbol ``low`` is called 0."""
        return AllowedSymbols(self.low_BT - low, self.count_BT)

    def counts(self, positions_C: torch.Tensor, num_symbols: int | torch.Tensor) -> torch.Tensor:
        """How many symbols each position allows, ``(C,)``; ``num_symbols`` where it allows all."""
        count_C = self.count_BT.reshape(-1)[positions_C]
        return torch.where(count_C > 0, count_C, num_symbols)
