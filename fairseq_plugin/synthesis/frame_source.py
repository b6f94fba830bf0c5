"""A DataFrame as the table from which rows are learnt."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.frames import Layout, cells_of, require_pandas
from fairseq_plugin.synthesis.request import SynthesisRequest
from fairseq_plugin.tables.schema import CATEGORY, KEY, Schema, listed
from fairseq_plugin.tables.schema import NAME as SCHEMA
from fairseq_plugin.tables.writing import write_table

if TYPE_CHECKING:
    from pandas import DataFrame

GivenSchema = str | Path | Mapping[str, Any] | Schema


def given_schema(given: GivenSchema, names: Sequence[str], target: str | None) -> Schema:
    """A schema for the columns of a frame.

    Args:
        given: a ``schema.json``, its content, or a Schema.
        names: of the frame's columns.
        target: that was asked for beside it.

    Raises:
        UserError: it is none, or is of other columns or another target.
    """
    if isinstance(given, Schema):
        schema = given
    else:
        schema = Schema.from_json(dict(given), "schema") if isinstance(given, Mapping) else Schema.load(given)
    if schema.names != list(names):
        raise UserError(
            f"schema: it has the columns {listed(schema.names)}, the frame has {listed(names)}: they must be "
            "the same, in the same order"
        )
    if target is not None and schema.target not in (None, target):
        raise UserError(f"target {target!r}: the schema says {schema.target!r}; leave one of them out")
    return schema if target is None else replace(schema, target=target)


def frame_request(
    frame: "DataFrame", layout: Layout, schema: Schema | None, target: str | None, to: Path, **settings: Any
) -> SynthesisRequest:
    """Write a frame below a folder, and say how it is to be learnt.

    Args:
        frame, layout: the rows, and what :func:`layout_of` says of them.
        schema: instead of guesses; what is a categorical in the frame is a category in any case.
        target: the column that models of the table shall predict.
        to: the folder.
        settings: of the request.

    Raises:
        UserError: a value that no cell can hold; names its column.
    """
    pandas, names, types = require_pandas(), list(layout), []
    write_table(to / "table.csv", names, cells_of(frame), "csv")
    if schema is not None:
        for column in schema.columns:
            is_number = pandas.api.types.is_numeric_dtype(layout[column.name].dtype)
            if column.type == KEY and is_number and not column.value:
                raise UserError(
                    f"schema: column {column.name!r} is a key of numbers: its value must be the largest one"
                )
        target, path = None, to / SCHEMA
        path.write_text(json.dumps(schema.to_json()), encoding="utf-8")
    else:
        path = None
        types = [
            f"{name}={CATEGORY}"
            for name, column in layout.items()
            if isinstance(column.dtype, pandas.CategoricalDtype) and frame.iloc[:, names.index(name)].count()
        ]
    request = SynthesisRequest(
        to / "table.csv", to, header="yes", target=target, types=types, schema=path, held_out=0, **settings
    )
    request.check()
    return request
