"""What is in a column: its distinct cells and how often each occurs, collected chunk by chunk."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.number_counts import NumberCounts

# Distinct cells that are remembered, of one column and of all together: about 200 bytes each.
MOST_DISTINCT = 2_000_000
MOST_OF_ALL = 20_000_000
MOST_TEXTS = 100_000  # of one column, from which on its numbers are kept as numbers,
_NUMBERS_PER_TEXT = 10  # of which so many take the memory of one text
_LONGEST_WHOLE = 18  # digits of a whole number that 64 bits hold


@dataclass
class Profile:
    """Of one column.

    Attributes:
        counts: rows of each distinct cell; of a column with more than ``MOST_DISTINCT``, of the first ones.
        rows: all of them.
        num_bytes: of the longest cell, in UTF-8.
        is_whole: whether ``counts`` and ``numbers`` have every cell.
        numbers: of a column of very many numbers those that are alike; they are not in ``counts``.
        is_rising: whether each cell is a whole number above the one before.
    """

    counts: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    num_bytes: int = 0
    is_whole: bool = True
    numbers: NumberCounts | None = None
    is_rising: bool = True
    _next_look: int = MOST_TEXTS
    _last: int = -1

    @property
    def has_every_cell(self) -> bool:
        """Whether ``counts`` alone has every cell."""
        return self.is_whole and self.numbers is None

    @property
    def num_distinct(self) -> int:
        """Different cells that are remembered."""
        return len(self.counts) + (0 if self.numbers is None else len(self.numbers))

    def add(self, cells: Iterable[str]) -> None:
        """Take note of more cells."""
        cells = list(cells)
        self.is_rising = self.is_rising and self._rises(cells)
        new = Counter(cells)
        self.rows += new.total()
        self.num_bytes = max(self.num_bytes, max((len(cell.encode("utf-8")) for cell in new), default=0))
        if self.numbers is not None:
            new = self.numbers.add(new)
        if self.is_whole:
            self.counts.update(new)
            if self.numbers is None and len(self.counts) > self._next_look:
                found = NumberCounts.of(self.counts)
                if found is None:
                    self._next_look *= 2
                else:
                    self.numbers, self.counts = found
            self.is_whole = len(self.counts) <= MOST_DISTINCT

    def _rises(self, cells: Iterable[str]) -> bool:
        for cell in cells:
            if len(cell) > _LONGEST_WHOLE or not cell.isdecimal() or int(cell) <= self._last:
                return False
            self._last = int(cell)
        return True


def check_memory(profiles: Iterable[Profile], names: Iterable[str]) -> None:
    """Refuse tables whose distinct cells would fill the memory.

    Raises:
        UserError: names the column with the most.
    """
    sizes = {
        name: len(profile.counts) + (profile.num_distinct - len(profile.counts)) // _NUMBERS_PER_TEXT
        for name, profile in zip(names, profiles)
    }
    if sum(sizes.values()) > MOST_OF_ALL:
        worst = max(sizes, key=lambda name: sizes[name])
        raise UserError(
            f"the columns have more than {MOST_OF_ALL:,} distinct cells together, {worst!r} alone "
            f"{sizes[worst]:,}: give columns of long numbers fewer decimals, or leave some out"
        )
