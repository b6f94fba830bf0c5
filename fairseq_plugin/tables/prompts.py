"""Given cells as the beginning of a row: what a model reads before it draws the rest."""

from collections.abc import Mapping

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.tables.code.rows import RANDOM, RowCode
from fairseq_plugin.tables.schema import listed


def prompt_of(code: RowCode, given: Mapping[str, str], what: str) -> list[int]:
    """The prompt of a row with some given cells.

    Args:
        code: of the table.
        given: ``{column: cell}``; with a fixed order they must be the first columns of the code.
        what: who asks, for messages.

    Raises:
        UserError: an unknown column, a cell that the column does not hold, or columns that do not come
            first; names the mend.
    """
    schema = code.schema
    numbers = {}
    for name in given:
        place = schema.place(name, what)
        if place not in code.order:
            raise UserError(f"{what}: column {name!r} is {schema.columns[place].type} and not modelled")
        numbers[name] = code.order.index(place)
    first = code.names[: len(given)]
    if code.order_kind != RANDOM and set(first) != set(given):
        raise UserError(
            f"{what}: with the fixed order only the first columns can be given, here {listed(first)}; "
            "prepare the table with --order random to give any"
        )
    prompt = [EOS]
    for name in sorted(given, key=lambda name: numbers[name]):
        try:
            prompt += code.encode_cell(numbers[name], given[name])
        except UserError as error:
            raise UserError(f"{what}: {error}") from error
    return prompt


def parse_given(line: str) -> dict[str, str]:
    """The cells of a typed line ``NAME=CELL<TAB>NAME=CELL``; an empty line gives none.

    Raises:
        UserError: a part without ``=``, or a column given twice.
    """
    given: dict[str, str] = {}
    for part in line.split("\t") if line else ():
        name, equals, cell = part.partition("=")
        if not equals:
            raise UserError(f"{part!r}: expected NAME=CELL, several of them with tabs in between")
        if name in given:
            raise UserError(f"column {name!r} is given twice")
        given[name] = cell
    return given
