"""Repetition dropout as its definition reads: dictionaries, loops and floats. Slow on purpose."""

import math


def literal_masked(tokens, n, is_dropped):
    """Marks of one text, a list, in one layer; ``is_dropped(first)``: the n-gram first seen there is."""
    places = {}
    for start in range(len(tokens) - n + 1):
        places.setdefault(tuple(tokens[start : start + n]), []).append(start)
    masked = [False] * len(tokens)
    for starts in places.values():
        if len(starts) > 1 and is_dropped(starts[0]):
            for start in starts:
                masked[start : start + n] = [True] * n
    return masked


def literal_attention(q, k, v, masked):
    """One head over one text: nested lists time x width; softmax over what each position may see."""
    outputs = []
    for t, query in enumerate(q):
        visible = [s for s in range(t + 1) if s == t or not masked[s]]
        scores = [math.fsum(a * b for a, b in zip(query, k[s])) / math.sqrt(len(query)) for s in visible]
        weights = [math.exp(score - max(scores)) for score in scores]
        total = math.fsum(weights)
        outputs.append(
            [math.fsum(w * v[s][i] for w, s in zip(weights, visible)) / total for i in range(len(v[0]))]
        )
    return outputs
