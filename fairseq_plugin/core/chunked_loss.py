"""Any rule from hidden states to loss in chunks, with the gradient computed in the forward pass.

The output layer z = h W^T and the loss are one step: a chunk of positions goes through logits, softmax, loss
and dloss/dz in one reused buffer, and only dloss/dh (N x D) and dloss/dW (V x D) leave it. At 4,096 positions
and V = 50,257 the full logits and their gradient would take 1.6 GB; here 0.1 GB. The three matrix products
are those of plain cross-entropy, so are the costs; positions that are not scored are left out on the CPU.

What happens to a chunk's logits is in :mod:`fairseq_plugin.core.position_rules`, the objectives are in
the files ``core/*_rule.py``. Per position:

    m = max z;  p = softmax(z);  log p_v = z_v - m + log p_max       # p_max = 1 / sum exp(z - m)
    G = p * dense;  G[y], G[seen] = their exact values               # dloss/dz
    dloss/dh = G W;  dloss/dW += G^T h

Models that give logits take :mod:`fairseq_plugin.core.logits_loss`. Runs on CPU and CUDA; chunk sizes were
tuned on 2 Zen 5 cores, those for CUDA are unmeasured.

    >>> hidden_BTD, weight_VD = torch.zeros(1, 3, 8), torch.randn(4, 8, requires_grad=True)   # p = 1/4
    >>> parts, _ = loss_from_hidden(hidden_BTD, OutputLayer(weight_VD), torch.tensor([[2, 2, 3]]),
    ...                             rule=ScaleGradRule(gamma=0.5), ignore_index=-100)
    >>> parts.loss          # ln 4  +  ln 2.5 (seen: 1/4 of 5/8)  +  ln 5 (novel: 1/8 of 5/8)
    tensor(3.9120, grad_fn=...)

Legend: B batch, T time, D width, V symbols and padding of the output layer, N positions, C positions of a
chunk, v its symbols.
"""

from dataclasses import dataclass
from typing import Any

import torch

from fairseq_plugin.core.allowed_symbols import AllowedSymbols
from fairseq_plugin.core.cpu_products import fast_fp32_products
from fairseq_plugin.core.loss_results import (
    Results,
    block_size_cpu,
    collect,
    scored_positions,
    sum_blocks,
    times,
)
from fairseq_plugin.core.position_rules import (
    BlockResult,
    LossParts,
    Predictions,
    Rule,
    Scored,
    block_to_gradient,
    refuse_targets_outside,
)
from fairseq_plugin.core.seen_tokens import check_tokens
from fairseq_plugin.core.symbol_spans import Span, spans

# Positions of one product. Larger chunks read and write dW less often, smaller ones hold less.
CHUNK_SIZE_CPU = 512
CHUNK_SIZE_CPU_HALF = 1024  # half-precision products are 4 times faster, so dW's traffic weighs more
CHUNK_SIZE_CUDA = 4096
# Symbols of one product for dloss/dW in half precision: 8,192 x 768 of them are 13 MB.
SLICE_SYMBOLS = 8192


@dataclass(frozen=True)
class OutputLayer:
    """What makes logits of hidden states: ``hidden @ weight_VD.T``.

    Args:
        weight_VD: differentiable; entries from ``num_symbols`` on are padding.
        num_symbols: 1 .. V, size of the vocabulary; default V.
        banned: int64 ``(K,)``, symbols without probability besides the padding, each once; default none.
        product_dtype: type of the matrix products; default: autocast's where autocast is on, else the lower
            precision of hidden and weight.
    """

    weight_VD: torch.Tensor
    num_symbols: int | None = None
    banned: torch.Tensor | None = None
    product_dtype: torch.dtype | None = None


