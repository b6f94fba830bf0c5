"""What the columns of a table are: inferred, shown, and overruled by whoever knows better.

``schema.json`` is meant to be edited. Numbers in it stand as the table writes them::

    {"columns": [{"name": "Rings", "type": "integer", "min": "1", "max": "29", "step": "1"},
                 {"name": "Sex", "type": "category", "values": ["F", "I", "M"]}],
     "target": "Rings", "target_place": "first"}
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.dates import FORMS, format_date, parse_date
from fairseq_plugin.tables.numbers import LARGEST_UNITS, MAX_DECIMALS, STYLES, format_units, to_units

NAME = "schema.json"
INTEGER, DECIMAL, DATE = "integer", "decimal", "date"
CATEGORY, BOOLEAN, TEXT = "category", "boolean", "text"
CONSTANT, KEY, DROP = "constant", "key", "drop"
NUMBERS = (INTEGER, DECIMAL, DATE)
CATEGORIES = (CATEGORY, BOOLEAN)
MODELLED = (*NUMBERS, *CATEGORIES, TEXT)
TYPES = (*MODELLED, CONSTANT, KEY, DROP)
FIRST, LAST, IN_FILE = PLACES = ("first", "last", "file")  # of the target in a row's code
MOST_BYTES = 1 << 16  # of a text: each of them, or each token, is a position of the network


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: unique in the table, not empty.
        type: one of ``TYPES``. ``constant`` is written back, ``key`` is made anew, ``drop`` is left out.
        missing: how a missing cell is written; None: no cell is missing.
        marks: further cells that are read as missing.
        decimals, style: of numbers; see :mod:`numbers`.
        rounded: cells of numbers with more decimals are rounded.
        form: of dates; one of ``dates.FORMS``.
        low, high, step: of numbers and dates, in units; values are ``low + i * step``.
        values: of categories, sorted; every cell is one of them.
        max_bytes: of texts that are written in bytes, in UTF-8.
        max_tokens: of texts that are written in GPT-2's tokens; one of both is 0.
        prefix: of keys: what new ones begin with.
        value: of constants; of keys the number that new ones follow, as wide as they are.
    """

    name: str
    type: str
    missing: str | None = None
    marks: tuple[str, ...] = ()
    decimals: int = 0
    rounded: bool = False
    style: str = "shortest"
    form: str = ""
    low: int = 0
    high: int = 0
    step: int = 1
    values: tuple[str, ...] = ()
    max_bytes: int = 0
    max_tokens: int = 0
    prefix: str = ""
    value: str = ""

    @property
    def is_modelled(self) -> bool:
        return self.type in MODELLED

    def is_missing(self, cell: str) -> bool:
        """Whether a cell is read as missing."""
        return self.missing is not None and (cell == self.missing or cell in self.marks)

    def units(self, cell: str) -> int | None:
        """Units of a number or date; None where the cell is none of this column's form."""
        if self.type == DATE:
            return parse_date(cell, self.form)
        return to_units(cell, self.decimals, self.rounded)

    def cell(self, units: int) -> str:
        """The cell of a number or date."""
        if self.type == DATE:
            return format_date(units, self.form)
        return format_units(units, self.decimals, self.style)

    @property
    def range_in_words(self) -> str:
        """Of numbers and dates, such as ``10 .. 34 in steps of 1``."""
        return f"{self.cell(self.low)} .. {self.cell(self.high)} in steps of {self._written_step}"

    @property
    def _written_step(self) -> int | str:
        return self.step if self.type == DATE else format_units(self.step, self.decimals, "shortest")

    def new_key(self, number: int) -> str:
        """The cell of a key column in new row ``number`` (from 0): no row of the table has it.

        >>> Column("id", KEY, value="812").new_key(0), Column("id", KEY, prefix="u", value="0040").new_key(4)
        ('813', 'u0045')
        """
        if not self.prefix and not self.value:  # a schema of an earlier version
            return f"{self.name}-{number + 1}"
        width = len(self.value) if self.value.startswith("0") else 0
        return self.prefix + str(int(self.value or 0) + 1 + number).zfill(width)

    def to_json(self) -> dict[str, Any]:
        """As it is in the file: only what the type needs."""
        stated: dict[str, Any] = {"name": self.name, "type": self.type}
        if self.missing is not None:
            stated["missing"] = [self.missing, *self.marks]
        if self.type in NUMBERS:
            if self.type == DATE:
                stated["form"] = self.form
            else:
                stated |= {"decimals": self.decimals, "style": self.style}
                stated |= {"rounded": True} if self.rounded else {}
            low, high = self.cell(self.low), self.cell(self.high)
            stated |= {"min": low, "max": high, "step": self._written_step}
        elif self.type in CATEGORIES:
            stated["values"] = list(self.values)
        elif self.type == TEXT:
            stated |= {"max_tokens": self.max_tokens} if self.max_tokens else {"max_bytes": self.max_bytes}
        elif self.type in (CONSTANT, KEY):
            stated |= {"prefix": self.prefix} if self.prefix else {}
            stated["value"] = self.value
        return stated

    @classmethod
    def from_json(cls, stated: object, where: str) -> "Column":
        """From the file, checked.

        Raises:
            UserError: names the column and what is wrong with it.
        """
        if not isinstance(stated, dict):
            raise UserError(f'{where}: {stated!r} is no column; give an object with a "name" and a "type"')
        name, kind = stated.get("name"), stated.get("type")
        if not isinstance(name, str) or not name:
            raise UserError(f'{where}: a column without a name; give each one a "name"')
        where = f"{where}: column {name!r}"
        if kind not in TYPES:
            raise UserError(f"{where}: type {kind!r} is none of {', '.join(TYPES)}")
        marks = stated.get("missing", [])
        if not isinstance(marks, list) or not all(isinstance(mark, str) for mark in marks):
            raise UserError(f'{where}: "missing" must be a list of cells, such as ["", "NA"]')
        column = cls(name, kind, missing=marks[0] if marks else None, marks=tuple(marks[1:]))
        if kind in NUMBERS:
            return _numbers_from_json(column, stated, where)
        if kind in CATEGORIES:
            values = stated.get("values")
            if not values or not isinstance(values, list) or not all(isinstance(one, str) for one in values):
                raise UserError(f'{where}: "values" must be a list of texts, one at least')
            if twice := set(values) & set(marks):
                raise UserError(f'{where}: {min(twice)!r} is in "values" and in "missing"; leave it in one')
            return replace(column, values=tuple(sorted(set(values))))
        if kind == TEXT:
            return _text_from_json(column, stated, where)
        value = str(stated.get("value", ""))
        return _key_from_json(column, stated, where) if kind == KEY else replace(column, value=value)


