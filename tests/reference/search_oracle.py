"""Beam search, contrastive search and n-gram blocking, stated literally.

The whole text goes through the network for every token; Python lists and loops, one prompt at a time.
"""

import math

import torch


def repeating_tokens(text, n):
    """Tokens after which some n-gram would stand twice in the text."""
    seen = {tuple(text[i : i + n]) for i in range(len(text) - n + 1)}
    ending = tuple(text[len(text) - n + 1 :]) if n > 1 else ()
    return {ngram[-1] for ngram in seen if ngram[:-1] == ending}


def next_logits(model, text):
    """Logits of the next token as a float64 ``(V,)``."""
    return model.logits(model(torch.tensor([text]))[0, -1]).double()


@torch.no_grad()
def beam_search(model, prompt, end, beam, max_new, min_new=0, no_repeat_ngram=0, length_penalty=1.0):
    """``[(new tokens with the end, score, ended)]``, best first."""
    beams, finished = [([], 0.0)], []
    for step in range(max_new):
        candidates = []
        for new, total in beams:
            logprobs = next_logits(model, prompt + new).log_softmax(-1).tolist()
            forbidden = repeating_tokens(prompt + new, no_repeat_ngram) if no_repeat_ngram else set()
            forbidden |= {end} if step < min_new else set()
            for token, logprob in enumerate(logprobs):
                if token not in forbidden and logprob > -math.inf:
                    candidates.append((total + logprob, [*new, token]))
        candidates = sorted(candidates, key=lambda one: -one[0])[: 2 * beam]
        scale = (step + 1) ** length_penalty
        last = step + 1 == max_new
        for total, new in candidates[:beam]:
            if new[-1] == end or last:
                finished.append((new, total / scale, new[-1] == end))
        finished = sorted(finished, key=lambda one: -one[1])[:beam]
        beams = [(new, total) for total, new in candidates if new[-1] != end][:beam]
        if len(finished) == beam and beams[0][1] / scale <= finished[-1][1]:
            break
    return finished


@torch.no_grad()
def contrastive_search(model, prompt, end, max_new, top_k, alpha, min_new=0, no_repeat_ngram=0):
    """New tokens, with the end if it came (SimCTG, eq. 5)."""
    text = list(prompt)
    for step in range(max_new):
        hidden_TD = model(torch.tensor([text]))[0].double()
        logits = model.logits(hidden_TD[-1].float()).double()
        if step < min_new:
            logits[end] = -math.inf
        if no_repeat_ngram:
            logits[sorted(repeating_tokens(text, no_repeat_ngram))] = -math.inf
        probabilities = logits.softmax(-1).tolist()
        best, best_merit = None, -math.inf
        for token in sorted(range(len(probabilities)), key=lambda v: -probabilities[v])[:top_k]:
            candidate_D = model(torch.tensor([[*text, token]]))[0, -1].double()
            cosines = [
                (candidate_D @ past_D / (candidate_D.norm() * past_D.norm())).item() for past_D in hidden_TD
            ]
            merit = (1 - alpha) * probabilities[token] - alpha * max(cosines)
            if merit > best_merit:
                best, best_merit = token, merit
        text.append(best)
        if best == end:
            break
    return text[len(prompt) :]
