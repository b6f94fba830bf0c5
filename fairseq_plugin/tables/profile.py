"""What is in a column: its distinct cells and how often each occurs, collected chunk by chunk."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from fairseq_plugin.errors import UserError

# Distinct cells that are remembered, of one column and of all together: about 100 bytes each.
MOST_DISTINCT = 2_000_000
MOST_OF_ALL = 20_000_000


@dataclass
class Profile:
    """Of one column.

    Attributes:
        counts: rows of each distinct cell; of a column with more than ``MOST_DISTINCT``, of the first ones.
        rows: all of them.
        num_bytes: of the longest cell, in UTF-8.
        is_whole: whether ``counts`` has every cell.
    """

    counts: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    num_bytes: int = 0
    is_whole: bool = True

    def add(self, cells: Iterable[str]) -> None:
        """Take note of more cells."""
        new = Counter(cells)
        self.rows += new.total()
        self.num_bytes = max(self.num_bytes, max((len(cell.encode("utf-8")) for cell in new), default=0))
        if self.is_whole:
            self.counts.update(new)
            self.is_whole = len(self.counts) <= MOST_DISTINCT


def check_memory(profiles: Iterable[Profile], names: Iterable[str]) -> None:
    """Refuse tables whose distinct cells would fill the memory.

    Raises:
        UserError: names the column with the most.
    """
    sizes = {name: len(profile.counts) for name, profile in zip(names, profiles)}
    if sum(sizes.values()) > MOST_OF_ALL:
        worst = max(sizes, key=lambda name: sizes[name])
        raise UserError(
            f"the columns have more than {MOST_OF_ALL:,} distinct cells together, {worst!r} alone "
            f"{sizes[worst]:,}: give columns of long numbers fewer decimals, or leave some out"
        )
