"""Rows of known dependencies: ``y`` follows ``x`` and ``kind``, ``z`` nothing; some ``x`` are missing."""

import numpy as np

from fairseq_plugin.synthesis.judges.rows import judged_rows
from fairseq_plugin.tables.schema import CATEGORY, DECIMAL, INTEGER, KEY, Column, Schema

NAMES = ["id", "x", "kind", "y", "z"]
SCHEMA = Schema(
    (
        Column("id", KEY),
        Column("x", DECIMAL, missing="", decimals=3, low=-9000, high=9000),
        Column("kind", CATEGORY, values=("a", "b", "c")),
        Column("y", DECIMAL, decimals=3, low=-90000, high=90000),
        Column("z", INTEGER, low=0, high=9),
    ),
    "y",
)


def made_cells(num_rows, seed, independent=False):
    """Rows as cells; ``independent``: each column shuffled on its own."""
    draw = np.random.default_rng(seed)
    x, kind, z = (
        draw.normal(size=num_rows),
        draw.choice(3, num_rows, p=[0.5, 0.3, 0.2]),
        draw.integers(10, size=num_rows),
    )
    y = 2 * x + 3 * kind + draw.normal(size=num_rows) / 2
    missing = draw.random(num_rows) < 0.1
    columns = [
        [f"id-{seed}-{one}" for one in range(num_rows)],
        ["" if gone else f"{one:.3f}" for one, gone in zip(x, missing)],
        ["abc"[one] for one in kind],
        [f"{one:.3f}" for one in y],
        [str(one) for one in z],
    ]
    if independent:
        columns = [[column[at] for at in draw.permutation(num_rows)] for column in columns]
    return [list(row) for row in zip(*columns)]


def made_rows(num_rows, seed, independent=False):
    return judged_rows(SCHEMA, NAMES, made_cells(num_rows, seed, independent))
