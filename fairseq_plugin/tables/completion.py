"""Rows of which some cells are given: the others are drawn, or their values weighed.

Given cells that come first in the order of columns are read, and what follows is drawn: exact; in random
order that is always so. Otherwise, with a fixed order:

* Where one cell alone is not given and its column has at most ``MOST_VALUES`` values, each value has its
  probability, and one is drawn by these: exact.
* Else ``NUM_PARTICLES`` rows are drawn that have the given cells, each symbol under what stands before it
  (the given cells after it are not seen yet), and one of these is drawn by its weight

      w = p(row) / q(row),     q: the probability of drawing it so

  (sampling-importance-resampling, Rubin 1988). It is exact in the limit of many; how many of them count is
  reported: ``(sum of w)^2 / (sum of w^2)`` of their number.

Legend: K candidates of one row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from tqdm import tqdm

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.errors import UserError
from fairseq_plugin.sampling.keyed_random import keyed_choice
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.tables.code.rows import FIXED, RowCode
from fairseq_plugin.tables.drawing import RowDrawing
from fairseq_plugin.tables.particles import (
    NUM_PARTICLES,
    Candidates,
    Encoded,
    Particles,
    particles_of,
    relative,
)
from fairseq_plugin.tables.schema import CATEGORIES, NUMBERS
from fairseq_plugin.tables.scoring import nats_of
from fairseq_plugin.tables.walk import Walker, only_rows

MOST_VALUES = 1000
_CHOICE = 1 << 40  # the step of the number by which a candidate is chosen: no row has so many symbols
_ROWS_AT_ONCE = 4096  # of all candidates
_PARTICLE_ROWS = _ROWS_AT_ONCE // NUM_PARTICLES
SHOW_AFTER = 5  # seconds, of a bar

Given = Mapping[int, str]  # cells by the column's place in the schema


@dataclass(frozen=True)
class Completed:
    """Attributes:
    symbols: of each row, with its end.
    effective: share of the particles that counted, the mean over the rows that needed them; 1.0 where every
        row is exact.
    num_redrawn: rows that were drawn again, because they repeated a rare text.
    """

    symbols: list[list[int]]
    effective: float
    num_redrawn: int


def given_cells(code: RowCode, row: Sequence[str | None]) -> dict[int, str]:
    """The cells of modelled columns that are not None, by the column's place."""
    return {place: cell for place in code.order if (cell := row[place]) is not None}


def values_of(code: RowCode, place: int) -> list[str] | None:
    """The cells that a column can have, the missing one left out; None for more than ``MOST_VALUES``, and for
    texts."""
    column = code.schema.columns[place]
    if column.type in NUMBERS and (column.high - column.low) // column.step < MOST_VALUES:
        return [column.cell(units) for units in range(column.low, column.high + 1, column.step)]
    if column.type in CATEGORIES and len(values := code.fitted[column.name]["values"]) <= MOST_VALUES:
        return list(values)
    return None