def loss_from_hidden(
    hidden_BTD: torch.Tensor,
    layer: OutputLayer,
    target_BT: torch.Tensor,
    seen_BT: torch.Tensor | None = None,
    *,
    rule: Rule,
    ignore_index: int,
    allowed: AllowedSymbols | None = None,
    chunk_size: int | None = None,
    want_predictions: bool = False,
) -> tuple[LossParts, Predictions | None]:
    """A rule's loss of ``hidden_BTD @ layer.weight_VD.T``, summed over the scored positions.

    The value equals :func:`fairseq_plugin.core.logits_loss.loss_from_logits` on the logits up to rounding,
    for any ``chunk_size``. Gradients are computed now, and only for those of hidden and weight that require
    one; under ``torch.no_grad`` there is no gradient work. The arithmetic on logits and the sum of dloss/dW
    run in float32 (float64 for float64) whatever the products' type. Differentiable once.

    Args:
        hidden_BTD: ``(B, T, D)``.
        layer: the output layer.
        target_BT: int64 ``(B, T)``; ``ignore_index`` = not scored.
        seen_BT: int64 ``(B, T)``, the token that becomes seen after its position; default ``target_BT``.
        rule: the objective.
        ignore_index: usually the padding index.
        allowed: the symbols over which each position's softmax is taken; default all.
        chunk_size: positions per product; default by device and type. V logits of so many are held.
        want_predictions: also give the most probable token and the target's rank at every position.

    Returns:
        ``(parts, predictions)``: all tensors, without a synchronisation with the host on CUDA; predictions
        are None unless wanted.

    Raises:
        ValueError: num_symbols or chunk_size out of range, shapes that do not agree; on the CPU also a token
            outside the vocabulary or a target with probability 0 (on CUDA its gradient is NaN).
    """
    weight_VD = layer.weight_VD
    num_symbols = weight_VD.size(0) if layer.num_symbols is None else layer.num_symbols
    _check_inputs(hidden_BTD, weight_VD, target_BT, ignore_index, num_symbols, chunk_size)
    product_dtype = layer.product_dtype or _product_dtype(hidden_BTD, weight_VD)
    scored = scored_positions(target_BT, seen_BT, ignore_index, num_symbols, allowed)
    job = _Job(
        scored=scored,
        rule=rule.for_batch(scored),
        num_symbols=num_symbols,
        banned=layer.banned,
        chunk_size=chunk_size or _default_chunk_size(hidden_BTD.device.type, product_dtype),
        product_dtype=product_dtype,
        want_hidden=torch.is_grad_enabled() and hidden_BTD.requires_grad,
        want_weight=torch.is_grad_enabled() and weight_VD.requires_grad,
        want_predictions=want_predictions,
    )
    results = ChunkedLoss.apply(hidden_BTD, weight_VD, job)
    return collect(results, job.scored, target_BT, ignore_index)


@dataclass(frozen=True)
class _Job:
    """Everything but the two differentiable inputs; see :func:`loss_from_hidden`.

    ``want_hidden`` and ``want_weight``: whether that input's gradient is to be computed.
    """

    scored: Scored
    rule: Rule
    num_symbols: int
    banned: torch.Tensor | None
    chunk_size: int
    product_dtype: torch.dtype
    want_hidden: bool
    want_weight: bool
    want_predictions: bool

    @property
    def math_dtype(self) -> torch.dtype:
        return torch.float64 if self.product_dtype == torch.float64 else torch.float32

    @property
    def num_allowed(self) -> int:
        """Symbols that have a probability."""
        return self.num_symbols - (0 if self.banned is None else self.banned.numel())


def _check_inputs(
    hidden_BTD: torch.Tensor,
    weight_VD: torch.Tensor,
    target_BT: torch.Tensor,
    ignore_index: int,
    num_symbols: int,
    chunk_size: int | None,
) -> None:
    if hidden_BTD.dim() != 3 or hidden_BTD.shape[:-1] != target_BT.shape:
        raise ValueError(f"hidden {tuple(hidden_BTD.shape)} does not fit target {tuple(target_BT.shape)}")
    if weight_VD.dim() != 2 or weight_VD.size(1) != hidden_BTD.size(-1):
        raise ValueError(f"weight {tuple(weight_VD.shape)} does not fit hidden {tuple(hidden_BTD.shape)}")
    if not 1 <= num_symbols <= weight_VD.size(0):
        raise ValueError(f"num_symbols {num_symbols}: must be in 1 .. {weight_VD.size(0)}, the weight's")
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size {chunk_size}: must be at least 1")
    if target_BT.device.type == "cpu":
        check_tokens(target_BT[target_BT != ignore_index], num_symbols, "target token")


