"""Conditions on rows, such as ``age >= 40 and sex == 'F'``: a small grammar of their own, nothing is run.

    condition   = both ("or" both)*
    both        = one ("and" one)*
    one         = "not" one | "(" condition ")" | "observed" "(" COLUMN ("," COLUMN)* ")" | COLUMN test
    test        = ("==" | "!=" | "<" | "<=" | ">" | ">=") (VALUE | COLUMN) | "in" "(" VALUE ("," VALUE)* ")"
                | "is" "missing" | "is" "not" "missing"

A COLUMN is a bare name or stands in backticks; a VALUE is a number (``-2.50``, ``+3``, ``.5``, ``1e5``) or
stands in quotes. Numbers and dates are compared as such and exactly, also with each other's columns
(``end >= start``); other columns know ``==``, ``!=`` and ``in``. A missing cell fulfils no comparison, but
for ``!=``. ``observed(city, country)`` holds where some training row has the same cells in these columns.
"""

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.dates import FORMS, parse_date
from fairseq_plugin.tables.domains import Domain, Domains, all_of, both, compared, either, one_of
from fairseq_plugin.tables.numbers import parse_written
from fairseq_plugin.tables.schema import CATEGORIES, CONSTANT, DATE, MODELLED, NUMBERS, Column, Schema, listed

