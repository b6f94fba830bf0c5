"""Plain generators of table rows that a language model must beat: copies, a Gaussian copula, sequential CART.

Each takes the training rows as numbers (see ``synthesis/judges/rows.py``) and gives new rows as *places*: for
every new row and column, the training row whose cell is taken. So every cell is one that occurs, as written.

Legend: N training rows, M new rows, C columns.
"""

import numpy as np
from scipy.stats import norm, rankdata

from fairseq_plugin.synthesis.judges.pairs import trends
from fairseq_plugin.synthesis.judges.rows import without_missing

LEAF = 10  # training rows of a leaf of CART, at least


def copies(train, target, num_rows, seed):
    """Training rows, drawn with replacement."""
    del target
    drawn = np.random.default_rng(seed).integers(len(train), size=num_rows)
    return np.repeat(drawn[:, None], len(train.columns), axis=1)


def gaussian_copula(train, target, num_rows, seed):
    """A copula for each value of the category that goes with the other columns most, where there is one."""
    del target
    draw = np.random.default_rng(seed)
    (values_NC,) = without_missing(train)
    categories = np.flatnonzero(train.is_category_C)
    groups_N = np.zeros(len(train))
    if len(categories):
        strength_C = np.abs(trends(train.values_NC, train.is_category_C)).sum(1)
        groups_N = values_NC[:, categories[strength_C[categories].argmax()]]
    drawn_M = groups_N[draw.integers(len(train), size=num_rows)]
    places_MC = np.zeros((num_rows, len(train.columns)), dtype=np.int64)
    for group in np.unique(drawn_M).tolist():
        own, rows = np.flatnonzero(groups_N == group), np.flatnonzero(drawn_M == group)
        places_MC[rows] = own[_copula(values_NC[own], len(rows), draw)]
    return places_MC


def _copula(values_NC, num_rows, draw):
    """Normal scores of ranks (ties broken at random), their correlations, and the places of new ranks."""
    shuffled = draw.permutation(len(values_NC))
    ranks_NC = rankdata(values_NC[shuffled], method="ordinal", axis=0)[np.argsort(shuffled)]
    scores_NC = norm.ppf((ranks_NC - 0.5) / len(values_NC))
    drawn_MC = draw.multivariate_normal(np.zeros(values_NC.shape[1]), np.corrcoef(scores_NC.T), num_rows)
    order_NC = np.argsort(values_NC, axis=0, kind="stable")
    at_MC = (norm.cdf(drawn_MC) * len(values_NC)).astype(int).clip(0, len(values_NC) - 1)
    return np.take_along_axis(order_NC, at_MC, axis=0)


def cart(train, target, num_rows, seed):
    """Column after column, the target first: a cell is that of a training row in the same leaf of a tree over
    the columns before it (as synthpop does)."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    draw = np.random.default_rng(seed)
    (values_NC,) = without_missing(train)
    first = [column.column.name for column in train.columns].index(target)
    order = [first, *(place for place in range(len(train.columns)) if place != first)]
    places_MC = np.zeros((num_rows, len(order)), dtype=np.int64)
    places_MC[:, first] = draw.integers(len(train), size=num_rows)
    new_MC = np.zeros((num_rows, len(order)))
    new_MC[:, first] = values_NC[places_MC[:, first], first]
    for turn, place in enumerate(order[1:], start=1):
        before = order[:turn]
        kind = DecisionTreeClassifier if train.columns[place].is_category else DecisionTreeRegressor
        tree = kind(min_samples_leaf=LEAF, random_state=seed).fit(values_NC[:, before], values_NC[:, place])
        leaf_N, leaf_M = tree.apply(values_NC[:, before]), tree.apply(new_MC[:, before])
        for leaf in np.unique(leaf_M).tolist():
            rows = np.flatnonzero(leaf_M == leaf)
            places_MC[rows, place] = draw.choice(np.flatnonzero(leaf_N == leaf), size=len(rows))
        new_MC[:, place] = values_NC[places_MC[:, place], place]
    return places_MC


RIVALS = {"copies of training rows": copies, "Gaussian copula": gaussian_copula, "sequential CART": cart}


def rival_rows(name, train, target, num_rows, seed):
    """New rows of one of ``RIVALS`` as cells.

    Args:
        name: of the rival.
        train: training rows.
        target: name of the column that stands first.
        num_rows: how many.
        seed: of every draw.
    """
    places_MC = RIVALS[name](train, target, num_rows, seed).tolist()
    return [tuple(train.cells[at][place] for place, at in enumerate(row)) for row in places_MC]
