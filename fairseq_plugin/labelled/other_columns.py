"""``SPLIT.cells.jsonl``: the source's other columns, kept so that real rows can be written as they were.

One line for each row of the split: a JSON list (TSV, CSV) or object (JSONL), see
:attr:`~fairseq_plugin.labelled.source.Row.cells`. A source of two columns has no such file.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.labelled.source import Cells, Row

SUFFIX = ".cells.jsonl"


def write_cells(folder: Path, split: str, rows: Sequence[Row]) -> None:
    """Write the file if any row has other columns."""
    if all(row.cells is None for row in rows):
        return
    with atomic_write(folder / f"{split}{SUFFIX}") as stream:
        for row in rows:
            stream.write(json.dumps(row.cells) + "\n")


def parse_cells(content: bytes, path: Path) -> list[Cells | None]:
    """The cells of each row.

    Args:
        content: the file's bytes.
        path: for messages.
    """
    try:
        return [json.loads(line) for line in content.split(b"\n")[:-1]]
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}); prepare the data again") from error
