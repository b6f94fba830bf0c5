"""The logits of many positions, a piece at a time."""

from collections.abc import Iterator

import torch

from fairseq_plugin.core.gpt2 import GPT2

# Logits made at once, by device. On a CPU 16 MiB: larger pieces are fetched from and given back to the system
# each time, which took twice as long as the products. On a GPU 128 MiB.
_LOGITS_AT_ONCE = {"cpu": 2**22, "cuda": 2**25}


def logits_in_pieces(gpt2: GPT2, hidden_ND: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Scores of the next token at N positions, never all of them in memory.

    Args:
        gpt2: the network.
        hidden_ND: from its ``forward``.

    Yields:
        The number of the first position of a piece, and its logits ``(positions, V)``.
    """
    most = _LOGITS_AT_ONCE.get(hidden_ND.device.type, _LOGITS_AT_ONCE["cpu"])
    step = max(1, most // gpt2.config.vocab_size)
    for start in range(0, len(hidden_ND), step):
        yield start, gpt2.logits(hidden_ND[start : start + step])
