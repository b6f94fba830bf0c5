"""DataFrames as cells, and cells as a DataFrame with the labels and the types that the original had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.extras import require_extra
from fairseq_plugin.tables.columnar import cell_of
from fairseq_plugin.tables.schema import listed

if TYPE_CHECKING:
    from pandas import DataFrame, Series

# What a column of Python objects may hold, all of one kind, and how a cell becomes one again.
_OBJECTS: dict[str, Any] = {
    "str": str,
    "bool": "True".__eq__,
    "int": int,
    "float": float,
    "Decimal": Decimal,
    "date": date.fromisoformat,
}


@dataclass(frozen=True)
class FrameColumn:
    """How a column is given back.

    Attributes:
        label: what the frame calls it; its name in the schema is the text of that.
        dtype: its type in pandas.
        holds: of a column of Python objects or texts, the name of their type; else "".
        has_empty: an empty text is a value of it, and no cell is missing.
    """

    label: str | int
    dtype: Any
    holds: str = ""
    has_empty: bool = False


Layout = Mapping[str, FrameColumn]  # by the name in the schema


def require_pandas() -> Any:
    """The package.

    Raises:
        UserError: it is not installed.
    """
    return require_extra("pandas", "a DataFrame", "notebook")


def names_of(frame: "DataFrame") -> list[str]:
    """Names of the columns in a schema: the texts of their labels, without blanks around them.

    Raises:
        UserError: a label that is no text or whole number, is empty, or is there twice.
    """
    names: list[str] = []
    for number, label in enumerate(frame.columns):
        if not isinstance(label, (str, int)):
            raise UserError(
                f"column {number + 1} of the frame is called {label!r}: give it a text as its name "
                "(frame.columns = [...])"
            )
        name = str(label).strip()
        if not name:
            raise UserError(
                f"column {number + 1} of the frame has no name: give it one (frame.columns = [...])"
            )
        if name in names:
            raise UserError(f"two columns of the frame are called {name!r}: give each its own name")
        names.append(name)
    return names


def layout_of(frame: "DataFrame") -> dict[str, FrameColumn]:
    """How frames like this one are given back.

    Raises:
        UserError: a column's label, or what it holds, cannot be given back; names it and the mend.
    """
    layout = {}
    for at, name in enumerate(names_of(frame)):
        values = frame.iloc[:, at]
        holds = _kind_of_objects(name, values)
        is_text = holds == "str" or isinstance(values.dtype, require_pandas().CategoricalDtype)
        has_empty = is_text and bool((values.astype(object) == "").any())
        if has_empty and bool(values.isna().any()):
            raise UserError(
                f"column {name!r} has empty texts and missing values, which a table does not tell apart: "
                f"replace one by the other, such as frame[{frame.columns[at]!r}].replace('', None)"
            )
        label = frame.columns[at]
        label = label if isinstance(label, str) else int(str(label))
        layout[name] = FrameColumn(label, values.dtype, holds, has_empty)
    return layout


def _kind_of_objects(name: str, values: "Series") -> str:
    """The one type of the values of a column of objects or texts; "" of any other column."""
    pandas = require_pandas()
    if isinstance(values.dtype, pandas.StringDtype):
        return "str"
    if not pandas.api.types.is_object_dtype(values.dtype):
        return ""
    kinds = sorted({type(one).__name__ for one in values.dropna()})
    if len(kinds) > 1:
        raise UserError(
            f"column {name!r} holds values of several types ({', '.join(kinds)}): make them one, by "
            f"frame[{name!r}].astype(str) or pandas.to_numeric"
        )
    if kinds and kinds[0] not in _OBJECTS:
        raise UserError(
            f"column {name!r} holds values of type {kinds[0]}: make them texts or numbers, or leave it out"
        )
    return kinds[0] if kinds else "str"


def cells_of(frame: "DataFrame") -> list[list[str]]:
    """The rows of a frame as cells; missing values are "".

    Raises:
        UserError: a value that no cell can hold; names its column and the mend.
    """
    columns = [_cells(name, frame.iloc[:, at]) for at, name in enumerate(names_of(frame))]
    return [list(cells) for cells in zip(*columns)]


def given_rows(frame: "DataFrame", columns: Sequence[str]) -> list[list[str | None]]:
    """The rows of a frame as cells of some columns: None where a value is missing, or the frame has no such
    column."""
    places = [columns.index(name) for name in names_of(frame)]
    rows = []
    for cells, missing in zip(cells_of(frame), frame.isna().to_numpy().tolist()):
        row: list[str | None] = [None] * len(columns)
        for place, cell, is_missing in zip(places, cells, missing):
            row[place] = None if is_missing else cell
        rows.append(row)
    return rows


def _cells(name: str, values: "Series") -> list[str]:
    pandas, kind = require_pandas(), values.dtype
    types = pandas.api.types
    missing = values.isna().tolist()
    if types.is_datetime64_any_dtype(kind):
        found = _moments(name, values)
    elif types.is_float_dtype(kind) and getattr(kind, "itemsize", 8) < 8:
        found = [cell_of(float(str(one))) for one in values.to_numpy(dtype="float32", na_value=float("nan"))]
    elif types.is_object_dtype(kind):
        _kind_of_objects(name, values)
        found = _each(values, missing)
    elif isinstance(kind, (pandas.CategoricalDtype, pandas.StringDtype)) or (
        types.is_numeric_dtype(kind) and not types.is_complex_dtype(kind)
    ):
        found = _each(values.astype(object), missing)
    else:
        raise UserError(
            f"column {name!r} has the type {kind}, which a table does not know: make it numbers or texts, "
            f"such as frame[{name!r}].astype(str)"
        )
    if types.is_float_dtype(kind) and (infinite := sum("inf" in cell for cell in found)):
        raise UserError(
            f"column {name!r} has {infinite:,} infinite values: make them missing, such as "
            f"frame[{name!r}].replace([float('inf'), -float('inf')], None)"
        )
    return ["" if is_missing else cell for is_missing, cell in zip(missing, found)]


def _each(values: "Series", missing: Sequence[bool]) -> list[str]:
    return ["" if is_missing else cell_of(one) for one, is_missing in zip(values, missing)]


def _moments(name: str, values: "Series") -> list[str]:
    """Days, or days and seconds (in UTC where the column has a time zone)."""
    if values.dt.tz is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    present = values.dropna()
    if bool((present != present.dt.floor("s")).any()):
        raise UserError(
            f"column {name!r} has parts of seconds: round them, such as frame[{name!r}].dt.floor('s')"
        )
    has_times = bool((present != present.dt.normalize()).any())
    form = "%Y-%m-%d %H:%M:%S" if has_times else "%Y-%m-%d"
    return values.dt.strftime(form).tolist()


def frame_of(names: Sequence[str], rows: Sequence[Sequence[str]], layout: Layout) -> "DataFrame":
    """Cells as a frame of the labels and types of ``layout``; "" is missing.

    Raises:
        UserError: cells that are none of their column's type, such as texts of an untrained model where the
            schema calls a column of numbers a text.
    """
    pandas, columns = require_pandas(), []
    for at, name in enumerate(names):
        try:
            columns.append(_typed(pandas, [row[at] for row in rows], layout[name]))
        except (ValueError, KeyError, ArithmeticError) as error:
            raise UserError(
                f"column {name!r} was {layout[name].dtype}, its new cells are not ({error}): give it another "
                "type in the schema, or in the frame that is learnt"
            ) from error
    frame = pandas.concat(columns, axis=1) if columns else pandas.DataFrame(index=range(len(rows)))
    frame.columns = [layout[name].label for name in names]
    return frame


def _typed(pandas: Any, cells: Sequence[str], column: FrameColumn) -> Any:
    kind, types = column.dtype, pandas.api.types
    values = [None if cell == "" and not column.has_empty else cell for cell in cells]
    if types.is_bool_dtype(kind):
        flags = [None if one is None else one == "True" for one in values]
        return pandas.Series(flags, dtype="boolean" if None in flags else kind)
    if types.is_integer_dtype(kind):
        whole = [None if one is None else int(one) for one in values]
        try:
            return pandas.Series(whole, dtype="Int64" if None in whole else kind)
        except (ValueError, TypeError, OverflowError):  # new keys of int8 may need more
            return pandas.Series(whole)
    if types.is_float_dtype(kind):
        return pandas.Series([float("nan") if one is None else float(one) for one in values], dtype=kind)
    if types.is_datetime64_any_dtype(kind):
        moments = pandas.Series(pandas.to_datetime(values))
        zone = getattr(kind, "tz", None)
        return (moments if zone is None else moments.dt.tz_localize("UTC").dt.tz_convert(zone)).astype(kind)
    if isinstance(kind, pandas.CategoricalDtype):
        known = {cell_of(one): one for one in kind.categories}
        return pandas.Series([None if one is None else known[one] for one in values], dtype=kind)
    restore = _OBJECTS[column.holds]
    return pandas.Series([None if one is None else restore(one) for one in values], dtype=kind)


def layout_to_json(layout: Layout) -> dict[str, Any]:
    """A layout as plain values; a type is its name, or the categories of a categorical."""
    pandas = require_pandas()
    stated = {}
    for name, column in layout.items():
        kind: Any = column.dtype
        if isinstance(kind, pandas.CategoricalDtype):
            categories = [_plain(one) for one in kind.categories]
            kind = {"categories": categories, "ordered": bool(kind.ordered)}
        else:
            kind = str(kind)
        stated[name] = {
            "label": column.label, "dtype": kind, "holds": column.holds, "has_empty": column.has_empty,
        }  # fmt: skip
    return stated


def _plain(category: Any) -> Any:
    """A category as JSON holds it: a text, number or truth value, or the cell of anything else."""
    value = category.item() if hasattr(category, "item") else category
    return value if isinstance(value, (str, bool, int, float)) else cell_of(category)


def layout_from_json(stated: Mapping[str, Any], where: object) -> dict[str, FrameColumn]:
    """The inverse of :func:`layout_to_json`.

    Raises:
        UserError: a type that pandas does not know; ``where`` names the file.
    """
    pandas = require_pandas()
    try:
        layout = {}
        for name, one in stated.items():
            kind = one["dtype"]
            if isinstance(kind, dict):
                kind = pandas.CategoricalDtype(kind["categories"], kind["ordered"])
            else:
                kind = pandas.api.types.pandas_dtype(kind)
            layout[name] = FrameColumn(one["label"], kind, one["holds"], one["has_empty"])
        return layout
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{where} is damaged ({error}); save the Table again") from error


def check_columns(frame: "DataFrame", names: Sequence[str], what: str) -> None:
    """Refuse a frame of other columns.

    Raises:
        UserError: names those that are missing, that are too many, or that both have another order.
    """
    found = names_of(frame)
    missing = [name for name in names if name not in found]
    more = [name for name in found if name not in names]
    if missing:
        raise UserError(f"{what}: the frame lacks the columns {listed(missing)}, which were learnt")
    if more:
        raise UserError(f"{what}: the frame has the columns {listed(more)}, which were not learnt: drop them")
    if found != list(names):
        raise UserError(
            f"{what}: the frame has the columns {listed(found)}: put them in order, {listed(names)}"
        )