_COMPARE: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge,
}  # fmt: skip
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<name>`[^`]+`)|(?P<sign>==|!=|<=|>=|<|>|[(),])
    |(?P<number>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?(?![\w.]))|(?P<word>[^\W\d]\w*))""",
    re.VERBOSE,
)
_WORDS = ("and", "or", "not", "in", "is", "missing")
_DEEPEST = 100  # brackets and "not" in each other

Row = Sequence[str]
Test = Callable[[Row], bool]
Observed = Callable[[tuple[int, ...]], frozenset[tuple[str, ...]]]  # places of columns -> cells of the rows


@dataclass(frozen=True)
class Condition:
    """A condition that was read.

    Attributes:
        text: as it was written.
        holds: whether a row's cells (of all columns) fulfil it.
        equal: cells that every such row has, ``{column: cell}``.
    """

    text: str
    holds: Test
    equal: dict[str, str]


def parse_condition(text: str, schema: Schema, observed: Observed | None = None) -> Condition:
    """Read a condition.

    Args:
        text: the condition.
        schema: of the table.
        observed: what the training rows hold in some columns; None: ``observed(...)`` is refused.

    Raises:
        UserError: it is none, or names a column or a value that the table does not have.
    """
    parser = _Parser(text, schema, observed)
    whole = parser.condition(0)
    if parser.kind != "end":
        raise parser.error("and, or, or its end")
    for name, domain in whole.domains.items():
        if domain.is_empty:
            column = schema.columns[schema.names.index(name)]
            raise UserError(f"condition {text!r}: no row fulfils it: {_what_it_holds(column)}")
    return Condition(text, whole.test, whole.equal)


def _what_it_holds(column: Column) -> str:
    """Of a column that is asked for what it does not hold."""
    name = f"column {column.name!r}"
    never = "" if column.missing is not None else " and is never missing"
    if column.type in NUMBERS:
        return f"{name} holds {column.range_in_words}{never}"
    if column.type == CONSTANT:
        return f"{name} is {column.value!r} in every row"
    return f"{name} holds {listed(column.values)}{never}" if column.values else f"{name} is never missing"


@dataclass(frozen=True)
class _Part:
    """A piece of a condition: its test, the cells that every row has which fulfils it, and what it leaves to
    columns."""

    test: Test
    equal: dict[str, str] = field(default_factory=dict)
    domains: Domains = field(default_factory=dict)


class _Parser:
    """Recursive descent."""

    def __init__(self, text: str, schema: Schema, observed: Observed | None) -> None:
        self._text, self._schema, self._observed = text, schema, observed
        self._tokens = self._read(text)
        self.kind, self._value, self._at = "", "", 0
        self._next()

    def _read(self, text: str) -> Iterator[tuple[str, str, int]]:
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                rest = text[at:].strip()[:20]
                raise UserError(f"condition {text!r}: {rest!r} cannot be read; put texts in quotes")
            kind = str(match.lastgroup)
            yield kind, match[kind], match.start(kind)
            at = match.end()
        yield "end", "", len(text)

    def _next(self) -> str:
        before = self._value
        self.kind, self._value, self._at = next(self._tokens, ("end", "", len(self._text)))
        return before

    def error(self, expected: str) -> UserError:
        found = repr(self._value) if self.kind != "end" else "the end"
        return UserError(f"condition {self._text!r}: expected {expected} at position {self._at}, not {found}")

    def _take(self, *values: str) -> bool:
        """Go on if the next token is one of these signs or words."""
        if self.kind in ("sign", "word") and self._value in values:
            self._next()
            return True
        return False

    def condition(self, depth: int) -> _Part:
        found = self._both(depth)
        while self._take("or"):
            left, right = found, self._both(depth)
            found = _Part(
                lambda row, a=left.test, b=right.test: a(row) or b(row),
                domains=either(left.domains, right.domains),
            )
        return found

    def _both(self, depth: int) -> _Part:
        found = self._one(depth)
        while self._take("and"):
            left, right = found, self._one(depth)
            found = _Part(
                lambda row, a=left.test, b=right.test: a(row) and b(row),
                {**left.equal, **right.equal},
                both(left.domains, right.domains),
            )
        return found

    def _one(self, depth: int) -> _Part:
        if depth > _DEEPEST:
            raise UserError(f"condition {self._text[:60]!r}...: more than {_DEEPEST} brackets in each other")
        if self._take("not"):
            test = self._one(depth + 1).test
            return _Part(lambda row: not test(row))
        if self._take("("):
            found = self.condition(depth + 1)
            if not self._take(")"):
                raise self.error("')'")
            return found
        if self._observed_begins():
            return _Part(self._observed_cells())
        return self._test(*self._column())

    def _observed_begins(self) -> bool:
        rest = self._text[self._at + len(self._value) :]
        return self.kind == "word" and self._value == "observed" and rest.lstrip().startswith("(")

    def _observed_cells(self) -> Test:
        if self._observed is None:
            raise UserError(f"condition {self._text!r}: observed(...) needs the training rows")
        self._next()
        places = []
        while self._take(",") if places else self._take("("):
            places.append(self._column(MODELLED)[0])
        if not self._take(")"):
            raise self.error("')'")
        cells = self._observed(tuple(places))
        return lambda row: tuple(row[place] for place in places) in cells

    def _column(self, types: Sequence[str] = (*MODELLED, CONSTANT)) -> tuple[int, Column]:
        if not self._column_begins():
            raise self.error("a column")
        where = f"condition {self._text!r}"
        place = self._schema.place(self._next().strip("`"), where)
        column = self._schema.columns[place]
        if column.type not in types:
            raise UserError(f"{where}: column {column.name!r} ({column.type}) is not drawn by the model")
        return place, column

    def _column_begins(self) -> bool:
        return self.kind == "name" or (self.kind == "word" and self._value not in _WORDS)

    def _test(self, place: int, column: Column) -> _Part:
        if self._take("is"):
            wanted = not self._take("not")
            if not self._take("missing"):
                raise self.error("missing")
            left = all_of(column)
            left = replace(left, first=1, last=0) if wanted else replace(left, missing=False)
            return _Part(lambda row: column.is_missing(row[place]) == wanted, domains={column.name: left})
        if self._take("in"):
            values = self._list(column)
            tests = [_comparison(place, column, "==", value) for value in values]
            left = one_of(_left(column, "==", value) for value in values)
            return _Part(lambda row: any(test(row) for test in tests), domains={column.name: left})
        sign = self._value
        if self.kind != "sign" or not self._take(*_COMPARE):
            raise self.error("a comparison, in, or is missing")
        if column.type not in NUMBERS and sign not in ("==", "!="):
            raise UserError(
                f"condition {self._text!r}: column {column.name!r} is a {column.type}, which has no order: "
                "use ==, != or in"
            )
        if self._column_begins():
            return _Part(self._two_columns(place, column, sign))
        value = self._cell(column)
        equal = {column.name: value} if sign == "==" else {}
        left = {column.name: _left(column, sign, value)}
        return _Part(_comparison(place, column, sign, value), equal, left)

    def _two_columns(self, place: int, column: Column, sign: str) -> Test:
        other_place, other = self._column()
        where = f"condition {self._text!r}: column {column.name!r} ({column.type})"
        if (column.type in NUMBERS) != (other.type in NUMBERS) or (column.type == DATE) != (
            other.type == DATE
        ):
            raise UserError(f"{where} cannot be compared with {other.name!r} ({other.type})")
        if column.type == DATE and ("%Y" in column.form) != ("%Y" in other.form):
            raise UserError(f"{where} cannot be compared with {other.name!r}: one is a time of day")
        compare = _COMPARE[sign]

        def test(row: Row) -> bool:
            cells = row[place], row[other_place]
            if column.is_missing(cells[0]) or other.is_missing(cells[1]):
                return sign == "!=" and cells[0] != cells[1]
            if column.type not in NUMBERS:
                return (cells[0] == cells[1]) == (sign == "==")
            return compare(_moment(column, cells[0]), _moment(other, cells[1]))

        return test

    def _list(self, column: Column) -> list[str]:
        if not self._take("("):
            raise self.error("'('")
        values = [self._cell(column)]
        while self._take(","):
            values.append(self._cell(column))
        if not self._take(")"):
            raise self.error("')'")
        return values

    def _cell(self, column: Column) -> str:
        if self.kind not in ("quoted", "number"):
            raise self.error("a number, a text in quotes, or a column")
        is_quoted, written = self.kind == "quoted", self._next()
        value = re.sub(r"\\(.)", r"\1", written[1:-1]) if is_quoted else written
        where = f"condition {self._text!r}: column {column.name!r}"
        if column.type == DATE:
            if parse_date(value, column.form) is None:
                raise UserError(f"{where} holds dates such as {column.cell(column.low)!r}, not {value!r}")
        elif column.type in NUMBERS:
            value = value.removeprefix("+")
            if parse_written(value) is None:
                raise UserError(f"{where} holds numbers, not {value!r}")
        if column.type in CATEGORIES and value not in column.values:
            raise UserError(f"{where} has no value {value!r}; it has {listed(column.values)}")
        return value


def _comparison(place: int, column: Column, sign: str, value: str) -> Test:
    if column.type not in NUMBERS:
        return lambda row: (row[place] == value) == (sign == "==")
    compare, wanted = _COMPARE[sign], _number(column, value)

    def test(row: Row) -> bool:
        if column.is_missing(row[place]):
            return sign == "!="
        return compare(_number(column, row[place]), wanted)

    return test


def _left(column: Column, sign: str, value: str) -> Domain:
    """What a comparison leaves to its column."""
    return compared(column, sign, _number(column, value) if column.type in NUMBERS else value)


def _moment(column: Column, cell: str) -> Fraction:
    """A number; of dates in seconds, whatever the form of their column."""
    return _number(column, cell) * (FORMS[column.form] if column.type == DATE else 1)


def _number(column: Column, cell: str) -> Fraction:
    if column.type == DATE:
        units = parse_date(cell, column.form)
        assert units is not None
        return Fraction(units)
    parsed = parse_written(cell)
    assert parsed is not None
    return Fraction(parsed[0], 10 ** parsed[1])
