"""Metrics of language models, stated literally: loops over positions, lists and sets, no cleverness."""

import math

import torch


def seq_rep(text, n):
    """1 - distinct / all n-grams of one text; None where it has none."""
    seen, num_all = [], 0
    for start in range(len(text)):
        ngram = text[start : start + n]
        if len(ngram) < n:
            continue
        num_all += 1
        if ngram not in seen:
            seen.append(ngram)
    return None if num_all == 0 else 1 - len(seen) / num_all


def mean_seq_rep(texts, n):
    """The mean over the texts that have an n-gram."""
    found = [seq_rep(text, n) for text in texts]
    found = [value for value in found if value is not None]
    return sum(found) / len(found) if found else None


def corpus_rep(texts, n):
    """SimCTG: distinct n-grams within each text, added up, over all n-grams."""
    distinct = num_all = 0
    for text in texts:
        ngrams = [tuple(text[start : start + n]) for start in range(len(text) - n + 1)]
        distinct += len(set(ngrams))
        num_all += len(ngrams)
    return 1 - distinct / num_all if num_all else None


def diversity(texts):
    product = 1
    for n in (2, 3, 4):
        value = corpus_rep(texts, n)
        if value is None:
            return None
        product *= 1 - value
    return product


def distinct_n(texts, n):
    ngrams = []
    for text in texts:
        for start in range(len(text) - n + 1):
            ngrams.append(tuple(text[start : start + n]))
    return len(set(ngrams)) / len(ngrams) if ngrams else None


@torch.no_grad()
def teacher_forced(gpt2, stream, window, context, end):
    """Walk through a stream position by position.

    Returns:
        A list with, for each token of the stream, ``(nll, predicted, rank, previous targets in its window)``.
    """
    found = []
    step = window - context
    for start in range(0, len(stream), step):
        first = max(0, start - context)
        last = min(start + step, len(stream))
        source = [end if place == 0 else stream[place - 1] for place in range(first, last)]
        logits = gpt2.logits(gpt2(torch.tensor([source])))[0].double()
        for place in range(start, last):
            row = logits[place - first]
            scores = row.tolist()
            target = stream[place]
            best = max(range(len(scores)), key=lambda v, scores=scores: scores[v])
            rank = 1 + sum(score > scores[target] for score in scores)
            highest = max(scores)
            total = math.log(sum(math.exp(score - highest) for score in scores)) + highest
            found.append((total - scores[target], best, rank, list(stream[first:place])))
    return found


def single_token(gpt2, stream, window, context, end, pasts=(16, 32, 128, 512)):
    """The single-token metrics of a stream, by name."""
    rows = teacher_forced(gpt2, stream, window, context, end)
    size = len(rows)
    values = {
        "ppl": math.exp(sum(nll for nll, *_ in rows) / size),
        "acc": sum(best == y for (_, best, _, _), y in zip(rows, stream)) / size,
        "hits@10": sum(rank <= 10 for _, _, rank, _ in rows) / size,
        "rank": sum(rank for _, _, rank, _ in rows) / size,
        "uniq": len({best for _, best, _, _ in rows}),
    }
    human = {"uniq": len(set(stream))}
    for past in pasts:
        before = [previous[-past:] for *_, previous in rows]
        repeats = [row[1] in seen for row, seen in zip(rows, before)]
        values[f"rep/{past}"] = sum(repeats) / size
        wrong = [again and row[1] != y for again, row, y in zip(repeats, rows, stream)]
        values[f"wrep/{past}"] = sum(wrong) / size
        human[f"rep/{past}"] = sum(y in seen for y, seen in zip(stream, before)) / size
    return values, human


@torch.no_grad()
def greedy(gpt2, prompt, num_new, forbidden):
    """Greedy continuation without a cache."""
    text = list(prompt)
    for _ in range(num_new):
        logits = gpt2.logits(gpt2(torch.tensor([text])))[0, -1]
        logits[forbidden] = -math.inf
        text.append(int(logits.argmax()))
    return text[len(prompt) :]
