"""Any row rule from hidden states to loss in chunks, with the gradient computed in the forward pass.

The output layer z = h W^T and the loss are one step: a chunk of positions goes through logits, softmax, loss
and dloss/dz in one reused buffer, and only dloss/dh (N x D) and dloss/dW (V x D) leave it. At 4,096 positions
and V = 50,257 the full logits and their gradient would take 1.6 GB; here 0.1 GB. The three matrix products
are those of plain cross-entropy, so are the costs; positions that are not scored are left out on the CPU.

What happens to a chunk's logits is in :mod:`fairseq_plugin.core.position_rules`, the objectives are in
:mod:`fairseq_plugin.core.scale_grad_rule` and :mod:`fairseq_plugin.core.unlikelihood_rule`. Per position:

    m = max z;  p = softmax(z);  log p_v = z_v - m + log p_max       # p_max = 1 / sum exp(z - m)
    G = p * dense;  G[y], G[seen] = their exact values               # dloss/dz
    dloss/dh = G W;  dloss/dW += G^T h

Models that give logits take :mod:`fairseq_plugin.core.logits_loss`. Runs on CPU and CUDA; chunk sizes were
tuned on 2 Zen 5 cores, those for CUDA are unmeasured.

Legend: B batch, T time, D width, V rows of the output weight, N positions, C positions of a chunk.
"""

from dataclasses import dataclass

import torch

from fairseq_plugin.core.cpu_products import fast_fp32_products
from fairseq_plugin.core.position_rules import BlockResult, LossParts, Predictions, Scored, block_to_gradient
from fairseq_plugin.core.seen_tokens import check_tokens, list_seen_tokens

# Positions of one product. Larger chunks read and write dW less often, smaller ones hold less.
CHUNK_ROWS_CPU = 512
CHUNK_ROWS_CPU_HALF = 1024  # half-precision products are 4 times faster, so dW's traffic weighs more
CHUNK_ROWS_CUDA = 4096
# Positions of one softmax on the CPU: 32 x 50,304 float32 logits are 6 MB and stay in the cache.
BLOCK_ROWS_CPU = 32
# Columns of one product for dloss/dW in half precision: 8,192 x 768 of them are 13 MB.
SLICE_COLUMNS = 8192


def loss_from_hidden(
    hidden_BTD,
    weight_VD,
    target_BT,
    seen_BT=None,
    *,
    rule,
    ignore_index,
    num_columns=None,
    banned=None,
    chunk_rows=None,
    product_dtype=None,
    want_predictions=False,
):
    """A rule's loss of ``hidden_BTD @ weight_VD.T``, summed over the scored positions.

    The value equals :func:`fairseq_plugin.core.logits_loss.loss_from_logits` on the logits up to rounding,
    for any ``chunk_rows``. Gradients are computed now, and only for those of hidden and weight that require
    one; under ``torch.no_grad`` there is no gradient work. The arithmetic on logits and the sum of dloss/dW
    run in float32 (float64 for float64) whatever the products' type. Differentiable once.

    Args:
        hidden_BTD: ``(B, T, D)``.
        weight_VD: ``(V, D)``, the output layer; rows from ``num_columns`` on are padding.
        target_BT: int64 ``(B, T)``; ``ignore_index`` = not scored.
        seen_BT: int64 ``(B, T)``, the token that becomes seen after its position; default ``target_BT``.
        rule: a :class:`~fairseq_plugin.core.position_rules.Rule`.
        ignore_index: usually the padding index.
        num_columns: 1 .. V, the vocabulary; default V.
        banned: int64 ``(K,)``, columns without probability besides the padding, each once; default none.
        chunk_rows: positions per product; default by device and type. So many rows of V logits are held.
        product_dtype: type of the matrix products; default: autocast's where autocast is on, else the lower
            precision of hidden and weight.
        want_predictions: also give the most probable token and the target's rank at every position.

    Returns:
        ``(parts, predictions)``: :class:`~fairseq_plugin.core.position_rules.LossParts`, all tensors, without a
        synchronisation with the host on CUDA; :class:`~fairseq_plugin.core.position_rules.Predictions` or None.

    Raises:
        ValueError: num_columns or chunk_rows out of range, shapes that do not agree; on the CPU also a token
            outside the vocabulary or a target with probability 0 (on CUDA its gradient is NaN).
    """
    num_columns = weight_VD.size(0) if num_columns is None else num_columns
    _check_inputs(hidden_BTD, weight_VD, target_BT, ignore_index, num_columns, chunk_rows)
    product_dtype = product_dtype or _product_dtype(hidden_BTD, weight_VD)
    job = _Job(
        scored=scored_positions(target_BT, seen_BT, ignore_index, num_columns),
        rule=rule,
        num_columns=num_columns,
        banned=banned,
        chunk_rows=chunk_rows or _default_chunk_rows(hidden_BTD.device.type, product_dtype),
        product_dtype=product_dtype,
        want_hidden=torch.is_grad_enabled() and hidden_BTD.requires_grad,
        want_weight=torch.is_grad_enabled() and weight_VD.requires_grad,
        want_predictions=want_predictions,
    )
    results = ChunkedLoss.apply(hidden_BTD, weight_VD, job)
    return collect(results, job.scored, target_BT, ignore_index)