class Completer:
    """See the module.

    Args:
        code: of the table.
        gpt2: in evaluation mode.
        present: draw no missing cells: each cell is drawn as if none of its column were missing.
    """

    def __init__(self, code: RowCode, gpt2: GPT2, present: bool = False) -> None:
        self._code, self._gpt2, self._present = code, gpt2, present
        self._draw, self._walker = RowDrawing(code, gpt2), Walker(code, gpt2.wte.weight.device)
        self._particles = Particles(code, gpt2, self._draw, present)
        self._rows = only_rows(code, present)

    def complete(self, rows: Sequence[Given], numbers: Sequence[int], seed: int, what: str) -> Completed:
        """Draw what is not given.

        Args:
            rows: the given cells of each.
            numbers: of the rows, all different; with the seed they key the draws.
            seed: in [0, 2^64).
            what: names a row in messages, such as ``"row {}"``.

        Raises:
            UserError: a cell that its column does not hold; names row, column and the mend.
        """
        prompts: dict[tuple[int, ...], list[int]] = {}
        later: list[tuple[int, Encoded]] = []
        found: dict[int, list[int]] = {}
        for at, row in enumerate(rows):
            given = self._encoded(row, what.format(at))
            if len(given) == len(self._code.order):
                found[numbers[at]] = self._item(given, range(len(given)))
            elif self._comes_first(given):
                prompts.setdefault(self._beginning(given), []).append(numbers[at])
            else:
                later.append((numbers[at], given))
        found |= self._draw(list(prompts.items()), seed, constraint=self._rows)
        shares: list[float] = []
        with tqdm(total=len(later), desc="completing rows", disable=None, delay=SHOW_AFTER) as bar:
            for number, (items, weights_K), is_exact in self._candidates(later, seed):
                (chosen,) = keyed_choice(weights_K.cpu(), seed, torch.tensor([number]), _CHOICE)
                found[number] = items[chosen]
                if not is_exact:
                    shares.append(float(weights_K.sum() ** 2 / (weights_K**2).sum()) / len(weights_K))
                bar.update()
        effective = sum(shares) / len(shares) if shares else 1.0
        num_redrawn = self._draw.num_redrawn + self._particles.num_redrawn
        return Completed([found[number] for number in numbers], effective, num_redrawn)

    def probabilities(self, rows: Sequence[Given], place: int, what: str) -> tuple[list[str], torch.Tensor]:
        """The probability of each value of a column, given all others.

        Args:
            rows: cells of all modelled columns; that of ``place`` is not looked at.
            place: of a column in the schema that has :func:`values_of`.
            what: names a row in messages, such as ``"row {}"``.

        Returns:
            ``(values, (N, V) float64)``; each row of the tensor sums to 1.
        """
        values, number = values_of(self._code, place), self._code.order.index(place)
        assert values is not None
        order = list(range(len(self._code.order)))
        if self._code.order_kind != FIXED:  # then directly: the others first
            order = [*(one for one in order if one != number), number]
        own = [self._code.encode_cell(number, value) for value in values]
        nats: list[float] = []
        size = max(_ROWS_AT_ONCE // len(values), 1)
        for at in tqdm(range(0, len(rows), size), "predicting", disable=None, delay=SHOW_AFTER):
            items = []
            for offset, row in enumerate(rows[at : at + size]):
                others = {column: cell for column, cell in row.items() if column != place}
                given = self._encoded(others, what.format(at + offset))
                items += [self._item({**given, number: symbols}, order) for symbols in own]
            nats += nats_of(self._gpt2, self._walker, items, order)
        return values, (-torch.tensor(nats, dtype=torch.float64)).view(len(rows), len(values)).softmax(1)

    def means(self, rows: Sequence[Given], place: int, seed: int, what: str) -> Iterator[float]:
        """The expected units of a column of numbers, by particles.

        Args:
            rows: cells of all modelled columns but this one.
            place: of the column in the schema.
            seed: with a row's number from 0 on it keys the draws.
            what: names a row in messages, such as ``"row {}"``.
        """
        column = self._code.schema.columns[place]
        for at in range(0, len(rows), _PARTICLE_ROWS):
            some = [
                (number, self._encoded(row, what.format(number)))
                for number, row in enumerate(rows[at : at + _PARTICLE_ROWS], at)
            ]
            for items, weights_K in self._drawn(some, seed):
                units_K = [column.units(str(self._code.decode(item)[place])) for item in items]
                yield float(weights_K @ torch.tensor(units_K, dtype=torch.float64) / weights_K.sum())

    # -- given cells ---------------------------------------------------------------------------------------

    def _encoded(self, row: Given, what: str) -> dict[int, list[int]]:
        """The symbols of given cells by the column's number, in the order of the code."""
        given = {}
        for place, cell in row.items():
            number = self._code.order.index(place)
            try:
                given[number] = self._code.encode_cell(number, cell)
            except UserError as error:
                raise UserError(f"{what}: {error}") from error
        return dict(sorted(given.items()))

    def _comes_first(self, given: Encoded) -> bool:
        return self._code.order_kind != FIXED or list(given) == list(range(len(given)))

    def _beginning(self, given: Encoded) -> tuple[int, ...]:
        """The prompt: all given cells in random order, else those before the first that is not given."""
        prompt = [EOS]
        for turn, (number, symbols) in enumerate(given.items()):
            if number != turn and self._code.order_kind == FIXED:
                break
            prompt += symbols
        return tuple(prompt)

    def _item(self, given: Encoded, order: Sequence[int]) -> list[int]:
        """A whole row."""
        return [*(symbol for number in order for symbol in given[number]), EOS]

    # -- candidates ----------------------------------------------------------------------------------------

    def _listed(self, given: Encoded) -> Candidates | None:
        """A row for each value of the one column that is not given; None where values cannot all be tried
        (fixed order)."""
        left = [number for number in range(len(self._code.order)) if number not in given]
        if len(left) != 1 or self._code.order_kind != FIXED:
            return None
        (number,) = left
        column = self._code.schema.columns[self._code.order[number]]
        values = values_of(self._code, self._code.order[number])
        if not values:
            return None
        if column.missing is not None and not self._present:
            values = [column.missing, *values]
        order = range(len(self._code.order))
        encoded = [self._code.encode_cell(number, value) for value in values]
        items = [self._item({**given, number: symbols}, order) for symbols in encoded]
        num_read = sum(len(given[before]) for before in range(number))
        nats = nats_of(self._gpt2, self._walker, items, num_read=num_read)
        return items, relative(-torch.tensor(nats, dtype=torch.float64))

    def _candidates(
        self, rows: Sequence[tuple[int, Encoded]], seed: int
    ) -> Iterator[tuple[int, Candidates, bool]]:
        """Of rows by their numbers, in any order: candidates, and whether these are all that is possible."""
        for at in range(0, len(rows), _PARTICLE_ROWS):
            left = []
            for number, given in rows[at : at + _PARTICLE_ROWS]:
                if (listed := self._listed(given)) is not None:
                    yield number, listed, True
                else:
                    left.append((number, given))
            for (number, _), drawn in zip(left, self._particles(left, seed), strict=True):
                yield number, drawn, False

    def _drawn(self, rows: Sequence[tuple[int, Encoded]], seed: int) -> list[Candidates]:
        """Particles; where all that is given is read before they are drawn, they weigh the same."""
        if not all(self._comes_first(given) for _, given in rows):
            return self._particles(rows, seed)
        groups = [(self._beginning(given), particles_of(number)) for number, given in rows]
        drawn = self._draw(groups, seed, constraint=self._rows)
        equal_K = torch.ones(NUM_PARTICLES, dtype=torch.float64)
        return [([drawn[one] for one in ids], equal_K) for _, ids in groups]
