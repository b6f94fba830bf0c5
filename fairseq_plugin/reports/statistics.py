"""Lengths, distinct-n, novelty and nearest neighbours of a generated set beside the real one.

All of it is counted in *words* (:mod:`fairseq_plugin.text.words`), without regard to case: not in model
tokens, so that sets made with different tokenizers can be compared. No n-gram crosses the end of a sentence.

Shape legend: N sentences, T words over all sentences.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Words = Sequence[str]  # of one sentence
T = TypeVar("T")


@dataclass(frozen=True)
class DistinctPair:
    """distinct-1, -2, ... of two sides, each cut to the same number of ``words``; None: no such n-gram."""

    words: int
    real: list[float | None]
    synthetic: list[float | None]


@dataclass(frozen=True)
class Novelty:
    """How much of some sentences is not in the training set.

    Attributes:
        sentences: number of them.
        new: share of 1-, 2-, 3-, 4-grams that are nowhere in train; None where there is no such n-gram.
        longest_mean: mean over sentences of the longest copied run (words).
        longest_max: the longest of all.
        with_new_word: share of sentences that hold a word which is nowhere in train.
        whole: share of sentences copied word for word, as a sentence or a part of one.
    """

    sentences: int
    new: list[float | None]
    longest_mean: float | None
    longest_max: int | None
    with_new_word: float | None
    whole: float | None


def take_words(sentences: Sequence[Words], num_words: int, seed: int) -> list[Words]:
    """Draw whole sentences in a seeded order until exactly ``num_words`` words are there; the last is cut.

    Args:
        sentences: their words.
        num_words: how many; all of them where there are fewer.
        seed: of the order.
    """
    order = list(range(len(sentences)))
    random.Random(seed).shuffle(order)
    taken, missing = [], num_words
    for index in order:
        if missing <= 0:
            break
        piece = sentences[index][:missing]
        taken.append(piece)
        missing -= len(piece)
    return taken


def distinct_n(sentences: Sequence[Words], n: int) -> float | None:
    """Different n-grams over all n-grams, in [0, 1]; ``None`` where no sentence has n words."""
    total, different = 0, set()
    for sentence in sentences:
        for start in range(len(sentence) - n + 1):
            different.add(tuple(sentence[start : start + n]))
            total += 1
    return len(different) / total if total else None


def compare_distinct(
    real: Sequence[Words],
    synthetic: Sequence[Words],
    seed: int,
    orders: Sequence[int] = (1, 2, 3),
    most: int = 1_000_000,
) -> DistinctPair:
    """distinct-n of both sides at the same number of words.

    distinct-n falls as a text grows, so sets of different sizes cannot be compared as they are. Real text
    that was not trained on is the side to compare with: random words have the highest distinct-n of all.

    Args:
        real, synthetic: the words of each sentence.
        seed: of the draw.
        orders: n of the n-grams.
        most: words to count at the most, to bound the memory.
    """
    num_words = min(sum(map(len, real)), sum(map(len, synthetic)), most)
    sides = [take_words(side, num_words, seed) for side in (real, synthetic)]
    return DistinctPair(num_words, *([distinct_n(side, n) for n in orders] for side in sides))


def copied_lengths(train: Sequence[Words], queries: Sequence[Words]) -> list[NDArray[np.int64]]:
    """For every word of the queries: how many words from there on are in ``train`` too, one after another.

    A suffix array over both texts, sorted by doubling (Manber & Myers 1993): the longest match
    of a suffix is with its nearest training suffix above or below in the sorted order.

    Args:
        train, queries: the words of each sentence.

    Returns:
        One array per query sentence, one number per word.
    """
    num_train = len(train)
    lengths = np.array([len(sentence) for sentence in [*train, *queries]], dtype=np.int64)
    number: dict[str, int] = {}
    tokens: list[int] = []
    starts: list[int] = []
    for index, sentence in enumerate([*train, *queries]):
        starts.append(len(tokens))
        tokens.extend(number.setdefault(word, len(number)) for word in sentence)
        tokens.append(-1 - index)  # an end of its own for every sentence: no match runs across
    ranks = _ranks_by_doubling(np.array(tokens, dtype=np.int64), int(lengths.max(initial=0)))
    order = np.argsort(ranks[-1], kind="stable")  # all different by now
    first_query = starts[num_train] if num_train < len(starts) else len(tokens)
    is_train = order < first_query
    matches = np.zeros(len(tokens), dtype=np.int64)
    position = np.arange(len(order))
    above = np.maximum.accumulate(np.where(is_train, position, -1))
    below = np.minimum.accumulate(np.where(is_train, position, len(order))[::-1])[::-1]
    for neighbour in (above, below):
        there = (neighbour >= 0) & (neighbour < len(order)) & ~is_train
        here = order[there]
        matches[here] = np.maximum(matches[here], _common_prefix(ranks, here, order[neighbour[there]]))
    return [matches[starts[i] : starts[i] + lengths[i]] for i in range(num_train, len(lengths))]


def _ranks_by_doubling(tokens_T: NDArray[np.int64], longest: int) -> list[NDArray[np.int64]]:
    """Ranks of the 1-, 2-, 4-, ... word windows at every position, until they tell all suffixes apart.

    Returns:
        List of arrays (T); equal ranks at level k mean equal windows of 2^k words. The last is a full order.
    """
    _, rank = np.unique(tokens_T, return_inverse=True)
    ranks, width = [rank.astype(np.int64)], 1
    while width <= longest:
        last = ranks[-1]
        shifted = np.full_like(last, -1)
        shifted[:-width] = last[width:]
        # One key per pair of ranks: (first half, second half).
        _, rank = np.unique(last * (len(last) + 1) + shifted + 1, return_inverse=True)
        ranks.append(rank.astype(np.int64))
        width *= 2
    return ranks


def _common_prefix(
    ranks: list[NDArray[np.int64]], left: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Number of equal words from positions ``left`` and ``right`` on (arrays of one shape)."""
    left, right = left.copy(), right.copy()
    length = np.zeros(len(left), dtype=np.int64)
    last = len(ranks[0]) - 1
    for level in reversed(range(len(ranks))):
        equal = ranks[level][np.minimum(left, last)] == ranks[level][np.minimum(right, last)]
        equal &= (left <= last) & (right <= last) & (left != right)
        step = np.where(equal, 1 << level, 0)
        length, left, right = length + step, left + step, right + step
    return length


