"""Rows that are kept from the model, so that its own rows can be judged by them."""

from dataclasses import dataclass

import numpy as np

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.judges.discriminator import FEWEST_ROWS
from fairseq_plugin.synthesis.request import SynthesisRequest
from fairseq_plugin.tables.reading import EMPTY_LINE, TableFile, left_out
from fairseq_plugin.tables.schema import listed
from fairseq_plugin.tables.writing import write_table

_SEED = 0x5EED  # with the request's: another draw than that of the validation rows


@dataclass(frozen=True)
class Source:
    """The rows to learn from, and those that judge.

    Attributes:
        learnt: table to learn from.
        held_out: real rows that the model never sees; None: nothing is judged.
        is_ours: ``learnt`` is a part that was written here, a CSV file with a header.
        note: lines that are no rows, and why nothing is held out although it was asked for; else empty.
    """

    learnt: TableFile
    held_out: TableFile | None
    is_ours: bool = False
    note: str = ""


def hold_out(request: SynthesisRequest) -> Source:
    """Divide a table, or take the ``test`` file that was given.

    The parts are written to ``to/split``: the same ones for the same table, share and seed.

    Raises:
        UserError: the table cannot be read, or the test file has other columns.
    """
    names = request.columns.split(",") if request.columns else None
    table = TableFile.open(request.table, header=request.header, names=names)
    if request.test is not None:
        test = TableFile.open(request.test, header=request.header, names=names)
        if test.names != table.names:
            raise UserError(
                f"--test {request.test} has the columns {listed(test.names)}, {request.table} has "
                f"{listed(table.names)}: they must be the same, in the same order"
            )
        return Source(table, test, note=_count(test)[1])
    if request.held_out == 0:
        return Source(table, None)
    num_rows, note = _count(table)
    count = round(request.held_out * num_rows)
    if count < FEWEST_ROWS:
        return Source(
            table,
            None,
            note=f"{request.held_out:.0%} of {num_rows:,} rows are too few to judge by (at least "
            f"{FEWEST_ROWS}): nothing is held out, and there is no report",
        )
    is_held = np.zeros(num_rows, dtype=bool)
    is_held[np.random.default_rng([_SEED, request.seed]).permutation(num_rows)[:count]] = True
    folder = request.to / "split"
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for name, wanted in (("learnt", False), ("held_out", True)):
        path = folder / f"{name}.csv"
        every = (row for rows, _ in table.chunks() for row in rows)
        kept = (row for row, is_own in zip(every, (is_held == wanted).tolist()) if is_own)
        write_table(path, table.names, kept, "csv")
        parts.append(TableFile.open(path, "csv", "yes"))
    return Source(parts[0], parts[1], is_ours=True, note=note)


def _count(table: TableFile) -> tuple[int, str]:
    """The rows of a table, and a sentence on its empty lines, which no later step sees."""
    empty_lines: list[int] = []
    num_rows = table.num_rows(empty_lines)
    return num_rows, left_out(table.path, EMPTY_LINE, empty_lines) if empty_lines else ""
