"""Repetition and variety of texts: lists of tokens (ids or words), n-grams within one text only.

    seq-rep-n of a text = 1 - distinct n-grams / all n-grams      (Welleck et al. 2020, eq. 10)

Two ways of averaging are in use, and they differ:

* ``seq-rep-n``: the mean over texts of each text's own ratio (Welleck et al. 2020; Lin et al. 2021);
* ``rep-n``: 1 - (sum over texts of distinct) / (sum over texts of all), and ``diversity`` = the product over
  n = 2, 3, 4 of (1 - rep-n) (Su et al. 2022, SimCTG).

A text shorter than n has no n-gram and so no ratio. It is left out of that n and *counted*: neither 0 nor 1
would be true of it.

Over all texts together: ``uniq``, the number of distinct tokens, and ``distinct-n`` = distinct n-grams over
all n-grams (Li et al. 2016). Both depend on the amount of text: compare equal totals only.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.reports.bootstrap import DEFAULT, Bootstrap, Measured, Statistic, Totals, measure

Tokens = Sequence[int] | Sequence[str]  # ids or words of one text

ORDERS = (1, 2, 3, 4)


def count_ngrams(tokens: Tokens, n: int) -> tuple[int, int]:
    """``(distinct, all)`` n-grams of one text.

    >>> count_ngrams([7, 8, 7, 8, 7], 2)
    (2, 4)
    """
    ngrams = [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]
    return len(set(ngrams)), len(ngrams)


def seq_rep(tokens: Tokens, n: int) -> float | None:
    """1 - distinct / all n-grams of one text, in [0, 1); None for a text shorter than n.

    >>> seq_rep([7, 8, 7, 8, 7], 2)
    0.5
    """
    distinct, total = count_ngrams(tokens, n)
    return 1 - distinct / total if total else None


@dataclass(frozen=True)
class Variety:
    """What many texts hold together.

    Attributes:
        num_texts: how many.
        num_tokens: in all.
        uniq: distinct tokens.
        distinct: distinct n-grams / all n-grams, by n; None where no text has n tokens.
        too_short: number of texts shorter than n, by n; they count for no statistic of that n.
    """

    num_texts: int
    num_tokens: int
    uniq: int
    distinct: dict[int, float | None]
    too_short: dict[int, int]


def variety(texts: Sequence[Tokens], orders: Sequence[int] = ORDERS) -> Variety:
    """What the texts hold together."""
    distinct: dict[int, float | None] = {}
    for n in orders:
        seen: set[tuple[int | str, ...]] = set()
        total = 0
        for tokens in texts:
            ngrams = [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]
            seen.update(ngrams)
            total += len(ngrams)
        distinct[n] = len(seen) / total if total else None
    return Variety(
        num_texts=len(texts),
        num_tokens=sum(map(len, texts)),
        uniq=len({token for tokens in texts for token in tokens}),
        distinct=distinct,
        too_short={n: sum(len(tokens) < n for tokens in texts) for n in orders},
    )


def measure_repetition(
    texts: Sequence[Tokens],
    units: Hashable,
    orders: Sequence[int] = ORDERS,
    bootstrap: Bootstrap = DEFAULT,
) -> Measured:
    """seq-rep-n, rep-n and diversity of texts, with intervals over texts.

    Args:
        texts: at least one.
        units: what the texts continue, see :class:`~fairseq_plugin.reports.bootstrap.Measured`.
        orders: the n; ``diversity`` needs 2, 3 and 4 among them.
        bootstrap: of the intervals.
    """
    sums: dict[str, NDArray] = {}
    statistics: dict[str, Statistic] = {}
    for n in orders:
        counts_U2 = np.array([count_ngrams(tokens, n) for tokens in texts], dtype=np.float64).reshape(-1, 2)
        distinct_U, total_U = counts_U2.T
        there_U = total_U > 0
        sums[f"distinct {n}"], sums[f"all {n}"] = distinct_U, total_U
        sums[f"ratios {n}"] = np.where(there_U, 1 - distinct_U / np.maximum(total_U, 1), 0)
        sums[f"texts {n}"] = there_U
        statistics[f"seq-rep-{n}"] = _quotient(f"ratios {n}", f"texts {n}")
    for n in orders:
        statistics[f"rep-{n}"] = _one_minus_quotient(f"distinct {n}", f"all {n}")
    if {2, 3, 4} <= set(orders):
        statistics["diversity"] = _diversity
    return measure(sums, statistics, units, bootstrap)


def _quotient(above: str, below: str) -> Statistic:
    return lambda totals: totals[above] / totals[below]


def _one_minus_quotient(above: str, below: str) -> Statistic:
    return lambda totals: 1 - totals[above] / totals[below]


def _diversity(totals: Totals) -> NDArray[np.float64]:
    two, three, four = (totals[f"distinct {n}"] / totals[f"all {n}"] for n in (2, 3, 4))
    return two * three * four
