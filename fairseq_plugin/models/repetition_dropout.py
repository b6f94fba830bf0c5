"""``--repetition-dropout``: which n-grams are dropped, by (seed, update, text, layer) and nothing else."""

import torch
import torch.nn as nn

from fairseq_plugin.core.repetition_dropout import masked_positions
from fairseq_plugin.sampling.keyed_random import LARGEST_ID, keyed_uniform

# An odd multiplier: the key of a text is sum of (token + 1) * _BASE^(t + 1) modulo 2^64.
_BASE = 0x5851F42D4C957F2D


class RepetitionDropout(nn.Module):
    """Draws the masks of :mod:`fairseq_plugin.core.repetition_dropout`; holds no weights.

    The numbers are keyed by the text itself: batches, ``--update-freq``, processes and a resume change
    nothing. fairseq hands over the update (``set_num_updates`` of every module that has it).

    Args:
        rate: probability in [0, 1] that an n-gram which comes back is dropped, per layer; 0 = off.
        n: length of the n-grams, >= 1.
        num_layers: of the network.
        seed: ``--seed``.
        pad: index of the padding.
    """

    def __init__(self, rate: float, n: int, num_layers: int, seed: int, pad: int) -> None:
        super().__init__()
        self.rate, self.n, self.num_layers, self.seed, self.pad = rate, n, num_layers, seed, pad
        self.num_updates = 0

    def set_num_updates(self, num_updates: int) -> None:
        """Called by fairseq before each batch with the number of updates made so far."""
        self.num_updates = num_updates

    def forward(self, tokens_BT: torch.Tensor) -> torch.Tensor | None:
        """Masks of a batch in training, bool ``(L, B, T)``; None where nothing can be dropped."""
        num_ngrams = tokens_BT.size(1) - self.n + 1
        if not self.training or self.rate == 0.0 or num_ngrams < 2:
            return None
        device = tokens_BT.device
        layer_L11 = torch.arange(self.num_layers, device=device)[:, None, None]
        start_M = torch.arange(num_ngrams, device=device)
        keys_LBM = (layer_L11 << 32) + start_M  # positions are far below 2^32
        text_B1 = self._keys(tokens_BT)[:, None]
        update_B1 = torch.full_like(text_B1, self.num_updates)
        keys_LBM = keys_LBM.expand(-1, len(tokens_BT), -1)
        uniform_LBM = keyed_uniform(self.seed, text_B1, update_B1, keys_LBM)
        return masked_positions(tokens_BT, self.n, self.rate, uniform_LBM)

    def _keys(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        """A number for each text, whatever padding stands behind it; int64 products wrap."""
        base_T = torch.full_like(tokens_BT[0], _BASE)
        terms_BT = (tokens_BT + 1) * base_T.cumprod(0) * (tokens_BT != self.pad)
        return terms_BT.sum(dim=1) & LARGEST_ID
