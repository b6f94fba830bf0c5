"""Of more rows than are wanted, those that look most like real ones.

A random forest learns to tell drawn rows from training rows; each drawn row is judged by a forest that has
not seen it. With p the probability that a row is real, p / (1 - p) estimates the ratio of both densities, and
rows drawn with that weight follow the training rows better than the model's own do (discriminator rejection
sampling: Azadi et al. 2019, arXiv 1810.06758; without replacement as by Efraimidis & Spirakis 2006). The
ratio is noisier where real rows are rare, and too large close to a training row, which the forest has by
heart; so that no column's distribution moves, and no row comes closer to the training rows than these are to
each other, the weights are raked to the columns of the training rows and to their distances (iterative
proportional fitting: Deming & Stephan 1940). Rows are chosen, never changed.

Legend: N drawn rows, C columns.
"""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.judges.closeness import distances
from fairseq_plugin.synthesis.judges.discriminator import FEWEST_ROWS
from fairseq_plugin.synthesis.judges.rows import JudgedRows, judged_rows, without_missing
from fairseq_plugin.tables.code.rows import RowCode
from fairseq_plugin.tables.conditions import Condition
from fairseq_plugin.tables.learnt import learnt_rows
from fairseq_plugin.tables.model import DrawnRows

_TREES, _LEAST_ROWS_OF_A_LEAF = 200, 2
_PARTS = 5
_MOST_LEARNT = 20_000  # rows of each kind that a forest sees
_MOST_SURE = 50.0  # no row weighs so many times more or less than what an undecided forest gives it
_CLASSES = 20  # of a column of numbers, with about as many training rows each, whose shares are kept
_ROUNDS = 30  # of raking through all columns
_MOST_COMPARED = 5000  # training rows to which distances are taken
_MOST_RAKED = 5.0  # the weights of a class change by no more in a round


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
        UserError: too few real rows to learn from.
    """
    schema = code.schema
    learnt = ([cell or "" for cell in row] for row in learnt_rows(code, data, ("train", "valid"), seed))
    real = list(islice((row for row in learnt if where is None or where.holds(row)), _MOST_LEARNT))
    sets = judged_rows(schema, schema.names, real), judged_rows(schema, drawn.names, drawn.rows)
    places = choose_rows(*sets, n, seed)
    rows, numbers = ([of[place] for place in places] for of in (drawn.rows, drawn.numbers))
    return replace(drawn, rows=rows, numbers=numbers)


def choose_rows(real: JudgedRows, drawn: JudgedRows, n: int, seed: int, trees: int = _TREES) -> list[int]:
    """Places of ``n`` of the drawn rows, in order.

    Args:
        real: training rows.
        drawn: rows of the model, at least ``n``.
        n: how many to choose.
        seed: of the forests and of the choice.
        trees: of each forest.

    Raises:
        UserError: too few training rows to learn from.
    """
    if len(drawn) <= n:
        return list(range(len(drawn)))
    if len(real) < FEWEST_ROWS:
        raise UserError(
            f"choose-from: {len(real)} training rows to compare with (those that fulfil the condition, if "
            f"there is one) are too few; at least {FEWEST_ROWS} are needed. Give 1: rows as they are drawn"
        )
    weight_N = raked(log_ratio(real.some(_MOST_LEARNT, seed), drawn, seed, trees), real, drawn)
    noise_N = np.random.default_rng(seed).gumbel(size=len(drawn))
    return sorted(np.argsort(-(weight_N + noise_N), kind="stable")[:n].tolist())


def log_ratio(real: JudgedRows, drawn: JudgedRows, seed: int, trees: int = _TREES) -> NDArray[np.float64]:
    """Estimated log of (density of real rows / density of drawn rows) at each drawn row, ``(N,)``."""
    from sklearn.ensemble import RandomForestClassifier

    real_NC, drawn_NC = without_missing(real, drawn)
    random = np.random.default_rng(seed)
    part_N = random.permutation(len(drawn)) % _PARTS
    found_N = np.empty(len(drawn))
    for part in np.unique(part_N).tolist():
        own_N = part_N == part
        learnt = random.permutation(np.flatnonzero(~own_N))[:_MOST_LEARNT]
        forest = RandomForestClassifier(
            trees, min_samples_leaf=_LEAST_ROWS_OF_A_LEAF, random_state=seed + part
        )
        forest.fit(
            np.concatenate([real_NC, drawn_NC[learnt]]), np.repeat([1, 0], [len(real_NC), len(learnt)])
        )
        p_N = np.asarray(forest.predict_proba(drawn_NC[own_N]))[:, 1].clip(1e-9, 1 - 1e-9)
        # Beside the odds of a forest that cannot tell.
        found_N[own_N] = np.log(p_N / (1 - p_N)) - np.log(len(real_NC) / len(learnt))
    return found_N.clip(-np.log(_MOST_SURE), np.log(_MOST_SURE))


def raked(weight_N: NDArray[np.float64], real: JudgedRows, drawn: JudgedRows) -> NDArray[np.float64]:
    """Log weights under which the classes of each column have the shares that they have in the real rows; so
    have classes of the distance to the closest real row, which is that of a real row to the closest other.

    Args:
        weight_N: log weights of the drawn rows.
        real, drawn: the rows.
    """
    real_NC, drawn_NC = without_missing(real, drawn)
    compared = real.some(_MOST_COMPARED, 0)
    away = distances(compared, compared, to_others=True), distances(drawn, compared)
    columns: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    for real_N, drawn_N in [*zip(real_NC.T, drawn_NC.T), away]:
        cuts = np.unique(np.quantile(real_N, np.linspace(0, 1, _CLASSES + 1)[1:-1], method="lower"))
        class_N = np.searchsorted(cuts, drawn_N, side="right")
        share_K = np.bincount(np.searchsorted(cuts, real_N, side="right"), minlength=len(cuts) + 1)
        columns.append((class_N, share_K / len(real_N)))
    of_N = np.exp(weight_N - weight_N.max())
    for _ in range(_ROUNDS):
        for class_N, share_K in columns:
            drawn_K = np.bincount(class_N, of_N, minlength=len(share_K)) / of_N.sum()
            factor_K = np.divide(share_K, drawn_K, out=np.ones_like(share_K), where=drawn_K > 0)
            of_N *= factor_K.clip(1 / _MOST_RAKED, _MOST_RAKED)[class_N]
    return np.log(of_N)
