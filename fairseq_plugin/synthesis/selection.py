"""Of more rows than are wanted, those whose statistics are those of the real rows.

The rows that a network draws follow its law; what it has not learnt exactly, the shares of values and the
trends of pairs, can be mended by choosing: weights are found under which the drawn rows have the statistics
of the training rows (:mod:`.tilt`), and rows are chosen with inclusion probabilities that follow the weights
(systematic sampling: Madow 1949), the best balanced of many such choices (rerandomisation: Morgan & Rubin
2012, doi:10.1214/12-AOS1008). Rows are chosen, never changed.

Legend: N drawn rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.judges.discriminator import FEWEST_ROWS
from fairseq_plugin.synthesis.judges.judgement import TooFewRows
from fairseq_plugin.synthesis.judges.rows import JudgedRows, judged_rows
from fairseq_plugin.synthesis.points import Points, mean_products
from fairseq_plugin.synthesis.tilt import tilted
from fairseq_plugin.tables.code.rows import RowCode
from fairseq_plugin.tables.conditions import Condition
from fairseq_plugin.tables.learnt import learnt_rows
from fairseq_plugin.tables.model import MOST_TRIES, DrawnRows, TableModel, TooFewMatches

_MOST_REAL = 20_000  # training rows whose statistics are taken
_LEAST = -50.0  # a log weight below the largest one: never nothing
_CHOICES = 300  # of which the best balanced is taken


def choose_drawn(
    drawn: DrawnRows, code: RowCode, data: Path, where: Condition | None, n: int, seed: int
) -> DrawnRows:
    """``n`` of the drawn rows, in order; :func:`choose_rows` says which.

    Args:
        drawn: rows of the model, at least ``n``.
        code: of the table.
        data: the prepared folder; its rows are the real ones.
        where: the condition that all drawn rows fulfil: they are compared with real rows that do.
        n, seed: see :func:`choose_rows`.

    Raises:
        TooFewRows: too few real rows to compare with.
    """
    schema = code.schema
    learnt = ([cell or "" for cell in row] for row in learnt_rows(code, data, ("train", "valid"), seed))
    real = list(islice((row for row in learnt if where is None or where.holds(row)), _MOST_REAL))
    sets = judged_rows(schema, schema.names, real), judged_rows(schema, drawn.names, drawn.rows)
    places = choose_rows(*sets, n, seed, schema.target)
    rows, numbers = ([of[place] for place in places] for of in (drawn.rows, drawn.numbers))
    return replace(drawn, rows=rows, numbers=numbers)


def sample_chosen(
    model: TableModel,
    data: Path,
    n: int,
    times: int,
    seed: int,
    where: Condition | None = None,
    most_tries: float = MOST_TRIES,
) -> tuple[DrawnRows, float]:
    """``n`` new rows, chosen from so many times as many.

    Args:
        model: draws them.
        data: its prepared folder.
        n, seed, where, most_tries: see :meth:`~fairseq_plugin.tables.model.TableModel.sample`.
        times: >= 1; 1: rows as they are drawn.

    Returns:
        The rows, and the share of all drawn ones that fulfil the condition.
    """
    if not isinstance(times, int) or times < 1:
        raise UserError(f"--choose-from = {times!r}: give a whole number, at least 1")
    with drawn_to_choose_from(times):
        drawn = model.sample(n * times, seed, where, most_tries=most_tries)
    chosen = drawn if times == 1 else choose_drawn(drawn, model.code, data, where, n, seed)
    return chosen, drawn.accepted


@contextmanager
def drawn_to_choose_from(times: int) -> Iterator[None]:
    """Where too few rows fulfil a condition, say that so many times as many were wanted, to choose from."""
    try:
        yield
    except TooFewMatches as few:
        if times == 1:
            raise
        raise UserError(f"{few}; or --choose-from 1: {times} are wanted for each row that is kept") from few


def choose_rows(
    real: JudgedRows, drawn: JudgedRows, n: int, seed: int, target: str | None = None
) -> list[int]:
    """Places of ``n`` of the drawn rows, in order.

    Args:
        real: training rows.
        drawn: rows of the model.
        n: how many to choose, >= 1; all where there are no more.
        seed: of the choice.
        target: the column whose pairs count first where there are too many.

    Raises:
        TooFewRows: too few training rows to compare with.
    """
    if len(drawn) <= n:
        return list(range(len(drawn)))
    if len(real) < FEWEST_ROWS:
        raise TooFewRows(
            f"--choose-from: {len(real)} training rows to compare with are too few, at least {FEWEST_ROWS} "
            "are needed (rows with a rare value do not count, nor do those that do not fulfil a condition); "
            "give 1: rows as they are drawn"
        )
    names = [column.column.name for column in real.columns]
    points = Points.of(real, drawn)
    pairs = points.pairs(names.index(target) if target in names else None)
    share_N = inclusion(tilted(real, drawn, points, pairs), n)
    wanted_P = mean_products(points.real_RQ, pairs)

    def imbalance(places: NDArray[np.int64]) -> float:
        return float(np.abs(mean_products(points.drawn_NQ[places], pairs) - wanted_P).sum())

    random = np.random.default_rng(seed)
    return min((systematic(share_N, random) for _ in range(_CHOICES)), key=imbalance).tolist()


def inclusion(weight_N: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Probabilities with which rows are among ``n`` chosen ones: proportional to the weights, at most 1.

    Args:
        weight_N: log weights.
        n: in [1, N].
    """
    share_N = np.exp((weight_N - weight_N.max()).clip(_LEAST))
    share_N *= n / share_N.sum()
    while (share_N > 1 + 1e-9).any():
        is_less_N = share_N < 1
        share_N[~is_less_N] = 1
        share_N[is_less_N] *= (n - (~is_less_N).sum()) / share_N[is_less_N].sum()
    return share_N


def systematic(share_N: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int64]:
    """Places of rows chosen with these probabilities, in order; as many as the probabilities' sum.

    Args:
        share_N: in [0, 1], with a whole sum.
        random: decides.
    """
    order_N = random.permutation(len(share_N))
    until_N = share_N[order_N].cumsum()
    n = round(float(until_N[-1]))
    at = (random.random() + np.arange(n)) * max(until_N[-1] / n, share_N.max())  # no row twice
    return np.sort(order_N[np.searchsorted(until_N, at, side="right").clip(max=len(order_N) - 1)])
