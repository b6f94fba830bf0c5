"""From drawn symbols to the cells of whole rows."""

from collections.abc import Sequence

from fairseq_plugin.tables.code.rows import RowCode
from fairseq_plugin.tables.schema import DROP, KEY


class RowCells:
    """Decodes rows of a code into the columns of the written table.

    Args:
        code: of the table.

    Attributes:
        names: of the columns that are written: all but those dropped.
    """

    def __init__(self, code: RowCode) -> None:
        self._code = code
        columns = code.schema.columns
        self._kept = [place for place, column in enumerate(columns) if column.type != DROP]
        self.names = [columns[place].name for place in self._kept]

    def __call__(self, symbols: Sequence[int], number: int, given: Sequence[str | None] = ()) -> list[str]:
        """The cells of a row.

        Args:
            symbols: of the whole row.
            number: of the row, from 0; keys are made from it.
            given: see :meth:`RowCode.decode`.

        Raises:
            ValueError: the symbols are no row.
        """
        found = self._code.decode(symbols, given)
        cells: list[str] = []
        for place in self._kept:
            column, cell = self._code.schema.columns[place], found[place]
            if cell is None:
                assert column.type == KEY
                cell = column.new_key(number)
            cells.append(cell)
        return cells
