"""What blocks of positions gave, put together, for losses from hidden states and from logits.

Legend: B batch, T time, N = B * T positions.
"""

from collections.abc import Sequence

import torch

from fairseq_plugin.core.allowed_symbols import AllowedSymbols
from fairseq_plugin.core.position_rules import BlockResult, LossParts, Predictions, Scored
from fairseq_plugin.core.seen_tokens import list_seen_tokens

# Logits of one softmax on the CPU: float32, they take 6 MB and stay in the cache.
_BLOCK_LOGITS_CPU = 32 * 50304

# loss, nll, num_correct, num_novel; predicted_N and rank_N, None unless wanted.
Results = tuple[
    torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor | None
]


def scored_positions(
    target_BT: torch.Tensor,
    seen_BT: torch.Tensor | None,
    ignore_index: int,
    num_symbols: int,
    allowed: AllowedSymbols | None = None,
) -> Scored:
    """The positions of a batch; ``seen_BT`` as above."""
    seen = list_seen_tokens(target_BT if seen_BT is None else seen_BT, ignore_index, num_symbols)
    return Scored(target_BT.reshape(-1), (target_BT != ignore_index).reshape(-1), seen, allowed)


def collect(
    results: Results, scored: Scored, target_BT: torch.Tensor, ignore_index: int
) -> tuple[LossParts, Predictions | None]:
    """Results as ``(parts, predictions)``."""
    loss, nll, num_correct, num_novel, predicted_N, rank_N = results
    parts = LossParts(loss, nll, scored.scored_N.sum(), num_correct, num_novel)
    if predicted_N is None or rank_N is None:
        return parts, None
    predicted_N = torch.where(scored.scored_N, predicted_N, ignore_index)
    rank_N = torch.where(scored.scored_N, rank_N, 0)
    return parts, Predictions(predicted_N.view_as(target_BT), rank_N.view_as(target_BT))


def block_size_cpu(num_logits: int) -> int:
    """Positions of one softmax on the CPU.

    With few symbols many positions go at once: at V = 1,000 blocks of 32 positions spend half of the time on
    calls (1,280 positions, one core: 74 ms, against 38 ms in larger blocks).

    Args:
        num_logits: of a position, >= 1.
    """
    return max(32, _BLOCK_LOGITS_CPU // num_logits)


def times(gradient: torch.Tensor, d_loss: torch.Tensor) -> torch.Tensor:
    """A stored gradient times what comes from above.

    Reading d_loss costs nothing on the CPU and saves a pass over dW in the usual case of 1. On CUDA it would
    make the host wait, so there the product is always taken (out of place: the graph may be kept).
    """
    if d_loss.device.type == "cpu" and d_loss.item() == 1.0:
        return gradient
    return gradient * d_loss.to(gradient.dtype)


def sum_blocks(
    blocks: Sequence[BlockResult],
    positions_N: torch.Tensor,
    scored: Scored,
    dtype: torch.dtype,
    want_predictions: bool,
) -> Results:
    """Blocks' results in one; predictions have no meaning at positions that were not visited."""
    predicted_N, rank_N = None, None
    if want_predictions:
        predicted_N, rank_N = torch.zeros_like(scored.target_N), torch.zeros_like(scored.target_N)
    if not blocks:
        zero, none = positions_N.new_zeros((), dtype=dtype), positions_N.new_zeros(())
        return zero, zero.clone(), none, none.clone(), predicted_N, rank_N
    loss, nll, num_correct, num_novel = (torch.cat(parts).sum() for parts in zip(*(b[:4] for b in blocks)))
    if predicted_N is not None and rank_N is not None:
        predicted_N.index_copy_(
            0, positions_N, torch.cat([b.predicted_C for b in blocks if b.predicted_C is not None])
        )
        rank_N.index_copy_(0, positions_N, torch.cat([b.rank_C for b in blocks if b.rank_C is not None]))
    return loss, nll, num_correct, num_novel, predicted_N, rank_N
