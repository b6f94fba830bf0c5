"""Labelled rows as notebooks hold them: a pandas DataFrame, dicts, or pairs of text and label."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fairseq_plugin.augment.judges.score_columns import LABEL_PROBABILITY, LOG_PROBABILITY
from fairseq_plugin.errors import UserError
from fairseq_plugin.extras import require_extra
from fairseq_plugin.files import atomic_write
from fairseq_plugin.labelled.guess import Hints, choose_columns
from fairseq_plugin.labelled.rows import label_name

if TYPE_CHECKING:
    from pandas import DataFrame

MORE = (LOG_PROBABILITY, LABEL_PROBABILITY)  # names of the columns that follow the user's own

_EXACT = 2**53  # floats below are those whole numbers and no other

LabelValue = str | bool | int | float
Rows = Sequence[tuple[str, LabelValue]] | Sequence[Mapping[Any, Any]]


@dataclass(frozen=True)
class Columns:
    """Names of the two columns.

    Attributes:
        text, label: as the user has them.
        text_first: their order.
    """

    text: str | int = "text"
    label: str | int = "label"
    text_first: bool = True

    def row(
        self, text: object, label: object, more: Sequence[str], values: Sequence[object]
    ) -> dict[str | int, object]:
        """A row with these columns, and those named ``more`` after them; values beyond the names are left."""
        own = dict(zip(self.names, [text, label] if self.text_first else [label, text], strict=True))
        return {**own, **dict(zip(more, values))}

    @property
    def names(self) -> list[str | int]:
        """In order."""
        return [self.text, self.label] if self.text_first else [self.label, self.text]


@dataclass(frozen=True)
class Table:
    """Rows that were read.

    Attributes:
        columns: their names.
        texts: None where there is none.
        labels: None where there is none.
    """

    columns: Columns
    texts: list[str | None]
    labels: list[LabelValue | None]


def read_table(
    rows: "DataFrame | Rows", text_column: str | int | None = None, label_column: str | int | None = None
) -> Table:
    """Text and label of rows.

    Args:
        rows: a DataFrame, dicts, or pairs ``(text, label)``.
        text_column, label_column: a name, or a position from 0; None: guessed by common names. Of pairs: what
            to call their parts.

    Raises:
        UserError: no rows, other things than rows, or a column that cannot be told.
    """
    parts = [
        default if name is None else name
        for name, default in ((text_column, "text"), (label_column, "label"))
    ]
    found = _cells(rows, parts)
    names = {str(name): name for name in found}
    if len(names) < len(found):
        raise UserError(f"two columns have the same name: {', '.join(map(str, found))}; rename one")
    hints = Hints(text_column=_said(text_column), label_column=_said(label_column))
    text, label = choose_columns([*names], [*names], hints, "the rows")
    chosen = [list(found)[text], list(found)[label]]
    for name in chosen:
        if not isinstance(name, (str, int)) or name in MORE:
            raise UserError(f"a column of text or label cannot have the name {name!r}; rename it")
    return _table(found, Columns(chosen[0], chosen[1], text < label))


def read_known(rows: "DataFrame | Rows", columns: Columns) -> Table:
    """:func:`read_table` of rows whose columns are known; pairs are ``(text, label)``."""
    found = _cells(rows, [columns.text, columns.label])
    if missing := [name for name in columns.names if name not in found]:
        raise UserError(f"the rows have no column {missing[0]!r} (they have {', '.join(map(repr, found))})")
    return _table(found, columns)


def _table(found: Mapping[Any, Sequence[Any]], columns: Columns) -> Table:
    texts = [value if isinstance(value, str) else None for value in found[columns.text]]
    return Table(columns, texts, [label_value(value) for value in found[columns.label]])


def label_values(labels: Sequence[LabelValue | None]) -> dict[str, LabelValue]:
    """The user's own value of each label, by the name that preparation gives it: ``{"1": 1}``.

    Raises:
        UserError: two values of different types have the same name.
    """
    found: dict[str, LabelValue] = {}
    for value in labels:
        if value is None or not (name := label_name(value)):
            continue
        known = found.setdefault(name, value)
        if type(known) is not type(value):
            raise UserError(f"the labels {known!r} and {value!r} read the same; make them one")
    return found


def write_table(path: Path, table: Table) -> None:
    """Write rows as JSONL in the form that preparation reads: every text comes back as it is."""
    with atomic_write(path, "wb") as stream:
        for text, label in zip(table.texts, table.labels, strict=True):
            line = json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n"
            stream.write(line.encode("utf-8", errors="surrogatepass"))  # preparation refuses it with its line


def to_frame(
    rows: Sequence[Mapping[str | int, object]], columns: Columns, more: Sequence[str] = MORE
) -> "DataFrame":
    """Rows of our own as a DataFrame, also where there are none.

    Args:
        rows: each with all columns.
        columns: the user's own.
        more: names of those after them.

    Raises:
        UserError: pandas is not installed.
    """
    without = "; sample_rows() gives a list of dicts without it"
    pandas = require_extra("pandas", "a DataFrame", "notebook", without)
    records = [dict(row) for row in rows]
    return pandas.DataFrame.from_records(records, columns=[*columns.names, *more])


def is_frame(rows: object) -> bool:
    """Whether it is a DataFrame; pandas is not imported to find out."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(rows, pandas.DataFrame)


def _cells(rows: Any, parts: Sequence[str | int]) -> dict[Any, list[Any]]:
    """The values of each column; ``parts``: names of those of pairs."""
    if is_frame(rows):
        frame = cast("DataFrame", rows)
        if not frame.columns.is_unique:
            raise UserError(f"two columns have the same name: {', '.join(map(str, frame.columns))}")
        found = {name: frame[name].tolist() for name in frame.columns}
    elif not isinstance(rows, (list, tuple)):
        found = None
    elif rows and all(isinstance(row, Mapping) for row in rows):
        found = {name: [row.get(name) for row in rows] for name in rows[0]}
    elif all(isinstance(row, (list, tuple)) and len(row) == 2 for row in rows):
        found = {name: [row[place] for row in rows] for place, name in enumerate(parts)}
    else:
        found = None
    if found is None:
        raise UserError(
            f"{type(rows).__name__}: give a DataFrame, a list of (text, label), or a list of dicts with a "
            "text and a label"
        )
    if not found or not next(iter(found.values())):
        raise UserError("there are no rows")
    return found


def _said(column: str | int | None) -> str | None:
    return None if column is None else str(column)


def label_value(value: object) -> LabelValue | None:
    """A label as JSON holds it; None for one that is missing.

    1.0 is 1: pandas makes floats of whole numbers wherever one of a column is missing.

    Raises:
        UserError: it is no text, number or boolean.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if not isinstance(value, (str, bool, int, float)):
        raise UserError(f"the label {value!r} is a {type(value).__name__}; give texts, numbers or booleans")
    return value
