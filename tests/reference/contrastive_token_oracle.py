"""Contrastive token learning as its definition reads: Python lists, loops and floats. Slow on purpose.

For a text with L targets, of which the first c have a contrastive part with the m tokens before:

    L * (mean of -log p_y + weight * mean over the first c of log(1 + sum over n of exp(z_n - z_y)))
"""

import math

import torch

from tests.reference.unlikelihood_oracle import minus_log


def number(setting, of):
    """A share up to 1 (Python rounds half to even), a number of its own above."""
    return round(setting * of) if setting <= 1 else int(setting)


def negatives_before(seen, t, m, y, ignore_index, each_occurrence):
    """The tokens among the m before t that are not y."""
    before = [v for v in seen[max(0, t - m) : t] if v not in (y, ignore_index)]
    return before if each_occurrence else sorted(set(before))


def literal_loss(
    logits, target, seen, ignore_index, weight=1.0, length=0.25, negatives=0.5, each_occurrence=False
):
    """Sums over a batch; nested lists, texts x steps (x vocabulary): ``loss`` and ``nll`` in nats."""
    losses, nlls = [], []
    for text_logits, text_target, text_seen in zip(logits, target, seen):
        steps = [t for t, y in enumerate(text_target) if y != ignore_index]
        if not steps:
            continue
        c = min(number(length, len(steps)), len(steps))
        m = number(negatives, c)
        nlls += [minus_log(text_logits[t], text_target[t]) for t in steps]
        parts = []
        for t in steps[:c]:
            z, y = text_logits[t], text_target[t]
            found = negatives_before(text_seen, t, m, y, ignore_index, each_occurrence)
            top = max([0.0] + [z[n] - z[y] for n in found])
            parts.append(
                top + math.log(math.fsum([math.exp(-top)] + [math.exp(z[n] - z[y] - top) for n in found]))
            )
        if c:
            losses.append(len(steps) * weight * math.fsum(parts) / c)
    return {"loss": math.fsum(nlls + losses), "nll": math.fsum(nlls)}


def dense_loss(logits_BTV, target_BT, seen_BT, ignore_index, weight, length, negatives, each_occurrence):
    """The definition for autograd to differentiate; summed, nats."""
    total = 0.0 * logits_BTV.sum()
    for b in range(target_BT.size(0)):
        target, seen = target_BT[b].tolist(), seen_BT[b].tolist()
        steps = [t for t, y in enumerate(target) if y != ignore_index]
        c = min(number(length, len(steps)), len(steps))
        m = number(negatives, c)
        for place, t in enumerate(steps):
            z_V, y = logits_BTV[b, t], target[t]
            total = total - z_V.log_softmax(-1)[y]
            if place < c:
                found = negatives_before(seen, t, m, y, ignore_index, each_occurrence)
                exponents = torch.cat([z_V.new_zeros(1), z_V[found] - z_V[y]])
                total = total + weight * len(steps) / c * exponents.logsumexp(0)
    return total
