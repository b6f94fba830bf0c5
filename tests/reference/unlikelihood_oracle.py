"""Unlikelihood as its definition reads: Python sets, loops and floats, one token at a time. Slow on purpose.

Token level, for a row with targets y_1 .. y_T, at step t with C = {what became seen before t} - {y_t}:

    loss = -log p_y + alpha * sum over c in C of -log(1 - p_c)

1 - p_c is the sum of all the other probabilities. Sequence level: -log(1 - p_y) at marked steps.
"""

import math

import torch


def weights_of(logits):
    """exp(z - max z) of a list of logits; -inf gives exactly 0."""
    top = max(logits)
    return [math.exp(z - top) for z in logits]


def minus_log_of_the_others(logits, token):
    """-log(1 - p_token), nats."""
    weights = weights_of(logits)
    others = math.fsum(weight for v, weight in enumerate(weights) if v != token)
    return math.log(math.fsum(weights)) - math.log(others)


def minus_log(logits, token):
    """-log p_token, nats."""
    weights = weights_of(logits)
    return math.log(math.fsum(weights)) - math.log(weights[token])


def literal_loss(logits, target, seen, alpha, ignore_index):
    """Sums over a batch; nested lists, rows x steps (x vocabulary).

    Returns:
        dict with ``loss`` and ``nll`` (nats), ``num_scored``, ``num_novel``.
    """
    penalties, nlls, num_novel = [], [], 0
    for row_logits, row_target, row_seen in zip(logits, target, seen):
        past = set()
        for z, y, becomes_seen in zip(row_logits, row_target, row_seen):
            if y != ignore_index:
                nlls.append(minus_log(z, y))
                penalties += [alpha * minus_log_of_the_others(z, c) for c in past - {y}]
                num_novel += y not in past
            if becomes_seen != ignore_index:
                past.add(becomes_seen)
    sums = {"loss": math.fsum(nlls + penalties), "nll": math.fsum(nlls)}
    return sums | {"num_scored": len(nlls), "num_novel": num_novel}


def literal_penalty(logits, token, marks):
    """Sum of -log(1 - p_token) over marked steps; nested lists."""
    return math.fsum(
        minus_log_of_the_others(z, y)
        for row in zip(logits, token, marks)
        for z, y, marked in zip(*row)
        if marked
    )


def dense_loss(logits_BTV, target_BT, seen_BT, alpha, ignore_index):
    """The definition with a B x T x V mask of candidates, for autograd to differentiate; summed, nats."""
    candidate_BTV = torch.zeros_like(logits_BTV, dtype=torch.bool)
    for b in range(target_BT.size(0)):
        for t in range(target_BT.size(1)):
            for earlier in set(seen_BT[b, :t].tolist()) - {ignore_index, int(target_BT[b, t])}:
                candidate_BTV[b, t, earlier] = True
    scored_BT = target_BT != ignore_index
    logp_BTV = logits_BTV.log_softmax(-1)
    nll_BT = -logp_BTV.gather(-1, target_BT.masked_fill(~scored_BT, 0)[..., None]).squeeze(-1)
    log_rest_BTV = torch.where(candidate_BTV, (-logp_BTV.exp()).log1p(), 0.0)
    return (nll_BT - alpha * log_rest_BTV.sum(-1))[scored_BT].sum()


def literal_repeats(tokens, n):
    """``(marks, num_repeated, num_ngrams)`` of one text, a list: n-grams against all that started earlier."""
    marks, earlier, num_repeated = [False] * len(tokens), set(), 0
    starts = range(len(tokens) - n + 1)
    for start in starts:
        ngram = tuple(tokens[start : start + n])
        if ngram in earlier:
            num_repeated += 1
            marks[start : start + n] = [True] * n
        earlier.add(ngram)
    return marks, num_repeated, len(starts)
