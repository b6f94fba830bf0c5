"""Any rule from logits to loss: for models that hand out B x T x V themselves.

Besides the logits one tensor of their size is held, the gradient, computed in the forward pass (autograd's
cross-entropy holds one as well, and makes another backwards). Where a rule is maximum likelihood under its
settings, cross-entropy itself is taken, so that loss and gradient are bit-equal to it.

Legend: B batch, T time, V vocabulary, N = B * T positions, C positions of a block.
"""

from typing import Any

import torch
import torch.nn.functional as F

from fairseq_plugin.core.allowed_symbols import AllowedSymbols
from fairseq_plugin.core.chunked_loss import CHUNK_SIZE_CUDA
from fairseq_plugin.core.loss_results import (
    Results,
    block_size_cpu,
    collect,
    scored_positions,
    sum_blocks,
    times,
)
from fairseq_plugin.core.position_rules import (
    LossParts,
    Predictions,
    Rule,
    Scored,
    block_to_gradient,
    refuse_impossible_targets,
)
from fairseq_plugin.core.seen_tokens import check_tokens


def loss_from_logits(
    logits_BTV: torch.Tensor,
    target_BT: torch.Tensor,
    seen_BT: torch.Tensor | None = None,
    *,
    rule: Rule,
    ignore_index: int,
    allowed: AllowedSymbols | None = None,
    want_predictions: bool = False,
) -> tuple[LossParts, Predictions | None]:
    """A rule's loss of logits, summed over the scored positions. Differentiable once.

    Args:
        logits_BTV: ``(B, T, V)``, float64, float32, bfloat16 or float16 (half types are computed in float32);
            -inf marks a symbol without probability.
        target_BT: int64 ``(B, T)``; ``ignore_index`` = not scored.
        seen_BT: int64 ``(B, T)``, the token that becomes seen after its position, ``ignore_index`` = none;
            default: ``target_BT``. Lets positions that are not scored count as seen, and the reverse.
        rule: the objective.
        ignore_index: usually the padding index.
        allowed: the symbols over which each position's softmax is taken; default all.
        want_predictions: also give the most probable token and the target's rank at every position.

    Returns:
        ``(parts, predictions)`` as :func:`fairseq_plugin.core.chunked_loss.loss_from_hidden`.

    Raises:
        ValueError: shapes that do not agree; on the CPU also a token outside the vocabulary or a target with
            probability 0 (on CUDA such a target makes loss and gradient NaN).
    """
    if logits_BTV.shape[:-1] != target_BT.shape or target_BT.dim() != 2:
        raise ValueError(f"logits {tuple(logits_BTV.shape)} do not fit target {tuple(target_BT.shape)}")
    num_symbols = logits_BTV.size(-1)
    if target_BT.device.type == "cpu":
        check_tokens(target_BT[target_BT != ignore_index], num_symbols, "target token")
    scored = scored_positions(target_BT, seen_BT, ignore_index, num_symbols, allowed)
    logits_NV = logits_BTV.reshape(-1, num_symbols)
    if rule.is_likelihood and not want_predictions and allowed is None:
        return _cross_entropy(logits_NV, scored), None
    results = _LogitsLoss.apply(logits_NV, scored, rule.for_batch(scored), want_predictions)
    return collect(results, scored, target_BT, ignore_index)


def _cross_entropy(logits_NV: torch.Tensor, scored: Scored) -> LossParts:
    """Log-softmax and ``nll_loss`` in cross-entropy's own order of summation, hence with its bits."""
    target_N, scored_N = scored.target_N, scored.scored_N
    half = logits_NV.dtype in (torch.float16, torch.bfloat16)
    logp_NV = F.log_softmax(logits_NV, dim=-1, dtype=torch.float32 if half else None)
    safe_target_N = target_N.masked_fill(~scored_N, 0)
    picked_N1 = logp_NV.gather(1, safe_target_N[:, None])
    logp_y_N = torch.where(scored_N, picked_N1[:, 0], 0.0)
    if logits_NV.device.type == "cpu":
        refuse_impossible_targets(logp_y_N.detach(), target_N)
    picked_target_N = torch.zeros_like(target_N).masked_fill(~scored_N, -100)
    nll = F.nll_loss(picked_N1, picked_target_N, reduction="sum", ignore_index=-100)
    # A target without probability must never train silently: 0 * x^2 and its derivative are exact zeros for
    # any finite x and NaN for x = -inf, so the trainer's check of the gradients stops the update.
    loss = nll + (0.0 * logp_y_N.square()).sum()
    tokens_NU, seen_NU = scored.seen.at(torch.arange(target_N.numel(), device=target_N.device))
    y_seen_N = ((tokens_NU == safe_target_N[:, None]) & seen_NU).any(dim=1)
    correct_N = (logits_NV.detach().argmax(dim=1) == target_N) & scored_N
    novel_N = scored_N & ~y_seen_N
    return LossParts(loss, nll.detach(), scored_N.sum(), correct_N.sum(), novel_N.sum())


class _LogitsLoss(torch.autograd.Function):
    """logits -> what :func:`collect` takes; the gradient waits in the context."""

    @staticmethod
    def forward(
        ctx: Any, logits_NV: torch.Tensor, scored: Scored, rule: Rule, want_predictions: bool
    ) -> Results:
        with torch.autocast(logits_NV.device.type, enabled=False):
            want_gradient = ctx.needs_input_grad[0]
            results, d_logits_NV = _run_blocks(logits_NV, scored, rule, want_gradient, want_predictions)
        ctx.save_for_backward(d_logits_NV)
        ctx.dtype = logits_NV.dtype
        ctx.mark_non_differentiable(*(result for result in results[1:] if result is not None))
        return results

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_loss: torch.Tensor, *_: object) -> tuple[torch.Tensor | None, ...]:
        # Half types: scaled in float32 first, so that a loss scale saves what float16 would lose.
        (d_logits_NV,) = ctx.saved_tensors
        return times(d_logits_NV, d_loss).to(ctx.dtype), None, None, None


def _run_blocks(
    logits_NV: torch.Tensor, scored: Scored, rule: Rule, want_gradient: bool, want_predictions: bool
) -> tuple[Results, torch.Tensor | None]:
    dtype = torch.float64 if logits_NV.dtype == torch.float64 else torch.float32
    positions_N = scored.positions()
    on_cpu = logits_NV.device.type == "cpu"
    block_size = block_size_cpu(logits_NV.size(1)) if on_cpu else CHUNK_SIZE_CUDA
    all_visited = positions_N.numel() == logits_NV.size(0)
    make = torch.empty_like if all_visited else torch.zeros_like
    d_logits_NV = (
        make(logits_NV, dtype=dtype, memory_format=torch.contiguous_format) if want_gradient else None
    )
    blocks = []
    for positions_C in positions_N.split(block_size) if positions_N.numel() else ():
        z_CV = logits_NV[positions_C].to(dtype)
        allowed = (z_CV > -torch.inf).sum(dim=1).to(dtype) if rule.needs_allowed else None
        blocks.append(
            block_to_gradient(z_CV, positions_C, scored, rule, allowed, want_gradient, want_predictions)
        )
        if d_logits_NV is not None:
            d_logits_NV.index_copy_(0, positions_C, z_CV)
    return sum_blocks(blocks, positions_N, scored, dtype, want_predictions), d_logits_NV
