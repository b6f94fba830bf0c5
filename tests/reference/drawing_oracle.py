"""Drawing a token, stated literally: one row, Python floats, a sorted list, a running sum."""

import math


def allowed_probabilities(logits, temperature, top_k, top_p):
    """``{token: probability}`` after temperature, then top-k, then the nucleus; renormalised."""
    scaled = {token: value / temperature for token, value in enumerate(logits) if value > -math.inf}
    ranked = sorted(scaled, key=lambda token: -scaled[token])
    if top_k:
        ranked = ranked[:top_k]
    highest = scaled[ranked[0]]
    weights = {token: math.exp(scaled[token] - highest) for token in ranked}
    total = sum(weights.values())
    probabilities = {token: weight / total for token, weight in weights.items()}
    kept, mass = [], 0.0
    for token in ranked:
        if mass >= top_p and top_p < 1:
            break
        kept.append(token)
        mass += probabilities[token]
    return {token: probabilities[token] / mass for token in kept}


def draw_one(logits, uniform, temperature=1.0, top_k=0, top_p=1.0):
    """The first token, in vocabulary order, at which the running sum exceeds ``uniform``."""
    probabilities = allowed_probabilities(logits, temperature, top_k, top_p)
    running = 0.0
    for token in sorted(probabilities):
        running += probabilities[token]
        if running > uniform:
            return token
    return max(probabilities)


def gumbel_one(logits, seed, sample, step, temperature=1.0, top_k=0, top_p=1.0):
    """The allowed token with the greatest log probability plus Gumbel noise, keyed in Python integers."""
    probabilities = allowed_probabilities(logits, temperature, top_k, top_p)
    best, best_score = None, -math.inf
    for token, probability in probabilities.items():
        u = keyed_number(seed, sample, step, token)
        score = math.log(probability) - math.log(-math.log(u))
        if score > best_score:
            best, best_score = token, score
    return best


def keyed_number(seed, *key):
    """SplitMix64 over seed and key, as :mod:`core.keyed_random` documents it; a float in (0, 1)."""
    mask = (1 << 64) - 1

    def mix(x):
        x = (x + 0x9E3779B97F4A7C15) & mask
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return x ^ (x >> 31)

    state = mix(seed & mask)
    for part in key:
        state = mix((state + part) & mask)
    return ((state >> 12) + 0.5) / 2**52
