"""A person's own function as a condition on rows."""

from collections.abc import Callable
from typing import Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.conditions import Condition, Row
from fairseq_plugin.tables.schema import DECIMAL, INTEGER, Schema


def function_condition(holds: Callable[[dict[str, Any]], object], schema: Schema) -> Condition:
    """A person's own function as a condition.

    Args:
        holds: called with the modelled cells of a row, ``{column: value}``: whole numbers as int, decimals as
            float, other cells as they are written, missing ones as None. True where the row is wanted.
        schema: of the table.
    """

    def test(row: Row) -> bool:
        try:
            return bool(holds(_values(row, schema)))
        except Exception as error:  # whatever a person's function does
            raise UserError(
                f"where: your function failed on {_values(row, schema)}: {type(error).__name__}: {error}"
            ) from error

    return Condition("your function", test, {})


def _values(row: Row, schema: Schema) -> dict[str, Any]:
    kinds: dict[str, Callable[[str], Any]] = {INTEGER: int, DECIMAL: float}
    return {
        column.name: None if column.is_missing(cell) else kinds.get(column.type, str)(cell)
        for column, cell in zip(schema.columns, row, strict=True)
        if column.is_modelled
    }
