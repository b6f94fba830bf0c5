"""Rows drawn beside given cells that stand later in the order of columns, and what each of them weighs.

Columns are taken in order. Given cells are read; each run of columns that are not given is drawn under what
stands before it, and ends there: nobody draws what is given. The runs of all rows that end with the same
column are drawn together. Whatever else is drawn, a particle depends on (seed, its number, the given cells)
alone, and the particles of a row are weighed by themselves, so that their weights have the same bits.

Legend: K particles of one row.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.sampling.constraints import ConstraintMaker
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.tables.code.rows import RowCode
from fairseq_plugin.tables.drawing import RowDrawing, draw_again
from fairseq_plugin.tables.scoring import log_ratios
from fairseq_plugin.tables.walk import Walker, only_rows

NUM_PARTICLES = 128

Encoded = Mapping[int, Sequence[int]]  # symbols of cells by the column's number in the code, in its order
# Whole rows, and what they weigh: (K,) float64, the largest 1.
Candidates = tuple[list[list[int]], torch.Tensor]


class Particles:
    """See the module.

    Args:
        code: of the table, in fixed order.
        gpt2: in evaluation mode.
        draw: draws its rows.
        present: draw no missing cells.

    Attributes:
        num_redrawn: particles that were drawn again, because they repeated a rare text, so far.
    """

    def __init__(self, code: RowCode, gpt2: GPT2, draw: RowDrawing, present: bool) -> None:
        self._code, self._gpt2, self._draw, self._present = code, gpt2, draw, present
        device = gpt2.wte.weight.device
        self._model, self._drawn_by = Walker(code, device), Walker(code, device, True, present)
        self._until: dict[int, ConstraintMaker] = {}
        self.num_redrawn = 0

    def __call__(self, rows: Sequence[tuple[int, Encoded]], seed: int) -> list[Candidates]:
        """Particles and weights of rows.

        Args:
            rows: number and given cells of each; not all columns are given.
            seed: in [0, 2^64); with a row's number it keys its particles.
        """
        given_to = {one: given for number, given in rows for one in particles_of(number)}
        found = self._drawn(given_to, list(given_to), seed)

        def draw(some: list[int], new_seed: int) -> Mapping[int, Sequence[int]]:
            drawn = self._drawn(given_to, some, new_seed)
            found.update(drawn)
            return drawn

        self.num_redrawn += draw_again(self._code, found.items(), lambda one: given_to[one], seed, draw)
        return [self._weighed([found[one] for one in particles_of(number)], given) for number, given in rows]

    def _drawn(
        self, given_to: Mapping[int, Encoded], particles: Sequence[int], seed: int
    ) -> dict[int, list[int]]:
        """The symbols of particles, with their ends."""
        at_end: dict[int, list[tuple[int, int]]] = {}
        for one in particles:
            for begin, end in self._runs(given_to[one]):
                at_end.setdefault(end, []).append((one, begin))
        rows, num_cells = {one: [EOS] for one in particles}, dict.fromkeys(particles, 0)

        def read(one: int, end: int) -> None:
            """Read the given cells before a column."""
            for number in range(num_cells[one], end):
                rows[one] += given_to[one][number]

        for end in sorted(at_end):
            groups: dict[tuple[int, ...], list[int]] = {}
            for one, begin in at_end[end]:
                read(one, begin)
                groups.setdefault(tuple(rows[one]), []).append(one)
            new = self._draw.once(list(groups.items()), _run_seed(seed, end), constraint=self._to(end))
            for one, _ in at_end[end]:
                rows[one] = [EOS, *new[one][:-1]]
                num_cells[one] = end + 1
        for one in particles:
            read(one, len(self._code.order))
        return {one: [*row[1:], EOS] for one, row in rows.items()}

    def _runs(self, given: Encoded) -> Iterator[tuple[int, int]]:
        """First and last of the columns that are not given and follow each other."""
        begin = None
        for number in range(len(self._code.order) + 1):
            is_given = number in given or number == len(self._code.order)
            if not is_given and begin is None:
                begin = number
            elif is_given and begin is not None:
                yield begin, number - 1
                begin = None

    def _to(self, last: int) -> ConstraintMaker:
        if last not in self._until:
            self._until[last] = only_rows(self._code, self._present, last)
        return self._until[last]

    def _weighed(self, items: list[list[int]], given: Encoded) -> Candidates:
        """Equal particles are scored once, and so is nothing of what all have read before their first run."""
        first = next(number for number in range(len(self._code.order)) if number not in given)
        num_read = sum(len(given[number]) for number in range(first))
        drawn = [number for number in range(len(self._code.order)) if number not in given]
        place = {item: at for at, item in enumerate(dict.fromkeys(map(tuple, items)))}
        log_U = log_ratios(self._gpt2, self._model, self._drawn_by, list(place), drawn, num_read)
        return items, relative(log_U[[place[tuple(item)] for item in items]])


def particles_of(number: int) -> range:
    """The numbers of a row's particles."""
    return range(number * NUM_PARTICLES, (number + 1) * NUM_PARTICLES)


def _run_seed(seed: int, end: int) -> int:
    """The pool counts the symbols of each run from 0, so each has a seed of its own."""
    digest = hashlib.blake2b(f"{seed} run to {end}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def relative(log_weights_K: torch.Tensor) -> torch.Tensor:
    """Weights of which the largest is 1."""
    return (log_weights_K - log_weights_K.max()).exp()