def scored_positions(target_BT, seen_BT, ignore_index, num_columns):
    """The :class:`~fairseq_plugin.core.position_rules.Scored` of a batch; ``seen_BT`` as above."""
    seen = list_seen_tokens(target_BT if seen_BT is None else seen_BT, ignore_index, num_columns)
    return Scored(target_BT.reshape(-1), (target_BT != ignore_index).reshape(-1), seen)


def collect(results, scored, target_BT, ignore_index):
    """``(loss, nll, num_correct, num_novel, predicted_N, rank_N)`` as ``(parts, predictions)``."""
    loss, nll, num_correct, num_novel, predicted_N, rank_N = results
    parts = LossParts(loss, nll, scored.scored_N.sum(), num_correct, num_novel)
    if predicted_N is None:
        return parts, None
    predicted_N = torch.where(scored.scored_N, predicted_N, ignore_index)
    rank_N = torch.where(scored.scored_N, rank_N, 0)
    return parts, Predictions(predicted_N.view_as(target_BT), rank_N.view_as(target_BT))


@dataclass(frozen=True)
class _Job:
    """Everything but the two differentiable inputs; see :func:`loss_from_hidden`.

    ``want_hidden`` and ``want_weight``: whether that input's gradient is to be computed.
    """

    scored: Scored
    rule: object
    num_columns: int
    banned: torch.Tensor | None
    chunk_rows: int
    product_dtype: torch.dtype
    want_hidden: bool
    want_weight: bool
    want_predictions: bool

    @property
    def math_dtype(self):
        return torch.float64 if self.product_dtype == torch.float64 else torch.float32

    @property
    def num_allowed(self):
        """Columns that have a probability."""
        return self.num_columns - (0 if self.banned is None else self.banned.numel())


def _check_inputs(hidden_BTD, weight_VD, target_BT, ignore_index, num_columns, chunk_rows):
    if hidden_BTD.dim() != 3 or hidden_BTD.shape[:-1] != target_BT.shape:
        raise ValueError(f"hidden {tuple(hidden_BTD.shape)} does not fit target {tuple(target_BT.shape)}")
    if weight_VD.dim() != 2 or weight_VD.size(1) != hidden_BTD.size(-1):
        raise ValueError(f"weight {tuple(weight_VD.shape)} does not fit hidden {tuple(hidden_BTD.shape)}")
    if not 1 <= num_columns <= weight_VD.size(0):
        raise ValueError(f"num_columns {num_columns}: must be in 1 .. {weight_VD.size(0)}, the weight's rows")
    if chunk_rows is not None and chunk_rows < 1:
        raise ValueError(f"chunk_rows {chunk_rows}: must be at least 1")
    if target_BT.device.type == "cpu":
        check_tokens(target_BT[target_BT != ignore_index], num_columns, "target token")


def _product_dtype(hidden, weight):
    device_type = hidden.device.type
    if torch.is_autocast_enabled(device_type) and hidden.dtype != torch.float64:
        return torch.get_autocast_dtype(device_type)
    return min(hidden.dtype, weight.dtype, key=lambda dtype: dtype.itemsize)


def _default_chunk_rows(device_type, product_dtype):
    if device_type != "cpu":
        return CHUNK_ROWS_CUDA
    return CHUNK_ROWS_CPU_HALF if product_dtype.itemsize < 4 else CHUNK_ROWS_CPU


class ChunkedLoss(torch.autograd.Function):
    """(hidden, weight) -> what :func:`collect` takes; the gradients wait in the context."""

    @staticmethod
    def forward(ctx, hidden_BTD, weight_VD, job):
        device_type = hidden_BTD.device.type
        with torch.autocast(device_type, enabled=False), fast_fp32_products(device_type):
            results, d_hidden_BTD, d_weight_VD = _run_chunks(hidden_BTD, weight_VD, job)
        ctx.save_for_backward(d_hidden_BTD, d_weight_VD)
        ctx.mark_non_differentiable(*(result for result in results[1:] if result is not None))
        return results

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_loss, *_):
        return *(times(gradient, d_loss) for gradient in ctx.saved_tensors), None


def times(gradient, d_loss):
    """A stored gradient times what comes from above.

    Reading d_loss costs nothing on the CPU and saves a pass over dW in the usual case of 1. On CUDA it would
    make the host wait, so there the product is always taken (out of place: the graph may be kept).
    """
    if gradient is None or (d_loss.device.type == "cpu" and d_loss.item() == 1.0):
        return gradient
    return gradient * d_loss.to(gradient.dtype)