def _product_dtype(hidden: torch.Tensor, weight: torch.Tensor) -> torch.dtype:
    device_type = hidden.device.type
    if torch.is_autocast_enabled(device_type) and hidden.dtype != torch.float64:
        return torch.get_autocast_dtype(device_type)
    return min(hidden.dtype, weight.dtype, key=lambda dtype: dtype.itemsize)


def _default_chunk_size(device_type: str, product_dtype: torch.dtype) -> int:
    if device_type != "cpu":
        return CHUNK_SIZE_CUDA
    return CHUNK_SIZE_CPU_HALF if product_dtype.itemsize < 4 else CHUNK_SIZE_CPU


class ChunkedLoss(torch.autograd.Function):
    """(hidden, weight) -> what :func:`collect` takes; the gradients wait in the context."""

    @staticmethod
    def forward(ctx: Any, hidden_BTD: torch.Tensor, weight_VD: torch.Tensor, job: _Job) -> Results:
        device_type = hidden_BTD.device.type
        with torch.autocast(device_type, enabled=False), fast_fp32_products(device_type):
            results, d_hidden_BTD, d_weight_VD = _run_chunks(hidden_BTD, weight_VD, job)
        ctx.save_for_backward(d_hidden_BTD, d_weight_VD)
        ctx.mark_non_differentiable(*(result for result in results[1:] if result is not None))
        return results

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_loss: torch.Tensor, *_: object) -> tuple[torch.Tensor | None, ...]:
        d_hidden, d_weight = (d if d is None else times(d, d_loss) for d in ctx.saved_tensors)
        return d_hidden, d_weight, None


def _run_chunks(
    hidden_BTD: torch.Tensor, weight_VD: torch.Tensor, job: _Job
) -> tuple[Results, torch.Tensor | None, torch.Tensor | None]:
    """All chunks in turn: what :func:`collect` takes, and the gradients of hidden and weight where wanted."""
    hidden_ND = hidden_BTD.reshape(-1, hidden_BTD.size(-1))
    weight_product_VD = weight_VD.to(job.product_dtype)
    positions_N = job.scored.positions()
    allowed = None if job.rule.needs_order else job.scored.allowed
    chunks = [
        chunk for span in spans(positions_N, allowed, len(weight_VD)) for chunk in span.chunks(job.chunk_size)
    ]
    buffer = weight_product_VD.new_empty(max((chunk.num_logits for chunk in chunks), default=0))
    d_hidden_ND = torch.zeros_like(hidden_ND) if job.want_hidden else None
    d_weight = _WeightGradient(weight_VD, job) if job.want_weight else None

    blocks = []
    for chunk in chunks:
        positions_C = chunk.positions_C
        whole = positions_C.numel() == hidden_ND.size(0)  # one chunk, in order: spares a copy
        hidden_CD = (hidden_ND if whole else hidden_ND[positions_C]).to(job.product_dtype)
        weight_vD = weight_product_VD[chunk.low : chunk.high]
        logits_Cv = buffer[: chunk.num_logits].view(-1, chunk.width)
        torch.mm(hidden_CD, weight_vD.t(), out=logits_Cv)
        blocks.extend(_chunk_to_gradient(logits_Cv, chunk, job))
        if d_hidden_ND is not None:
            # W^T G^T rather than G W: the faster orientation in both CPU libraries.
            d_hidden_DC = torch.mm(weight_vD.t(), logits_Cv.t())
            d_hidden_ND.index_copy_(0, positions_C, d_hidden_DC.t().to(d_hidden_ND.dtype))
        if d_weight is not None:
            d_weight.add(logits_Cv, hidden_CD, chunk)
    visited_N = torch.cat([chunk.positions_C for chunk in chunks]) if chunks else positions_N
    results = sum_blocks(blocks, visited_N, job.scored, job.math_dtype, job.want_predictions)
    d_hidden_BTD = None if d_hidden_ND is None else d_hidden_ND.view_as(hidden_BTD)
    return results, d_hidden_BTD, None if d_weight is None else d_weight.result()


