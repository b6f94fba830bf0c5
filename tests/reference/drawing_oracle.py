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
