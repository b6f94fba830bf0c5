"""What the training rows of a prepared table hold."""

from pathlib import Path

import numpy as np

from fairseq_plugin.tables.code.rows import RowCode
from fairseq_plugin.tables.manifest import TableManifest, split_files


def observed_cells(code: RowCode, data: Path, places: tuple[int, ...]) -> frozenset[tuple[str, ...]]:
    """The cells that training rows have in some columns.

    Args:
        code: of the rows.
        data: the prepared folder.
        places: of the columns in the schema; columns that are modelled.

    Raises:
        UserError: the folder is damaged.
    """
    index, tokens = split_files(data, "train", TableManifest.load(data)).read()
    found: set[tuple[str, ...]] = set()
    for end, size in zip(np.cumsum(index.sizes).tolist(), index.sizes.tolist(), strict=True):
        cells = code.decode(tokens[end - size : end].tolist())
        found.add(tuple(cells[place] or "" for place in places))
    return frozenset(found)
