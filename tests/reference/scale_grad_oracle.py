"""ScaleGrad as its definition reads: Python sets, loops and floats, one token at a time. Slow on purpose.

For a row with targets y_1 .. y_T, at step t with S = {what became seen at steps before t}:

    a_v  = gamma * p_v + eps  if v is novel (not in S),  p_v + eps  if v is in S    (no eps where z_v = -inf)
    loss = -log(a_y / sum_v a_v)
"""

import math

import torch


def softmax(logits):
    """Probabilities of a list of logits; -inf gives exactly 0."""
    top = max(logits)
    weights = [math.exp(z - top) for z in logits]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def literal_loss(logits, target, seen, gamma, ignore_index, eps=0.0):
    """Sums over a batch by the definition above.

    Args:
        logits: nested lists of floats, rows x steps x vocabulary.
        target, seen: nested lists of ints, rows x steps.

    Returns:
        dict with ``loss`` and ``nll`` (nats), ``num_scored``, ``num_novel``.
    """
    losses, nlls, num_novel = [], [], 0
    for row_logits, row_target, row_seen in zip(logits, target, seen):
        past = set()
        for z, y, becomes_seen in zip(row_logits, row_target, row_seen):
            if y != ignore_index:
                p = softmax(z)
                weights = [
                    (p_v if v in past else gamma * p_v) + (eps if z[v] > -math.inf else 0.0)
                    for v, p_v in enumerate(p)
                ]
                losses.append(-math.log(weights[y] / math.fsum(weights)))
                nlls.append(-math.log(p[y]))
                num_novel += y not in past
            if becomes_seen != ignore_index:
                past.add(becomes_seen)
    sums = {"loss": math.fsum(losses), "nll": math.fsum(nlls)}
    return sums | {"num_scored": len(losses), "num_novel": num_novel}


def dense_loss(logits_BTV, target_BT, seen_BT, gamma, ignore_index, eps=0.0):
    """The paper's formula with a B x T x V mask of novel tokens, for autograd to differentiate.

    Args:
        logits_BTV: ``(B, T, V)``; use float64 for a reference gradient.

    Returns:
        The summed loss in nats.
    """
    novel_BTV = torch.ones_like(logits_BTV)
    for b in range(target_BT.size(0)):
        for t in range(target_BT.size(1)):
            for earlier in seen_BT[b, :t].tolist():
                if earlier != ignore_index:
                    novel_BTV[b, t, earlier] = 0.0
    p_BTV = logits_BTV.softmax(-1)
    allowed_BTV = (logits_BTV > -math.inf).to(p_BTV.dtype)
    a_BTV = gamma * p_BTV * novel_BTV + p_BTV * (1.0 - novel_BTV) + eps * allowed_BTV
    scored_BT = target_BT != ignore_index
    y_BT = target_BT.masked_fill(~scored_BT, 0)
    a_y_BT = a_BTV.gather(-1, y_BT[..., None]).squeeze(-1)
    loss_BT = -(a_y_BT / a_BTV.sum(-1)).log()
    return loss_BT[scored_BT].sum()