def _key_from_json(column: Column, stated: Mapping[str, Any], where: str) -> Column:
    prefix, value = stated.get("prefix", ""), str(stated.get("value", ""))
    if not isinstance(prefix, str):
        raise UserError(f'{where}: "prefix" must be the text that new keys begin with, not {prefix!r}')
    if value and not value.removeprefix("-").isdecimal():
        raise UserError(f'{where}: "value" of a key must be its largest whole number or "", not {value!r}')
    return replace(column, prefix=prefix, value=value)


def _text_from_json(column: Column, stated: Mapping[str, Any], where: str) -> Column:
    name = "max_tokens" if "max_tokens" in stated else "max_bytes"
    if name == "max_tokens" and "max_bytes" in stated:
        raise UserError(f'{where}: "max_bytes" and "max_tokens" are both there; leave one out')
    most = stated.get(name)
    if type(most) is not int or not 1 <= most <= MOST_BYTES:
        raise UserError(f'{where}: "{name}" must be in 1 .. {MOST_BYTES}, not {most!r}')
    return replace(column, **{name: most})


def _numbers_from_json(column: Column, stated: Mapping[str, Any], where: str) -> Column:
    decimals, style, form = stated.get("decimals", 0), stated.get("style", "shortest"), stated.get("form", "")
    if type(decimals) is not int or not 0 <= decimals <= MAX_DECIMALS:
        raise UserError(f'{where}: "decimals" must be in 0 .. {MAX_DECIMALS}, not {decimals!r}')
    if style not in STYLES:
        raise UserError(f"{where}: style {style!r} is none of {', '.join(STYLES)}")
    if column.type == DATE and (not isinstance(form, str) or form not in FORMS):
        raise UserError(f"{where}: form {form!r} is none of {', '.join(FORMS)}")
    rounded = stated.get("rounded", False)
    if type(rounded) is not bool:
        raise UserError(f'{where}: "rounded" must be true or false, not {rounded!r}')
    column = replace(column, decimals=decimals, rounded=rounded, style=style, form=form)
    low, high = column.units(str(stated.get("min"))), column.units(str(stated.get("max")))
    step = stated.get("step", 1)
    step = step if column.type == DATE and type(step) is int else to_units(str(step), decimals)
    if low is None or high is None or low > high or max(abs(low), abs(high)) >= LARGEST_UNITS:
        raise UserError(
            f'{where}: "min" {stated.get("min")!r} and "max" {stated.get("max")!r} must be cells of this '
            "column, the first not above the second"
        )
    if step is None or step < 1 or (high - low) % step:
        raise UserError(
            f'{where}: "step" {stated.get("step")!r} must be above 0 and lead from "min" to "max" exactly'
        )
    return replace(column, low=low, high=high, step=step)


