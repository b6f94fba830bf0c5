"""``scripts/prepare_table.py`` with every number told by its digits alone: no atoms, no ranges, no tree.

    python benchmarks/table_digits.py TABLE --to DIR ...

``table_defaults.py`` calls this. A column of numbers is one leaf, its whole range, so that what is left of a
number are the digits of its steps, the largest place first.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.tables.code import fit
from fairseq_plugin.tables.code.leaves import Leaves
from scripts.prepare_table import main


def whole_range(values, counts, low, high, rare):
    """One leaf, whatever the values; arguments as of :func:`~fairseq_plugin.tables.code.leaves.cut`."""
    ends = (np.array([end], dtype=np.int64) for end in (low, high, int(counts.sum())))
    return Leaves(*ends)


if __name__ == "__main__":
    fit.cut = whole_range
    main()
