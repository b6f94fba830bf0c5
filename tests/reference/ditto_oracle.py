"""DITTO as its definition reads: Python lists, loops and decimal numbers. Slow on purpose.

loss = sum of -log(1 - |p_n - lambda p_(n-1)|) over the tokens of the repetitions n >= 1
"""

from decimal import Decimal, localcontext


def probability(logits, token):
    weights = [Decimal(z).exp() for z in logits]
    return weights[token] / sum(weights)


def literal_loss(logits, target, earlier, decay):
    """Summed, nats; nested lists, texts x steps (x vocabulary); earlier -1: no loss there."""
    total = Decimal(0)
    with localcontext(prec=60):  # 1 - |p - b| may be far below what a float keeps of it
        for text_logits, text_target, text_earlier in zip(logits, target, earlier):
            for t, before in enumerate(text_earlier):
                if before >= 0:
                    p = probability(text_logits[t], text_target[t])
                    p_before = probability(text_logits[before], text_target[before])
                    total -= (1 - abs(p - Decimal(decay) * p_before)).ln()
    return float(total)


def dense_loss(logits_BTV, target_BT, earlier_BT, decay):
    """The definition for autograd to differentiate, no gradient through the earlier repetition."""
    p_BT = logits_BTV.softmax(-1).gather(-1, target_BT[..., None].clamp(min=0)).squeeze(-1)
    before_BT = p_BT.detach().gather(1, earlier_BT.clamp(min=0))
    return -(-(p_BT - decay * before_BT).abs()).log1p()[earlier_BT >= 0].sum()


def literal_repetition(tokens, is_end, start, length):
    """The text up to the sentence, then the sentence over and over, one token longer than the text."""
    assert is_end[start - 1] and is_end[start + length - 1] and not any(is_end[start : start + length - 1])
    found = tokens[:start]
    while len(found) < len(tokens) + 1:
        found.append(tokens[start + (len(found) - start) % length])
    return found
