"""Encoded stretches -> ``SPLIT.bin`` and ``SPLIT.idx``, with the counts of the manifest."""

from pathlib import Path

import numpy as np

from fairseq_plugin.corpus.folder import PIECE
from fairseq_plugin.storage.items import ItemWriter


class SplitWriter:
    """Writes one split; use as a context manager.

    Attributes:
        counts: the split's counts, see :class:`~fairseq_plugin.corpus.manifest.TextManifest`.
        occurrences: int64 array ``(vocabulary,)``, how often each dictionary index was written.
    """

    def __init__(self, folder, split, vocabulary):
        self._items = ItemWriter(Path(folder) / split, vocabulary)
        self._open = 0  # tokens of the document that has not ended yet
        self.counts = {"documents": 0, "tokens": 0, "bytes": 0, "characters": 0, "words": 0, "longest": 0}
        self.occurrences = np.zeros(vocabulary, dtype=np.int64)

    def __enter__(self):
        self._items.__enter__()
        return self

    def add(self, encoded):
        """Append an :class:`~fairseq_plugin.corpus.encode.Encoded`."""
        ends, tokens = encoded.ends, encoded.tokens
        lengths = np.diff(ends, prepend=0)
        lengths[:1] += self._open
        self._open = len(tokens) - int(ends[-1]) if len(ends) else self._open + len(tokens)
        self._items.add(tokens, [size for length in lengths.tolist() for size in item_lengths(length)])
        self.occurrences += np.bincount(tokens, minlength=len(self.occurrences))
        counts = self.counts
        counts["documents"] += len(ends)
        counts["tokens"] += len(tokens)
        counts["bytes"] += encoded.bytes
        counts["characters"] += encoded.characters
        counts["words"] += encoded.words
        counts["longest"] = max(counts["longest"], int(lengths.max(initial=0)))

    def __exit__(self, kind, error, traceback):
        assert kind is not None or self._open == 0, "the last document has not ended"
        self._items.__exit__(kind, error, traceback)


def item_lengths(length):
    """Tokens of a document's items: pieces of ``PIECE``, then the rest, which is never ``</s>`` alone."""
    if length <= PIECE + 1:
        return [length]
    whole, rest = divmod(length, PIECE)
    if rest < 2:
        return [PIECE] * (whole - 1) + [PIECE + rest]
    return [PIECE] * whole + [rest]
