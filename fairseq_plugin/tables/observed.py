"""Conditions on rows of a prepared table: what its training rows hold, and what no row can have."""

from functools import partial
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.code.rows import RowCode
from fairseq_plugin.tables.conditions import Condition, parse_condition
from fairseq_plugin.tables.learnt import learnt_rows


def observed_cells(code: RowCode, data: Path, places: tuple[int, ...]) -> frozenset[tuple[str, ...]]:
    """The cells that training rows have in some columns.

    Args:
        code: of the rows.
        data: the prepared folder.
        places: of the columns in the schema; columns that are modelled.

    Raises:
        UserError: the folder is damaged.
    """
    rows = learnt_rows(code, data)
    return frozenset(tuple(cells[place] or "" for place in places) for cells in rows)


def condition_on(text: str, code: RowCode, data: Path | None) -> Condition:
    """Read a condition.

    Args:
        text: the condition.
        code: of the rows.
        data: the prepared folder; None: ``observed(...)`` is refused.

    Raises:
        UserError: it is none, names what the table does not have, or asks for a cell that no row can have.
    """
    observed = None if data is None else partial(observed_cells, code, data)
    condition = parse_condition(text, code.schema, observed)
    check_possible(code, condition)
    return condition


def check_possible(code: RowCode, where: Condition) -> None:
    """Refuse a condition that asks for a cell which its column does not hold."""
    names = code.names
    for name, cell in where.equal.items():
        if name in names:
            try:
                code.encode_cell(names.index(name), cell)
            except UserError as error:
                raise UserError(f"condition {where.text!r}: no row fulfils it: {error}") from error
