"""The value of one column, given all others."""

from collections.abc import Sequence

import torch
from tqdm import tqdm

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.completion import MOST_VALUES, SHOW_AFTER, Completer, given_cells, values_of
from fairseq_plugin.tables.model import TableModel
from fairseq_plugin.tables.schema import CATEGORIES, DATE, NUMBERS


def predict(
    model: TableModel, rows: Sequence[Sequence[str]], name: str, seed: int = 0
) -> list[str] | list[float]:
    """A column's value given all other cells: the most probable one, or the expected number.

    Each value has its probability where the column has at most ``completion.MOST_VALUES``; the mean of a
    column of more numbers is that of ``completion.NUM_PARTICLES`` drawn ones.

    Args:
        rows: cells of all columns of the schema; what they have in this one is not looked at.
        name: of a column of numbers, dates or categories.
        seed: of drawn ones.

    Returns:
        Numbers in the column's own unit; else cells.

    Raises:
        UserError: no such column, or a text; a cell that its column does not hold.
    """
    code = model.code
    place = code.schema.place(name, "predict")
    column = code.schema.columns[place]
    if place not in code.order or (column.type not in NUMBERS and values_of(code, place) is None):
        raise UserError(f"predict: column {name!r} ({column.type}) cannot be predicted: choose numbers, "
                        f"dates, or a category of at most {MOST_VALUES:,} values")  # fmt: skip
    given = [given_cells(code, [*row[:place], None, *row[place + 1 :]]) for row in rows]
    completer = Completer(code, model.gpt2, present=True)
    if values_of(code, place) is None:
        found = completer.means(given, place, seed, "row {}")
        means = list(tqdm(found, "predicting", len(given), disable=None, delay=SHOW_AFTER))
    else:
        values, probability_NV = completer.probabilities(given, place, "row {}")
        if column.type in CATEGORIES:
            return [values[best] for best in probability_NV.argmax(1).tolist()]
        units_V = torch.tensor([column.units(value) for value in values], dtype=torch.float64)
        means = (probability_NV @ units_V).tolist()
    if column.type == DATE:
        return [column.cell(round(mean)) for mean in means]
    return [mean / 10**column.decimals for mean in means]
