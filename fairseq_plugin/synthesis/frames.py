"""DataFrames as cells, and cells as a DataFrame with the types that the original had."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.extras import require_extra
from fairseq_plugin.tables.reading import cell_of
from fairseq_plugin.tables.schema import listed

if TYPE_CHECKING:
    from pandas import DataFrame


def require_pandas() -> Any:
    """The package.

    Raises:
        UserError: it is not installed.
    """
    return require_extra("pandas", "a DataFrame", "notebook")


def cells_of(frame: "DataFrame") -> list[list[str]]:
    """The rows of a frame as cells; missing values are ""."""
    pandas = require_pandas()
    columns = []
    for at, kind in enumerate(frame.dtypes):
        values = frame.iloc[:, at]
        if pandas.api.types.is_datetime64_any_dtype(kind):
            has_times = bool((values.dropna() != values.dropna().dt.normalize()).any())
            form = "%Y-%m-%d %H:%M:%S" if has_times else "%Y-%m-%d"
            columns.append(["" if pandas.isna(one) else one.strftime(form) for one in values])
        else:
            columns.append(["" if pandas.isna(one) else cell_of(one) for one in values.astype(object)])
    return [list(cells) for cells in zip(*columns)]


def frame_of(names: Sequence[str], rows: Sequence[Sequence[str]], dtypes: Mapping[str, Any]) -> "DataFrame":
    """Cells as a frame; columns get the types of ``dtypes``, "" is missing."""
    pandas = require_pandas()
    columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    return pandas.DataFrame({name: _typed(pandas, columns[name], dtypes[name]) for name in names})


def _typed(pandas: Any, cells: Sequence[str], kind: Any) -> Any:
    values = [None if cell == "" else cell for cell in cells]
    types = pandas.api.types
    if types.is_bool_dtype(kind):
        flags = [None if one is None else one == "True" for one in values]
        return pandas.Series(flags, dtype="boolean" if None in flags else kind)
    if types.is_integer_dtype(kind):
        whole = [None if one is None else int(one) for one in values]
        return pandas.Series(whole, dtype="Int64" if None in whole else kind)
    if types.is_float_dtype(kind):
        return pandas.Series([float("nan") if one is None else float(one) for one in values], dtype=kind)
    if types.is_datetime64_any_dtype(kind):
        return pandas.Series(pandas.to_datetime(values)).astype(kind)
    if isinstance(kind, pandas.CategoricalDtype):
        known = {cell_of(one): one for one in kind.categories}
        return pandas.Series([None if one is None else known.get(one, one) for one in values], dtype=kind)
    return pandas.Series(values, dtype=kind)


def types_to_json(dtypes: Mapping[str, Any]) -> dict[str, Any]:
    """Types of columns as plain values: a name, or the categories of a categorical."""
    pandas = require_pandas()
    return {
        name: {"categories": [cell_of(one) for one in kind.categories], "ordered": bool(kind.ordered)}
        if isinstance(kind, pandas.CategoricalDtype)
        else str(kind)
        for name, kind in dtypes.items()
    }


def types_from_json(stated: Mapping[str, Any], where: object) -> dict[str, Any]:
    """The inverse of :func:`types_to_json`; categories come back as texts.

    Raises:
        UserError: a type that pandas does not know; ``where`` names the file.
    """
    pandas = require_pandas()
    try:
        return {
            name: pandas.CategoricalDtype(kind["categories"], kind["ordered"])
            if isinstance(kind, dict)
            else pandas.api.types.pandas_dtype(kind)
            for name, kind in stated.items()
        }
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{where} is damaged ({error}); save the Table again") from error


def check_columns(frame: "DataFrame", names: Sequence[str], what: str) -> None:
    """Refuse a frame of other columns.

    Raises:
        UserError: names those that differ.
    """
    found = [str(name) for name in frame.columns]
    if found != list(names):
        raise UserError(f"{what}: the frame has the columns {listed(found)}, not {listed(names)}")
