"""Texts that few rows hold, known again by their digests: no new row repeats one whole.

Neither does it in other capitals, blanks or marks: besides a text, its words are counted, and a text whose
words few rows have is as rare. A text with another letter has other words: it is not known again.
"""

import hashlib
import re
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.files import atomic_write
from fairseq_plugin.tables.schema import TEXT, Schema

NAME = "rare_texts.bin"
_STORED = np.dtype("<u8")
_WORDS_OF = "words of "  # names what is counted beside the texts of a column


class RareTexts:
    """Of all columns of a table.

    Args:
        digests_N: uint64, sorted: of texts and of their words.
    """

    def __init__(self, digests_N: NDArray[np.uint64] | None = None) -> None:
        self._digests_N = np.empty(0, dtype=np.uint64) if digests_N is None else digests_N

    def __len__(self) -> int:
        return len(self._digests_N)

    def holds(self, name: str, text: str) -> bool:
        """Whether a text is a rare one of a column, or has the words of one."""
        return any(self._has(digest) for digest in _digests(name, text))

    def _has(self, digest: int) -> bool:
        at = int(np.searchsorted(self._digests_N, np.uint64(digest)))
        return at < len(self) and int(self._digests_N[at]) == digest

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
    """Counts the texts of a table, 16 bytes a cell, however many are different.

    Args:
        schema: of the table.
    """

    def __init__(self, schema: Schema) -> None:
        self._columns = [(at, column) for at, column in enumerate(schema.columns) if column.type == TEXT]
        self._texts, self._words = array("Q"), array("Q")

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Take note of the texts of more rows; missing cells are none."""
        for at, column in self._columns:
            for cell in (row[at] for row in rows):
                if not column.is_missing(cell):
                    text, *words = _digests(column.name, cell)
                    self._texts.append(text)
                    self._words.extend(words)

    def num_rarer_than(self, num_rows: int) -> int:
        """How many different texts fewer rows have."""
        return len(_rare(self._texts, num_rows))

    def rarer_than(self, num_rows: int) -> RareTexts:
        """Those of fewer rows, and the words of fewer rows."""
        parts = [_rare(self._texts, num_rows), _rare(self._words, num_rows)]
        return RareTexts(np.unique(np.concatenate(parts)))


def _rare(digests: "array[int]", num_rows: int) -> NDArray[np.uint64]:
    digests_N, counts_N = np.unique(np.array(digests, dtype=np.uint64), return_counts=True)
    return digests_N[counts_N < num_rows]


def words_alone(text: str) -> str:
    """The words of a text, without its capitals, blanks and marks.

    >>> words_alone("Ann  lives in ROME!")
    'ann lives in rome'
    """
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def _digests(name: str, text: str) -> Iterator[int]:
    """Of a text, and of its words where it has some."""
    yield _digest(name, text)
    if words := words_alone(text):
        yield _digest(_WORDS_OF + name, words)


def _digest(name: str, text: str) -> int:
    content = f"{len(name)} {name}{text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
