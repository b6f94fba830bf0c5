"""Encoded stretches -> ``SPLIT.bin`` and ``SPLIT.idx``, with the counts of the manifest."""

import os
from pathlib import Path
from types import TracebackType

import numpy as np

from fairseq_plugin.corpus.encode import Encoded
from fairseq_plugin.corpus.folder import PIECE
from fairseq_plugin.corpus.manifest import TextCounts
from fairseq_plugin.storage.items import ItemWriter


class SplitWriter:
    """Writes one split; use as a context manager.

    Attributes:
        counts: the split's counts.
        occurrences: int64 array ``(num_symbols,)``, how often each dictionary index was written.
    """

    def __init__(self, folder: str | os.PathLike[str], split: str, num_symbols: int) -> None:
        self._items = ItemWriter(Path(folder) / split, num_symbols)
        self._open = 0  # tokens of the document that has not ended yet
        self.counts = TextCounts()
        self.occurrences = np.zeros(num_symbols, dtype=np.int64)

    def __enter__(self) -> "SplitWriter":
        self._items.__enter__()
        return self

    def add(self, encoded: Encoded) -> None:
        """Append a stretch."""
        ends, tokens = encoded.ends, encoded.tokens
        lengths = np.diff(ends, prepend=0)
        lengths[:1] += self._open
        self._open = len(tokens) - int(ends[-1]) if len(ends) else self._open + len(tokens)
        self._items.add(tokens, [size for length in lengths.tolist() for size in item_lengths(length)])
        self.occurrences += np.bincount(tokens, minlength=len(self.occurrences))
        counts = self.counts
        counts.documents += len(ends)
        counts.tokens += len(tokens)
        counts.bytes += encoded.bytes
        counts.characters += encoded.characters
        counts.words += encoded.words
        counts.longest = max(counts.longest, int(lengths.max(initial=0)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert kind is not None or self._open == 0, "the last document has not ended"
        self._items.__exit__(kind, error, traceback)


def item_lengths(length: int) -> list[int]:
    """Tokens of a document's items: pieces of ``PIECE``, then the rest, which is never ``</s>`` alone."""
    if length <= PIECE + 1:
        return [length]
    whole, rest = divmod(length, PIECE)
    if rest < 2:
        return [PIECE] * (whole - 1) + [PIECE + rest]
    return [PIECE] * whole + [rest]
