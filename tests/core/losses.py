"""Short names for the losses under test: a rule, from logits and fused with the output layer."""

import torch

from fairseq_plugin.core.chunked_loss import OutputLayer, loss_from_hidden
from fairseq_plugin.core.contrastive_token_rule import ContrastiveTokenRule
from fairseq_plugin.core.logits_loss import loss_from_logits
from fairseq_plugin.core.scale_grad_rule import ScaleGradRule
from fairseq_plugin.core.unlikelihood_rule import PenaltyRule, UnlikelihoodRule


def fused_loss(rule, hidden, weight, target, seen=None, *, ignore_index, chunk_size=None, **layer):
    layer = OutputLayer(weight, **layer)
    options = {"rule": rule, "ignore_index": ignore_index, "chunk_size": chunk_size}
    return loss_from_hidden(hidden, layer, target, seen, **options)[0]


def scale_grad_loss(logits, target, seen=None, *, gamma, ignore_index, eps=0.0):
    rule = ScaleGradRule(gamma, eps)
    return loss_from_logits(logits, target, seen, rule=rule, ignore_index=ignore_index)[0]


def fused_scale_grad_loss(hidden, weight, target, seen=None, *, gamma, eps=0.0, **options):
    return fused_loss(ScaleGradRule(gamma, eps), hidden, weight, target, seen, **options)


def unlikelihood_loss(logits, target, seen=None, *, alpha=1.0, ignore_index):
    rule = UnlikelihoodRule(alpha)
    return loss_from_logits(logits, target, seen, rule=rule, ignore_index=ignore_index)[0]


def fused_unlikelihood_loss(hidden, weight, target, seen=None, *, alpha=1.0, **options):
    return fused_loss(UnlikelihoodRule(alpha), hidden, weight, target, seen, **options)


def contrastive_loss(logits, target, seen=None, *, ignore_index, **settings):
    rule = ContrastiveTokenRule(**settings)
    return loss_from_logits(logits, target, seen, rule=rule, ignore_index=ignore_index)[0]


def fused_contrastive_loss(hidden, weight, target, seen=None, *, ct=None, **options):
    return fused_loss(ContrastiveTokenRule(**(ct or {})), hidden, weight, target, seen, **options)


def penalty_loss(logits, token, marks):
    """Sequence level: the marked tokens are penalised."""
    target, none = only_marked(token, marks)
    return loss_from_logits(logits, target, none, rule=PenaltyRule(), ignore_index=-1)[0]


def fused_penalty_loss(hidden, weight, token, marks, **options):
    target, none = only_marked(token, marks)
    return fused_loss(PenaltyRule(), hidden, weight, target, none, ignore_index=-1, **options)


def only_marked(token, marks):
    return torch.where(marks, token, -1), torch.full_like(token, -1)
