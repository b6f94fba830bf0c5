"""Exact ScaleGrad for any batch of logits, and fused with the output layer so that B x T x V is never held.

The formulas are in :mod:`fairseq_plugin.core.scale_grad_rule`. Semantics, as published:

- the seen set of a row starts empty and holds the earlier *targets* of that row, without a limit of distance,
  each once; the very first input token never counts unless it is in ``seen_BT``;
- gamma = 1 is maximum likelihood: loss and gradient are bit-equal to ``torch.nn.functional.cross_entropy``;
- at inference nothing changes: plain softmax.

Beyond the published code: any batch (padding is neither scored nor seen, rows never leak into each other, a
batch of nothing but padding gives 0 with a graph), exact normalisation (``eps`` only as a parity switch),
half precision.

Legend: B batch, T time, V vocabulary.

    >>> logits_BTV = torch.zeros(1, 3, 4, requires_grad=True)   # p = 1/4 everywhere
    >>> parts = scale_grad_loss(logits_BTV, torch.tensor([[2, 2, 3]]), gamma=0.5, ignore_index=-100)
    >>> parts.loss          # ln 4  +  ln 2.5 (seen: 1/4 of 5/8)  +  ln 5 (novel: 1/8 of 5/8)
    tensor(3.9120, grad_fn=...)
"""

from fairseq_plugin.core.chunked_loss import loss_from_hidden
from fairseq_plugin.core.logits_loss import loss_from_logits
from fairseq_plugin.core.position_rules import LossParts
from fairseq_plugin.core.scale_grad_rule import ScaleGradRule

__all__ = ["LossParts", "ScaleGradRule", "fused_scale_grad_loss", "scale_grad_loss"]


def scale_grad_loss(logits_BTV, target_BT, seen_BT=None, *, gamma, ignore_index, eps=0.0):
    """ScaleGrad loss from logits, summed over the scored positions.

    Args:
        logits_BTV, target_BT, seen_BT, ignore_index: see
            :func:`fairseq_plugin.core.logits_loss.loss_from_logits`.
        gamma: in (0, 1]; weight of novel tokens.
        eps: 0 = exact; 1e-8 = what the published code computes.

    Returns:
        :class:`LossParts`.

    Raises:
        ValueError: gamma or eps out of range, and what ``loss_from_logits`` refuses.
    """
    rule = ScaleGradRule(gamma, eps)
    return loss_from_logits(logits_BTV, target_BT, seen_BT, rule=rule, ignore_index=ignore_index)[0]


def fused_scale_grad_loss(hidden_BTD, weight_VD, target_BT, seen_BT=None, *, gamma, eps=0.0, **options):
    """ScaleGrad loss of ``hidden_BTD @ weight_VD.T``, summed over the scored positions.

    Args:
        hidden_BTD, weight_VD, target_BT, seen_BT, options: see
            :func:`fairseq_plugin.core.chunked_loss.loss_from_hidden`; ``ignore_index`` is required.
        gamma, eps: see :func:`scale_grad_loss`.

    Returns:
        :class:`LossParts`.

    Raises:
        ValueError: gamma or eps out of range, and what ``loss_from_hidden`` refuses.
    """
    rule = ScaleGradRule(gamma, eps)
    return loss_from_hidden(hidden_BTD, weight_VD, target_BT, seen_BT, rule=rule, **options)[0]