def novelty(copied: Sequence[NDArray[np.int64]], orders: Sequence[int] = (1, 2, 3, 4)) -> Novelty:
    """Summarise :func:`copied_lengths`.

    Args:
        copied: one array per sentence.
        orders: n of the n-grams.
    """
    new: list[float | None] = []
    for n in orders:
        heads = [runs[: len(runs) - n + 1] for runs in copied if len(runs) >= n]
        total = sum(map(len, heads))
        new.append(sum(int((head < n).sum()) for head in heads) / total if total else None)
    longest = [int(runs.max(initial=0)) for runs in copied]
    whole = [len(runs) > 0 and int(runs[0]) == len(runs) for runs in copied]
    with_new_word = [bool((runs == 0).any()) for runs in copied]
    count = len(copied)
    return Novelty(
        sentences=count,
        new=new,
        longest_mean=sum(longest) / count if count else None,
        longest_max=max(longest, default=None),
        with_new_word=sum(with_new_word) / count if count else None,
        whole=sum(whole) / count if count else None,
    )


def histogram(
    groups: Mapping[str, Sequence[int]], most: int = 40
) -> tuple[list[int], dict[str, list[float]]]:
    """Count lengths of several groups on one axis, as shares.

    Args:
        groups: name -> lengths.
        most: bars at the most; wider bars where the lengths spread further. The last bar takes the longest
            0.5 %.

    Returns:
        ``(edges, {name: shares})``: bar i holds lengths in [edges[i], edges[i+1]); shares add up to 1.
    """
    everything = np.concatenate([np.asarray(lengths, dtype=np.int64) for lengths in groups.values()])
    top = int(np.quantile(everything, 0.995)) if len(everything) else 0
    width = max(1, -(-(top + 1) // most))
    edges = np.arange(0, top + 1 + width, width)
    shares: dict[str, list[float]] = {}
    for name, lengths in groups.items():
        counts, _ = np.histogram(np.minimum(lengths, edges[-1] - 1), bins=edges)
        shares[name] = (counts / max(1, counts.sum())).tolist()
    return edges.tolist(), shares


def draw(items: Sequence[T], most: int, seed: int) -> list[T]:
    """At most ``most`` of the items, drawn without repetition, in their order."""
    if len(items) <= most:
        return list(items)
    return [items[index] for index in sorted(random.Random(seed).sample(range(len(items)), most))]


def nearest(train: Sequence[str], queries: Sequence[str], chunk: int = 256) -> list[tuple[int, float]]:
    """The most similar training sentence of every query.

    Args:
        train: texts, at least one.
        queries: texts.
        chunk: queries at a time.

    Returns:
        Per query ``(index into train, similarity)``; the cosine of character 2- to 4-gram TF-IDF vectors, in
        [0, 1]; the lowest index among equals.
    """
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    # Hashing keeps no vocabulary of n-grams in memory; 2^20 columns make clashes rare.
    counter = HashingVectorizer(
        analyzer="char_wb",
        ngram_range=(2, 4),
        n_features=1 << 20,
        norm=None,  # pyright: ignore[reportArgumentType]  (scikit-learn takes it; its hints forget it)
        alternate_sign=False,
        dtype=np.float32,  # pyright: ignore[reportArgumentType]
    )
    weigh = TfidfTransformer(sublinear_tf=True)
    train_NV = weigh.fit_transform(counter.transform(train))
    columns = train_NV.T.tocsr()
    found = []
    for start in range(0, len(queries), chunk):
        vectors = weigh.transform(counter.transform(queries[start : start + chunk]))
        similarity = (vectors @ columns).toarray()
        best = similarity.argmax(axis=1)
        found.extend((int(i), min(1.0, float(row[i]))) for i, row in zip(best, similarity))
    return found
