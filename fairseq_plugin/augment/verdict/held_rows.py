"""Real rows that measure whether new rows help: test, valid, or folds of train where both are small."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.augment.write_sets import Examples

LEAST = 30  # rows; on fewer no difference of any size can be told from chance
NUM_FOLDS = 5
FOLDS = "folds of train"


@dataclass(frozen=True)
class Part:
    """Rows to train on, and the rows that are answered then.

    Attributes:
        train, rows: no row is in both.
        groups_N: a row's settings are chosen on the rows of other groups; see :func:`.students.chosen`.
        counted_N: False for rows that only choose settings.
    """

    train: Examples
    rows: Examples
    groups_N: NDArray[np.int64]
    counted_N: NDArray[np.bool_]


@dataclass(frozen=True)
class Held:
    """The rows that measure.

    Attributes:
        name: ``"test"``, ``"valid"`` or :data:`FOLDS`.
        parts: one, or one for each fold; empty where no row can be held out.
    """

    name: str
    parts: list[Part]

    @property
    def num_rows(self) -> int:
        """Rows that are counted."""
        return sum(int(part.counted_N.sum()) for part in self.parts)

    @property
    def was_trained_on(self) -> bool:
        """The model that wrote the new rows has read the rows that measure them."""
        return self.name == FOLDS


def hold(real: Mapping[str, Examples], seed: int) -> Held:
    """Choose the rows that measure.

    The test set counts where it has :data:`LEAST` rows, and valid chooses the settings. Else valid counts,
    each half with the settings that the other half chooses. Else every row of train counts once, a fold at a
    time.

    Args:
        real: label index and text of the real rows, by split; ``train`` is there.
        seed: of halves and folds.
    """
    train, valid, test = (real.get(split, []) for split in ("train", "valid", "test"))
    if len(test) >= LEAST:
        counted = np.array([False] * len(valid) + [True] * len(test))
        groups = counted if len(valid) else np.arange(len(test)) % 2
        return Held("test", [Part(train, [*valid, *test], groups.astype(np.int64), counted)])
    if len(valid) >= LEAST:
        return Held("valid", [Part(train, valid, deal(valid, 2, seed), np.ones(len(valid), dtype=bool))])
    return Held(FOLDS, _folds(train, seed))


def deal(rows: Examples, num_groups: int, seed: int) -> NDArray[np.int64]:
    """A group for each row, the rows of every label spread evenly over the groups."""
    by_label: dict[int, list[int]] = {}
    for index, (label, _) in enumerate(rows):
        by_label.setdefault(label, []).append(index)
    groups_N, place = np.zeros(len(rows), dtype=np.int64), 0
    for label, members in sorted(by_label.items()):
        random.Random(f"{seed} {label}").shuffle(members)
        for index in members:
            groups_N[index] = place % num_groups
            place += 1
    return groups_N


def _folds(train: Examples, seed: int) -> list[Part]:
    """Folds of train; a label's only row is never held out."""
    labels = [label for label, _ in train]
    folds_N = deal(train, NUM_FOLDS, seed)
    parts = []
    for fold in range(NUM_FOLDS):
        is_held = [folds_N[index] == fold and labels.count(label) > 1 for index, label in enumerate(labels)]
        rows = [row for row, held in zip(train, is_held) if held]
        rest = [row for row, held in zip(train, is_held) if not held]
        if rows:
            parts.append(Part(rest, rows, np.full(len(rows), fold), np.ones(len(rows), dtype=bool)))
    return parts