def _run_chunks(hidden_BTD, weight_VD, job):
    """All chunks in turn.

    Returns:
        What :func:`collect` takes, the gradient of hidden or None, the gradient of weight or None.
    """
    hidden_ND = hidden_BTD.reshape(-1, hidden_BTD.size(-1))
    weight_product_VD = weight_VD.to(job.product_dtype)
    positions_N = job.scored.positions()
    num_chunks = -(-positions_N.numel() // job.chunk_rows)
    num_rows = -(-positions_N.numel() // max(num_chunks, 1))  # chunks of one size
    logits_CV = weight_product_VD.new_empty(num_rows, weight_VD.size(0))
    d_hidden_ND = torch.zeros_like(hidden_ND) if job.want_hidden else None
    d_weight = _WeightGradient(weight_VD, job) if job.want_weight else None

    blocks = []
    for positions_C in positions_N.split(num_rows) if num_chunks else ():
        whole = positions_C.numel() == hidden_ND.size(0)  # spares a copy in the common case
        hidden_CD = (hidden_ND if whole else hidden_ND[positions_C]).to(job.product_dtype)
        chunk_CV = logits_CV[: positions_C.numel()]
        torch.mm(hidden_CD, weight_product_VD.t(), out=chunk_CV)
        blocks.extend(_chunk_to_gradient(chunk_CV, positions_C, job))
        if d_hidden_ND is not None:
            # W^T G^T rather than G W: the faster orientation in both CPU libraries.
            d_hidden_DC = torch.mm(weight_product_VD.t(), chunk_CV.t())
            d_hidden_ND.index_copy_(0, positions_C, d_hidden_DC.t().to(d_hidden_ND.dtype))
        if d_weight is not None:
            d_weight.add(chunk_CV, hidden_CD)
    results = sum_blocks(blocks, positions_N, job.scored, job.math_dtype, job.want_predictions)
    d_hidden_BTD = d_hidden_ND.view_as(hidden_BTD) if job.want_hidden else None
    return results, d_hidden_BTD, d_weight.result() if job.want_weight else None


def sum_blocks(blocks, positions_N, scored, dtype, want_predictions):
    """Blocks' results in one: ``(loss, nll, num_correct, num_novel, predicted_N, rank_N)``.

    The last two are None unless wanted, and have no meaning at positions that were not visited.
    """
    if not blocks:
        zero, none = positions_N.new_zeros((), dtype=dtype), positions_N.new_zeros(())
        sums = (zero, zero.clone(), none, none.clone())
        predictions = (torch.zeros_like(scored.target_N), torch.zeros_like(scored.target_N))
        return sums + (predictions if want_predictions else (None, None))
    all_N = BlockResult(*(torch.cat(parts) if parts[0] is not None else None for parts in zip(*blocks)))
    sums = tuple(part.sum() for part in all_N[:4])
    if not want_predictions:
        return (*sums, None, None)
    everywhere = [torch.zeros_like(scored.target_N) for _ in range(2)]
    for whole_N, visited_N in zip(everywhere, all_N[4:]):
        whole_N.index_copy_(0, positions_N, visited_N)
    return (*sums, *everywhere)


class _WeightGradient:
    """Sum of G^T h over the chunks, in float32 or float64, first chunk written and not added."""

    def __init__(self, weight_VD, job):
        self.dtype = weight_VD.dtype
        self.product_dtype = job.product_dtype
        self.sum_VD = torch.empty_like(weight_VD, dtype=job.math_dtype, memory_format=torch.contiguous_format)
        self.empty = True

    def add(self, gradient_CV, hidden_CD):
        if self.product_dtype != self.sum_VD.dtype:
            self._add_half(gradient_CV, hidden_CD)
        elif self.empty:
            torch.mm(gradient_CV.t(), hidden_CD, out=self.sum_VD)
        else:
            self.sum_VD.addmm_(gradient_CV.t(), hidden_CD)
        self.empty = False

    def _add_half(self, gradient_CV, hidden_CD):
        # A slice of the vocabulary at a time, so that the half-precision product is widened in the cache.
        slices = zip(self.sum_VD.split(SLICE_COLUMNS), gradient_CV.split(SLICE_COLUMNS, dim=1))
        for sum_vD, gradient_Cv in slices:
            part_vD = torch.mm(gradient_Cv.t(), hidden_CD)
            sum_vD.copy_(part_vD) if self.empty else sum_vD.add_(part_vD)

    def result(self):
        return (self.sum_VD.zero_() if self.empty else self.sum_VD).to(self.dtype)


def _chunk_to_gradient(logits_CV, positions_C, job):
    """Replace a chunk of logits by dloss/dlogits, in place, in blocks that stay in the cache.

    Returns:
        A list of :class:`~fairseq_plugin.core.position_rules.BlockResult`.
    """
    block_rows = BLOCK_ROWS_CPU if logits_CV.device.type == "cpu" else logits_CV.size(0)
    want_gradient = job.want_hidden or job.want_weight
    blocks = []
    for logits, positions in zip(logits_CV.split(block_rows), positions_C.split(block_rows)):
        z_CV = logits.to(job.math_dtype)  # the same memory unless the type differs
        z_CV[:, job.num_columns :] = -torch.inf
        if job.banned is not None:
            z_CV.index_fill_(1, job.banned, -torch.inf)
        blocks.append(
            block_to_gradient(
                z_CV, positions, job.scored, job.rule, job.num_allowed, want_gradient, job.want_predictions
            )
        )
        if z_CV is not logits and want_gradient:
            logits.copy_(z_CV)
    return blocks
