"""Texts that few rows hold, known again by their digests: no new row repeats one whole."""

import hashlib
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.files import atomic_write
from fairseq_plugin.tables.schema import TEXT, Schema

NAME = "rare_texts.bin"
_STORED = np.dtype("<u8")


class RareTexts:
    """Of all columns of a table.

    Args:
        digests_N: uint64, sorted.
    """

    def __init__(self, digests_N: NDArray[np.uint64] | None = None) -> None:
        self._digests_N = np.empty(0, dtype=np.uint64) if digests_N is None else digests_N

    def __len__(self) -> int:
        return len(self._digests_N)

    def holds(self, name: str, text: str) -> bool:
        """Whether a text is a rare one of a column."""
        digest = np.uint64(_digest(name, text))
        at = int(np.searchsorted(self._digests_N, digest))
        return at < len(self) and bool(self._digests_N[at] == digest)

    def save(self, folder: Path) -> None:
        """Write ``rare_texts.bin`` into a folder."""
        with atomic_write(folder / NAME, "wb") as stream:
            stream.write(self._digests_N.astype(_STORED).tobytes())

    @classmethod
    def parse(cls, content: bytes) -> "RareTexts":
        """From the bytes of a ``rare_texts.bin``.

        Raises:
            ValueError: they are none.
        """
        return cls(np.frombuffer(content, dtype=_STORED).astype(np.uint64))


class TextCounts:
    """Counts the texts of a table, 8 bytes a cell, however many are different.

    Args:
        schema: of the table.
    """

    def __init__(self, schema: Schema) -> None:
        self._columns = [(at, column) for at, column in enumerate(schema.columns) if column.type == TEXT]
        self._digests = array("Q")

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Take note of the texts of more rows; missing cells are none."""
        for at, column in self._columns:
            cells = (row[at] for row in rows)
            self._digests.extend(_digest(column.name, cell) for cell in cells if not column.is_missing(cell))

    def rarer_than(self, num_rows: int) -> RareTexts:
        """Those of fewer rows."""
        digests_N, counts_N = np.unique(np.array(self._digests, dtype=np.uint64), return_counts=True)
        return RareTexts(digests_N[counts_N < num_rows])


def _digest(name: str, text: str) -> int:
    content = f"{len(name)} {name}{text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