class _WeightGradient:
    """Sum of G^T h over the chunks, in float32 or float64; a first one of all symbols is written."""

    def __init__(self, weight_VD: torch.Tensor, job: _Job) -> None:
        self.dtype = weight_VD.dtype
        self.product_dtype = job.product_dtype
        self.sum_VD = torch.empty_like(weight_VD, dtype=job.math_dtype, memory_format=torch.contiguous_format)
        self.empty = True

    def add(self, gradient_Cv: torch.Tensor, hidden_CD: torch.Tensor, chunk: Span) -> None:
        if self.empty and not chunk.is_all:
            self.sum_VD.zero_()
            self.empty = False
        sum_vD = self.sum_VD[chunk.low : chunk.high]
        if self.product_dtype != self.sum_VD.dtype:
            self._add_half(sum_vD, gradient_Cv, hidden_CD)
        elif self.empty:
            torch.mm(gradient_Cv.t(), hidden_CD, out=sum_vD)
        else:
            sum_vD.addmm_(gradient_Cv.t(), hidden_CD)
        self.empty = False

    def _add_half(self, sum_VD: torch.Tensor, gradient_CV: torch.Tensor, hidden_CD: torch.Tensor) -> None:
        # A slice of the vocabulary at a time, so that the half-precision product is widened in the cache.
        slices = zip(sum_VD.split(SLICE_SYMBOLS), gradient_CV.split(SLICE_SYMBOLS, dim=1))
        for sum_vD, gradient_Cv in slices:
            part_vD = torch.mm(gradient_Cv.t(), hidden_CD)
            sum_vD.copy_(part_vD) if self.empty else sum_vD.add_(part_vD)

    def result(self) -> torch.Tensor:
        return (self.sum_VD.zero_() if self.empty else self.sum_VD).to(self.dtype)


def _chunk_to_gradient(logits_Cv: torch.Tensor, chunk: Span, job: _Job) -> list[BlockResult]:
    """Replace a chunk of logits by dloss/dlogits, in place, in blocks that stay in the cache."""
    on_cpu = logits_Cv.device.type == "cpu"
    block_size = block_size_cpu(chunk.width) if on_cpu else logits_Cv.size(0)
    want_gradient = job.want_hidden or job.want_weight
    scored = job.scored if chunk.is_all else job.scored.within(chunk.low, chunk.high)
    if not chunk.is_all:
        refuse_targets_outside(job.scored.target_N[chunk.positions_C], chunk.low, chunk.high)
    banned = None if job.banned is None else chunk.local(job.banned)
    blocks = []
    for logits, positions in zip(logits_Cv.split(block_size), chunk.positions_C.split(block_size)):
        z_Cv = logits.to(job.math_dtype)  # the same memory unless the type differs
        z_Cv[:, max(job.num_symbols - chunk.low, 0) :] = -torch.inf
        if banned is not None:
            z_Cv.index_fill_(1, banned, -torch.inf)
        block = block_to_gradient(
            z_Cv, positions, scored, job.rule, job.num_allowed, want_gradient, job.want_predictions
        )
        if block.predicted_C is not None:
            block = block._replace(predicted_C=block.predicted_C + chunk.low)
        blocks.append(block)
        if z_Cv is not logits and want_gradient:
            logits.copy_(z_Cv)
    return blocks
