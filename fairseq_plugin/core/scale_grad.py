"""Exact ScaleGrad for any batch of logits; the fused form that never holds B x T x V stands beside it.

The formulas are in :mod:`fairseq_plugin.core.scale_grad_rows`. Semantics, as published:

- the seen set of a row starts empty and holds the earlier *targets* of that row, without a limit of distance,
  each once; the very first input token never counts unless it is in ``seen_BT``;
- gamma = 1 is maximum likelihood: loss and gradient are bit-equal to ``torch.nn.functional.cross_entropy``;
- at inference nothing changes: plain softmax.

Beyond the published code: any batch (padding is neither scored nor seen, rows never leak into each other, a
batch of nothing but padding gives 0 with a graph), exact normalisation (``eps`` only as a parity switch),
half precision.

Legend: B batch, T time, V vocabulary, N = B * T positions, U distinct seen tokens of a row.

    >>> logits_BTV = torch.zeros(1, 3, 4, requires_grad=True)   # p = 1/4 everywhere
    >>> parts = scale_grad_loss(logits_BTV, torch.tensor([[2, 2, 3]]), gamma=0.5, ignore_index=-100)
    >>> parts.loss          # ln 4  +  ln 2.5 (seen: 1/4 of 5/8)  +  ln 5 (novel: 1/8 of 5/8)
    tensor(3.9120, grad_fn=...)
"""

import torch
import torch.nn.functional as F

from fairseq_plugin.core.fused_scale_grad import fused_scale_grad_loss
from fairseq_plugin.core.scale_grad_rows import (
    LossParts,
    check_settings,
    refuse_impossible_targets,
    row_terms,
    target_is_seen,
)
from fairseq_plugin.core.seen_tokens import check_tokens, list_seen_tokens

__all__ = ["LossParts", "fused_scale_grad_loss", "scale_grad_loss"]


def scale_grad_loss(logits_BTV, target_BT, seen_BT=None, *, gamma, ignore_index, eps=0.0):
    """ScaleGrad loss from logits, summed over the scored positions.

    Plain cross-entropy plus a shift that depends on a few gathered log-probabilities, so that autograd's own
    log-softmax gradient is used and one dense gradient is held, as cross-entropy does.

    Args:
        logits_BTV: ``(B, T, V)``, float64, float32, bfloat16 or float16 (half types are computed in float32);
            -inf marks a column without probability.
        target_BT: int64 ``(B, T)``; ``ignore_index`` = not scored.
        seen_BT: int64 ``(B, T)``, the token that becomes seen after its position, ``ignore_index`` = none;
            default: ``target_BT``. Lets positions that are not scored count as seen, and the reverse.
        gamma: in (0, 1]; weight of novel tokens.
        ignore_index: usually the padding index.
        eps: 0 = exact; 1e-8 = what the published code computes.

    Returns:
        :class:`LossParts`, all tensors, without a synchronisation with the host on CUDA.

    Raises:
        ValueError: gamma or eps out of range, shapes that do not agree; on the CPU also a token outside the
            vocabulary or a target with probability 0 (on CUDA such a target makes loss and gradient NaN).
    """
    check_settings(gamma, eps)
    if logits_BTV.shape[:-1] != target_BT.shape or target_BT.dim() != 2:
        raise ValueError(f"logits {tuple(logits_BTV.shape)} do not fit target {tuple(target_BT.shape)}")
    seen_BT = target_BT if seen_BT is None else seen_BT
    num_columns = logits_BTV.size(-1)
    logits_NV = logits_BTV.reshape(-1, num_columns)
    target_N = target_BT.reshape(-1)
    scored_N = target_N != ignore_index
    safe_target_N = target_N.masked_fill(~scored_N, 0)
    on_cpu = logits_NV.device.type == "cpu"
    if on_cpu:
        check_tokens(safe_target_N, num_columns, "target token")

    positions_N = torch.arange(target_N.numel(), device=target_N.device)
    tokens_NU, seen_NU = list_seen_tokens(seen_BT, ignore_index, num_columns).at(positions_N)
    y_seen_N = target_is_seen(safe_target_N, tokens_NU, seen_NU)

    half = logits_NV.dtype in (torch.float16, torch.bfloat16)
    logp_NV = F.log_softmax(logits_NV, dim=-1, dtype=torch.float32 if half else None)
    # One gather for target and seen tokens: a single dense gradient comes back through it.
    picked = logp_NV.gather(1, torch.cat([safe_target_N[:, None], tokens_NU], dim=1))
    logp_y_N = torch.where(scored_N, picked[:, 0], 0.0)
    if on_cpu:
        refuse_impossible_targets(logp_y_N.detach(), target_N)
    # Counted only where eps needs it; in logp's type, since int64 * float would fall to float32.
    allowed_N = (logits_NV.detach() > -torch.inf).sum(dim=1).to(logp_NV.dtype) if eps else num_columns
    terms = row_terms(logp_y_N, picked[:, 1:], seen_NU, y_seen_N, gamma, eps, allowed_N)

    # nll_loss over the one picked column: its order of summation, hence its bits, are cross_entropy's.
    column_N = torch.zeros_like(target_N).masked_fill(~scored_N, -100)
    nll = F.nll_loss(picked[:, :1], column_N, reduction="sum", ignore_index=-100)
    loss = nll + torch.where(scored_N, terms.shift_N, 0.0).sum()
    correct_N = (logits_NV.detach().argmax(dim=1) == target_N) & scored_N
    return LossParts(loss, nll.detach(), scored_N.sum(), correct_N.sum(), (scored_N & ~y_seen_N).sum())
