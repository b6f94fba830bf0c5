"""Unlikelihood training for any batch: from logits, and fused with the output layer.

The formulas, their bounds and the paper are in :mod:`fairseq_plugin.core.unlikelihood_rule`.

- Token level: maximum likelihood plus ``alpha`` times the unlikelihood of the earlier targets of the same
  row, each once, the target itself excepted. alpha = 0 is maximum likelihood: bit-equal to cross-entropy.
- Sequence level: on a text that the model continued itself, ``-log(1 - p)`` of every token that belongs to an
  n-gram the continuation already held (:mod:`fairseq_plugin.core.repeated_ngrams`), and nothing else.

Padding is neither scored nor a candidate, rows never leak into each other, a batch of nothing but padding
gives 0 with a graph.

Legend: B batch, T time, V vocabulary, D width.

    >>> logits_BTV = torch.zeros(1, 3, 4, requires_grad=True)   # p = 1/4 everywhere
    >>> parts = unlikelihood_loss(logits_BTV, torch.tensor([[2, 2, 3]]), alpha=1.0, ignore_index=-100)
    >>> parts.loss          # 3 ln 4 and, at the last position, - ln(3/4) for token 2
    tensor(4.4466, grad_fn=...)
"""

import torch

from fairseq_plugin.core.chunked_loss import loss_from_hidden
from fairseq_plugin.core.logits_loss import loss_from_logits
from fairseq_plugin.core.position_rules import LossParts
from fairseq_plugin.core.unlikelihood_rule import PenaltyRule, UnlikelihoodRule

__all__ = [
    "LossParts",
    "PenaltyRule",
    "UnlikelihoodRule",
    "fused_penalty_loss",
    "fused_unlikelihood_loss",
    "penalty_loss",
    "unlikelihood_loss",
]


def unlikelihood_loss(logits_BTV, target_BT, seen_BT=None, *, alpha=1.0, ignore_index):
    """Token-level unlikelihood from logits, summed over the scored positions.

    Args:
        logits_BTV, target_BT, seen_BT, ignore_index: see
            :func:`fairseq_plugin.core.logits_loss.loss_from_logits`; ``seen_BT`` gives the candidates.
        alpha: >= 0, weight of the unlikelihood part.

    Returns:
        :class:`LossParts`; ``loss - nll`` is alpha times the unlikelihood part.

    Raises:
        ValueError: alpha out of range, and what ``loss_from_logits`` refuses.
    """
    rule = UnlikelihoodRule(alpha)
    return loss_from_logits(logits_BTV, target_BT, seen_BT, rule=rule, ignore_index=ignore_index)[0]


def fused_unlikelihood_loss(hidden_BTD, weight_VD, target_BT, seen_BT=None, *, alpha=1.0, **options):
    """Token-level unlikelihood of ``hidden_BTD @ weight_VD.T``; B x T x V is never held.

    Args:
        hidden_BTD, weight_VD, target_BT, seen_BT, options: see
            :func:`fairseq_plugin.core.chunked_loss.loss_from_hidden`; ``ignore_index`` is required.
        alpha: >= 0.

    Returns:
        :class:`LossParts`.

    Raises:
        ValueError: alpha out of range, and what ``loss_from_hidden`` refuses.
    """
    rule = UnlikelihoodRule(alpha)
    return loss_from_hidden(hidden_BTD, weight_VD, target_BT, seen_BT, rule=rule, **options)[0]


def penalty_loss(logits_BTV, token_BT, marks_BT):
    """Sequence-level unlikelihood from logits: ``-log(1 - p(token))``, summed over the marked positions.

    Args:
        logits_BTV: ``(B, T, V)``.
        token_BT: int64 ``(B, T)``, what the model wrote after each position.
        marks_BT: bool ``(B, T)``, where it is penalised.

    Returns:
        :class:`LossParts`; ``num_scored`` counts the marked positions.
    """
    target_BT, none_BT = _only_marked(token_BT, marks_BT)
    return loss_from_logits(logits_BTV, target_BT, none_BT, rule=PenaltyRule(), ignore_index=-1)[0]


def fused_penalty_loss(hidden_BTD, weight_VD, token_BT, marks_BT, **options):
    """:func:`penalty_loss` of ``hidden_BTD @ weight_VD.T``; options: those of ``loss_from_hidden``."""
    target_BT, none_BT = _only_marked(token_BT, marks_BT)
    options = {"rule": PenaltyRule(), "ignore_index": -1, **options}
    return loss_from_hidden(hidden_BTD, weight_VD, target_BT, none_BT, **options)[0]


def _only_marked(token_BT, marks_BT):
    return torch.where(marks_BT, token_BT, -1), torch.full_like(token_BT, -1)
