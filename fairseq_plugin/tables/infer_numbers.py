"""What a column of numbers is: decimals, range and step, style, and how missing cells are written."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.keys import is_key, number_before_new, why_key
from fairseq_plugin.tables.number_counts import NumberCounts
from fairseq_plugin.tables.numbers import (
    INFINITE,
    LARGEST_UNITS,
    MAX_DECIMALS,
    parse_written,
    style_of,
    to_units,
)
from fairseq_plugin.tables.profile import Profile
from fairseq_plugin.tables.schema import DECIMAL, INTEGER, KEY, Column

EMPTY = ""
# Read as missing where all other cells are numbers or dates; in other columns they may be values.
MARKS = frozenset({"NA", "N/A", "n/a", "NaN", "nan", "-nan", "NULL", "Null", "null", "None", "none", "<NA>",
                   "?", "-", "."})  # fmt: skip
_MOSTLY = 0.9  # so large a share of numbers is a column of numbers with slips in it,
_MANY = 100  # if it has more different ones than codes such as 1 .. 9, X
_DIGITS = 7  # of the range of a column that is rounded: about what single precision holds
_SHOWN = 24  # digits of a number in a message


@dataclass(frozen=True)
class Guess:
    """A column and why it was taken for this."""

    column: Column
    why: str


@dataclass(frozen=True)
class _Found:
    """The numbers of a column, in units of 10^-decimals; ``style`` None: cells are rewritten."""

    decimals: int
    is_rounded: bool
    style: str | None
    low: int
    high: int
    step: int
    num_distinct: int


def of_numbers(
    name: str, profile: Profile, cells: Sequence[str], marks: Sequence[str], may_be_key: bool = True
) -> Guess | None:
    """A column of numbers; None where it is none.

    Args:
        name: of the column.
        profile: of the column.
        cells: its different cells that are neither missing nor among ``profile.numbers``.
        marks: cells that may be written for a missing number.
        may_be_key: take whole numbers for a key where :func:`~.keys.why_key` has a reason.

    Raises:
        UserError: a few of its cells are no numbers, or numbers are beyond 64 bits.
    """
    parsed = [parse_written(cell) for cell in cells]
    parts = [one for one in parsed if one is not None]
    if not parts and profile.numbers is None:
        return None
    if len(parts) < len(cells):
        refuse_slips(name, profile, cells, parsed, "numbers")
        return None
    found = _found(name, [cell.strip() for cell in cells], parts, profile.numbers)
    missing, others = missing_of(profile, marks)
    column = Column(
        name, DECIMAL if found.decimals else INTEGER, missing, others, decimals=found.decimals,
        rounded=found.is_rounded, style=found.style or "shortest", low=found.low, high=found.high,
        step=found.step,
    )  # fmt: skip
    is_whole = found.decimals == 0 and not found.is_rounded and not marks
    why = ""
    if may_be_key and is_whole and is_key(profile, found.num_distinct):
        why = why_key(name, profile, found.low, found.high, found.step)
    if why:
        before = number_before_new(found.low, found.high, found.num_distinct)
        return Guess(Column(name, KEY, value=str(before)), why)
    note = "" if found.style else "; cells are rewritten in one style"
    note = f", rounded to {found.decimals} decimals" if found.is_rounded else note
    return Guess(column, f"{found.num_distinct:,} different numbers{note}{blanks_note(cells)}")


def _found(
    name: str, cells: Sequence[str], parts: Sequence[tuple[int, int]], many: NumberCounts | None
) -> _Found:
    """What the numbers are; ``parts`` are those of ``cells``."""
    every = list(parts)
    if many is not None:
        every += [(int(many.merged()[0][end]), many.decimals) for end in (0, -1)]
    decimals, most = _decimals(name, every), max(have for _, have in every)
    is_rounded = decimals < most
    if is_rounded:
        units = [one for cell in cells if (one := to_units(cell, decimals, rounded=True)) is not None]
    else:
        units = [mantissa * 10 ** (decimals - have) for mantissa, have in parts]
    if many is None:
        style, step = style_of(cells, decimals), step_of(units)
        return _Found(decimals, is_rounded, style, min(units), max(units), step, len(set(units)))
    units_N, _ = many.at(decimals, is_rounded)
    low, high = min([int(units_N[0]), *units]), max([int(units_N[-1]), *units])
    step = math.gcd(int(np.gcd.reduce(units_N - low)), *(one - low for one in units)) or 1
    style = None if cells or decimals != many.decimals else many.style
    num_more = len(set(units) - set(units_N[np.isin(units_N, units)].tolist())) if units else 0
    return _Found(decimals, is_rounded, style, low, high, step, len(units_N) + num_more)


def _decimals(name: str, numbers: Sequence[tuple[int, int]]) -> int:
    """Decimals at which a column's numbers are units of 64 bits: all that they have, or fewer by rounding."""
    most = max(have for _, have in numbers)
    units = [mantissa * 10 ** (most - have) for mantissa, have in numbers]
    largest, decimals = max(map(abs, units)), most
    if most > MAX_DECIMALS or largest >= LARGEST_UNITS:
        # Computed numbers such as 0.30000000000000004: digits of noise are not worth symbols.
        too_many = len(str(max(units) - min(units))) - _DIGITS
        decimals = min(max(most - max(too_many, 0), 0), MAX_DECIMALS)
        if most == 0 or largest // 10 ** (most - decimals) >= LARGEST_UNITS:
            shown = str(max((mantissa // 10**have for mantissa, have in numbers), key=abs))
            shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
            raise UserError(
                f"column {name!r}: {shown} is beyond 64 bits: give the column another type (--type "
                f"{name}=text, key or drop), or smaller numbers"
            )
    return decimals


def blanks_note(cells: Iterable[str]) -> str:
    """What is said of numbers or dates with blanks around them; "" where there are none."""
    return "; blanks around them are left out" if any(cell != cell.strip() for cell in cells) else ""


def step_of(units: Sequence[int]) -> int:
    """The largest step that leads from the smallest of some units to all others."""
    low = min(units)
    return math.gcd(*(one - low for one in units)) or 1


def split_marks(cells: Sequence[str]) -> tuple[list[str], list[str]]:
    """``(marks, others)``: cells that may be written for a missing number, blanks among them."""
    marks = [cell for cell in cells if cell.strip() in MARKS or cell.isspace()]
    return marks, [cell for cell in cells if cell.strip() not in MARKS and not cell.isspace()]


def refuse_slips(
    name: str, profile: Profile, cells: Sequence[str], parsed: Sequence[object], what: str
) -> None:
    """A column of numbers or dates with some other cells must not silently become a category or a key.

    Args:
        name, profile: of the column.
        cells: its different cells.
        parsed: None for each that is no number or date.
        what: "numbers" or "dates".

    Raises:
        UserError: few of its rows are none; or the rest is infinite.
    """
    strange = [cell for cell, one in zip(cells, parsed) if one is None]
    infinite = [cell for cell in strange if INFINITE.fullmatch(cell.strip())]
    num_rows = sum(profile.counts[cell] for cell in strange)
    is_rest = len(infinite) == len(strange)  # all others are numbers
    is_few = num_rows <= (1 - _MOSTLY) * profile.rows
    num_good = len(cells) - len(strange) + (0 if profile.numbers is None else len(profile.numbers))
    if infinite and (is_rest or is_few):
        raise UserError(
            f"column {name!r}: {infinite[0]!r} is no number that can be modelled: leave the cell empty, or "
            f"give --type {name}=category or text"
        )
    if is_few and num_good > _MANY:
        raise UserError(
            f"column {name!r}: {num_rows:,} of {profile.rows:,} rows are no {what}, such as "
            f"{strange[0][:40]!r}: mend these cells or leave them empty, or give --type {name}=category, "
            "text or key"
        )


def missing_of(profile: Profile, marks: Iterable[str]) -> tuple[str | None, tuple[str, ...]]:
    """How missing cells are written, the most frequent way first."""
    found = [mark for mark in (EMPTY, *marks) if profile.counts[mark]]
    found.sort(key=lambda mark: -profile.counts[mark])
    return (found[0], tuple(found[1:])) if found else (None, ())
