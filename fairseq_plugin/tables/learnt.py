"""The rows that a prepared table was made of, decoded again."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from fairseq_plugin.tables.code.rows import RowCode
from fairseq_plugin.tables.manifest import TableManifest, split_files


def learnt_rows(
    code: RowCode, data: Path, splits: Sequence[str] = ("train",), seed: int | None = None
) -> Iterator[list[str | None]]:
    """Rows of a prepared table, cells of all columns of the schema, None of those that are not modelled.

    A row with a rare value is left out: that has no text any more, and no new row has it.

    Args:
        code: of the rows.
        data: the prepared folder.
        splits: those that are not there have no rows.
        seed: of their order; None: as they are in the folder.

    Raises:
        UserError: the folder is damaged.
    """
    manifest = TableManifest.load(data)
    for split in splits:
        if split not in manifest.splits:
            continue
        index, tokens = split_files(data, split, manifest).read()
        ends, sizes = np.cumsum(index.sizes), index.sizes
        order = np.arange(len(sizes)) if seed is None else np.random.default_rng(seed).permutation(len(sizes))
        for row in order.tolist():
            end, size = int(ends[row]), int(sizes[row])
            with suppress(ValueError):
                yield code.decode(tokens[end - size : end].tolist())
