"""p(label | text) stated literally: token by token, one forward pass for each, then Bayes' rule."""

import math

import torch

END = 2


@torch.no_grad()
def log_likelihood(gpt2, prompt, tokens):
    """log p of the tokens and the end after a prompt, in nats."""
    read, total = list(prompt), 0.0
    for token in [*tokens, END]:
        logits = gpt2.logits(gpt2(torch.tensor([read])))[0, -1].double()
        total += float(logits[token] - torch.logsumexp(logits, 0))
        read.append(token)
    return total


def posterior(log_likelihoods, counts):
    """Probabilities of the labels: each likelihood by its share of train, divided by their sum."""
    joint = [log + math.log(count / sum(counts)) for log, count in zip(log_likelihoods, counts)]
    most = max(joint)
    weights = [math.exp(value - most) for value in joint]
    return [weight / sum(weights) for weight in weights]
