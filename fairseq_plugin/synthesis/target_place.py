"""Where a network shall read the target: before the other columns, or after them.

A target that the others nearly decide is told best when they are known; one that they only hint at is told
first, so that they can follow it (docs/tables.md has the measurements).
"""

import numpy as np

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.judges.rows import JudgedRows, judged_rows
from fairseq_plugin.synthesis.judges.usefulness import usefulness
from fairseq_plugin.tables.infer import infer
from fairseq_plugin.tables.profile import Profile
from fairseq_plugin.tables.reading import Row, TableFile
from fairseq_plugin.tables.schema import FIRST, LAST

NEARLY = 0.7  # of what can be known of a target
_MOST_ROWS = 2000
_TREES = 50


def target_place(table: TableFile, target: str, types: dict[str, str], seed: int) -> str:
    """``first`` or ``last``; ``first`` where the table does not say.

    Args:
        table: the rows to learn from.
        target: name of the target's column.
        types: ``{column: type}`` that overrule guesses.
        seed: of the models that try.
    """
    rows = _some_rows(table)
    profiles = [Profile() for _ in table.names]
    for profile, cells in zip(profiles, zip(*rows)):
        profile.add(cells)
    try:
        schema, _ = infer(table.names, profiles, target, FIRST, types)
    except UserError:  # preparing the table will say it, with the line
        return FIRST
    return LAST if decided(judged_rows(schema, table.names, rows), target, seed) >= NEARLY else FIRST


def decided(rows: JudgedRows, target: str, seed: int) -> float:
    """How much of a target models learn from the other columns, in (-inf, 1]: 1 is all, 0 what a guess gives.

    Models of two thirds of the rows are tested on the others; 0 where these are too few or all of one class,
    and where there are no other columns.
    """
    place_N = np.arange(len(rows))
    learnt, tested = rows.at(place_N[place_N % 3 > 0]), rows.at(place_N[place_N % 3 == 0])
    found = usefulness(learnt, tested, tested, target, seed, seeds=1, trees=_TREES)
    if found is None or found.guess == 1:  # tested rows of one class
        return 0.0
    return (max(found.real.forest, found.real.boosted) - found.guess) / (1 - found.guess)


def _some_rows(table: TableFile) -> list[Row]:
    """Evenly many of all parts of a table."""
    kept: list[Row] = []
    at, step = 0, 1
    for rows, _ in table.chunks():
        for row in rows:
            if at % step == 0:
                kept.append(row)
            at += 1
        while len(kept) > 2 * _MOST_ROWS:
            kept, step = kept[::2], 2 * step
    return kept