@dataclass(frozen=True)
class Schema:
    """The columns of a table in the order of the file.

    Attributes:
        columns: all of them.
        target: what a model of the table shall predict, or None.
        target_place: where the model reads it: ``first``, ``last``, or as in the ``file``.
    """

    columns: tuple[Column, ...]
    target: str | None = None
    target_place: str = FIRST
    _places: dict[str, int] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._places.update({column.name: place for place, column in enumerate(self.columns)})

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def order(self) -> list[int]:
        """The modelled columns in the order in which a model reads them."""
        order = [place for place, column in enumerate(self.columns) if column.is_modelled]
        target = None if self.target is None else self._places[self.target]
        if target in order and self.target_place != IN_FILE:
            order.remove(target)
            order.insert(0 if self.target_place == FIRST else len(order), target)
        return order

    def place(self, name: str, what: str) -> int:
        """Position of a column.

        Args:
            name: of the column.
            what: who asks, for the message.

        Raises:
            UserError: there is none of this name.
        """
        if name not in self._places:
            raise UserError(f"{what}: there is no column {name!r}; the table has {listed(self.names)}")
        return self._places[name]

    def to_json(self) -> dict[str, Any]:
        """As it is in the file."""
        columns = [column.to_json() for column in self.columns]
        return {"columns": columns, "target": self.target, "target_place": self.target_place}

    @classmethod
    def from_json(cls, stated: object, where: str) -> "Schema":
        """From the file, checked.

        Raises:
            UserError: names the column, or the key, and the mend.
        """
        if not isinstance(stated, dict) or not isinstance(stated.get("columns"), list):
            raise UserError(f'{where}: expected an object with a list of "columns"')
        columns = tuple(Column.from_json(column, where) for column in stated["columns"])
        names = [column.name for column in columns]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"{where}: two columns are called {twice!r}; give each its own name")
        target, place = stated.get("target"), stated.get("target_place", "first")
        if target is not None and target not in names:
            raise UserError(f"{where}: target {target!r} is no column; there are {listed(names)}")
        if place not in PLACES:
            raise UserError(f"{where}: target_place {place!r} is none of {', '.join(PLACES)}")
        return cls(columns, target, place)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Schema":
        """Read a ``schema.json``.

        Raises:
            UserError: it cannot be read, is no JSON, or is not a schema.
        """
        try:
            stated = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"--schema {path}: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"--schema {path} is not JSON: {error}") from error
        return cls.from_json(stated, str(path))


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names for a message.

    >>> listed(["a", "b"])
    "'a', 'b'"
    """
    shown = ", ".join(repr(name[:40]) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
