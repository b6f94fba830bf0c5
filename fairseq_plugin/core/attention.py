"""The three ways in which our GPT-2 attends: in training, in a full pass, and over a cache.

Legend: B batch, H heads, T new tokens, K width of a head, A positions of a cache attended to, N = B x H.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F

from fairseq_plugin.core.cpu_products import fast_fp32_products
from fairseq_plugin.core.dropout import draw_keep

# Longer prompts attend to a cache in pieces: the scores of no more than this many tokens at once.
_QUERIES_AT_ONCE = 128


def causal_attention(
    q_BHTK: torch.Tensor,
    k_BHTK: torch.Tensor,
    v_BHTK: torch.Tensor,
    dropout: float = 0.0,
    masked_BT: torch.Tensor | None = None,
) -> torch.Tensor:
    """softmax(q k^T / sqrt(K), over the past and present) v, with dropout on the probabilities.

    ``scaled_dot_product_attention``, but for dropout on the CPU: there torch has no fused kernel for it, and
    the plain steps written out here take a third (bf16) to a half (fp32) of its time at T = 300.

    Args:
        q_BHTK, k_BHTK, v_BHTK: queries, keys, values, of one dtype.
        dropout: probability in [0, 1).
        masked_BT: bool, positions that no later one attends to; each still attends to itself.

    Returns:
        ``(B, H, T, K)``.
    """
    visible_B1TT = None if masked_BT is None else _visible(masked_BT)
    on_cpu = q_BHTK.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    if dropout == 0 or not on_cpu or torch.compiler.is_compiling():
        return F.scaled_dot_product_attention(
            q_BHTK, k_BHTK, v_BHTK, visible_B1TT, dropout_p=dropout, is_causal=visible_B1TT is None
        )
    return _DropoutAttention.apply(q_BHTK, k_BHTK, v_BHTK, dropout, visible_B1TT)


def _visible(masked_BT: torch.Tensor) -> torch.Tensor:
    """Which positions (last) each position (last but one) attends to: bool ``(B, 1, T, T)``."""
    time = masked_BT.shape[1]
    itself_TT = torch.eye(time, dtype=torch.bool, device=masked_BT.device)
    return (~masked_BT[:, None, None] | itself_TT).tril()


class _DropoutAttention(torch.autograd.Function):
    """P = softmax(q k^T / sqrt(K) + causal mask);  y = (P * keep) v * scale."""

    @staticmethod
    def forward(
        ctx: Any,
        q_BHTK: torch.Tensor,
        k_BHTK: torch.Tensor,
        v_BHTK: torch.Tensor,
        dropout: float,
        visible_B1TT: torch.Tensor | None,
    ) -> torch.Tensor:
        time, width = q_BHTK.shape[-2:]
        q_NTK = q_BHTK.reshape(-1, time, width) * width**-0.5
        k_NTK, v_NTK = k_BHTK.reshape(-1, time, width), v_BHTK.reshape(-1, time, width)
        with fast_fp32_products():
            scores_NTT = torch.bmm(q_NTK, k_NTK.transpose(1, 2))
            if visible_B1TT is None:
                scores_NTT += torch.full((time, time), -math.inf, dtype=scores_NTT.dtype).triu_(1)
            else:
                scores_NTT.view(*q_BHTK.shape[:3], time).masked_fill_(~visible_B1TT, -math.inf)
            p_NTT = torch.softmax(scores_NTT, dim=-1, out=scores_NTT)
            keep_NTT, ctx.scale = draw_keep(p_NTT.shape, dropout)
            y_NTK = torch.bmm(p_NTT * keep_NTT, v_NTK)
        ctx.save_for_backward(q_NTK, k_NTK, v_NTK, p_NTT, keep_NTT)
        return y_NTK.mul_(ctx.scale).view(q_BHTK.shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy_BHTK: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q_NTK, k_NTK, v_NTK, p_NTT, keep_NTT = ctx.saved_tensors
        dy_NTK = dy_BHTK.reshape(q_NTK.shape) * ctx.scale
        with fast_fp32_products():
            thinned_NTT = p_NTT * keep_NTT
            dv_NTK = torch.bmm(thinned_NTT.transpose(1, 2), dy_NTK)
            dp_NTT = torch.bmm(dy_NTK, v_NTK.transpose(1, 2)).mul_(keep_NTT)
            # Into a spent buffer: fresh memory of this size costs as much as the arithmetic.
            dscores_NTT = torch.ops.aten._softmax_backward_data.out(
                dp_NTT, p_NTT, -1, p_NTT.dtype, grad_input=thinned_NTT
            )
            dq_NTK = torch.bmm(dscores_NTT, k_NTK).mul_(q_NTK.shape[-1] ** -0.5)
            dk_NTK = torch.bmm(dscores_NTT.transpose(1, 2), q_NTK)
        return *(d.view(dy_BHTK.shape) for d in (dq_NTK, dk_NTK, dv_NTK)), None, None


def cached_attention(
    q_BHTK: torch.Tensor, k_BHAK: torch.Tensor, v_BHAK: torch.Tensor, mask_B1TA: torch.Tensor
) -> torch.Tensor:
    """Attention over a cache.

    On a CPU it is written out: for a single new token this is faster than the fused kernel, and, with the
    positions in whole blocks, a text's bits do not depend on the other texts (the fused kernel's do, with
    more than one thread).

    Args:
        q_BHTK, k_BHAK, v_BHAK: queries, keys, values, of one dtype.
        mask_B1TA: 0 or -inf, added to the scores.

    Returns:
        ``(B, H, T, K)``.
    """
    if q_BHTK.device.type != "cpu":
        return F.scaled_dot_product_attention(q_BHTK, k_BHAK, v_BHAK, attn_mask=mask_B1TA)
    k_BHKA = k_BHAK.transpose(2, 3)
    scale = q_BHTK.shape[-1] ** -0.5
    parts = (tensor.split(_QUERIES_AT_ONCE, dim=2) for tensor in (q_BHTK, mask_B1TA))
    pieces = []
    for q, mask in zip(*parts, strict=True):
        scores = torch.matmul(q * scale, k_BHKA).add_(mask)
        weights = torch.softmax(scores, dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))
        pieces.append(torch.matmul(weights.to(v_BHAK.dtype), v_BHAK))
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=2)
