"""Sampling, stated literally: one sample, the whole text through the network for every token, no cache."""

import torch

from fairseq_plugin.sampling.request import Continuation
from tests.reference.drawing_oracle import draw_one, gumbel_one, keyed_number


@torch.no_grad()
def next_log_probs(model, text):
    """Log probabilities of the token after a text, float64 ``(V,)``."""
    return model.logits(model(torch.tensor([text]))[0, -1]).double().log_softmax(-1)


@torch.no_grad()
def literal_sample(model, prompt, sample_id, sampling, max_new, seed, end):
    """One :class:`Continuation`, drawn in Python floats with the keyed numbers of the sample."""
    tokens, scores = [], []
    for step in range(max_new):
        log_probs_V = next_log_probs(model, [*prompt, *tokens])
        values, settings = log_probs_V.tolist(), (sampling.temperature, sampling.top_k, sampling.top_p)
        if sampling.temperature == 0:
            token = max(range(len(values)), key=values.__getitem__)
        elif sampling.gumbel:
            token = gumbel_one(values, seed, sample_id, step, *settings)
        else:
            token = draw_one(values, keyed_number(seed, sample_id, step), *settings)
        scores.append(values[token])
        if token == end:
            return Continuation(torch.tensor(tokens, dtype=torch.int64), torch.tensor(scores), True)
        tokens.append(token)
    return Continuation(torch.tensor(tokens), torch.tensor(scores), False)
