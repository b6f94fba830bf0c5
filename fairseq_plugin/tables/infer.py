"""From what is in the columns to a schema: every guess has a reason that is shown, and can be overruled."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables import dates
from fairseq_plugin.tables.numbers import INFINITE, LARGEST_UNITS, parse_number, style_of, to_units
from fairseq_plugin.tables.profile import Profile
from fairseq_plugin.tables.schema import (
    BOOLEAN,
    CATEGORY,
    CONSTANT,
    DATE,
    DECIMAL,
    DROP,
    INTEGER,
    KEY,
    TEXT,
    Column,
    Schema,
)

EMPTY = ""
# Read as missing where all other cells are numbers or dates; in other columns they may be values.
MARKS = frozenset({"NA", "N/A", "n/a", "NaN", "nan", "-nan", "NULL", "Null", "null", "None", "none", "<NA>",
                   "?", "-", "."})  # fmt: skip
BOOLEANS = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"}, {"on", "off"})
_MOSTLY = 0.9  # so large a share of numbers is a column of numbers with slips in it
_KEY_ROWS = 20  # fewer rows are all different by chance
_TEXT_LENGTH = 15  # characters on average, from which on different cells with spaces are text


@dataclass(frozen=True)
class Guess:
    """A column and why it was taken for this."""

    column: Column
    why: str


def infer(
    names: Sequence[str],
    profiles: Sequence[Profile],
    target: str | None,
    target_place: str,
    types: Mapping[str, str],
) -> tuple[Schema, list[str]]:
    """A schema of a table.

    Args:
        names: of the columns.
        profiles: of the columns, over all rows.
        target, target_place: see :class:`Schema`.
        types: ``{name: type}`` that the user states.

    Returns:
        ``(schema, why each column was taken for what it is)``.

    Raises:
        UserError: names the column, what is wrong with it, and the mend.
    """
    for name in types:
        if name not in names:
            raise UserError(f"--type {name}={types[name]}: there is no such column")
    guesses = [
        _of_type(name, profile, types[name]) if name in types else guess(name, profile)
        for name, profile in zip(names, profiles)
    ]
    columns = tuple(one.column for one in guesses)
    if target is not None and target not in names:
        raise UserError(f"--target {target}: there is no such column; the table has {', '.join(names)}")
    return Schema(columns, target, target_place), [one.why for one in guesses]


def guess(name: str, profile: Profile) -> Guess:
    """What a column is."""
    present = [cell for cell in profile.counts if cell != EMPTY]
    if not present:
        return Guess(Column(name, CONSTANT), "every cell is missing")
    if len(present) == 1 and EMPTY not in profile.counts:
        return Guess(Column(name, CONSTANT, value=present[0]), "one value")
    if profile.is_whole:
        marks = [cell for cell in present if cell in MARKS]
        others = [cell for cell in present if cell not in MARKS]
        found = _numbers(name, profile, others, marks) or _dates(name, profile, others, marks)
        if found is not None:
            return found
    return _words(name, profile, present)


def _numbers(name: str, profile: Profile, cells: Sequence[str], marks: Sequence[str]) -> Guess | None:
    parsed = [parse_number(cell) for cell in cells]
    numbers = [one for one in parsed if one is not None]
    if not numbers:
        return None
    if len(numbers) < len(cells):
        _refuse_infinite(name, profile, cells, parsed)
        return None
    decimals = max(have for _, have in numbers)
    units = [mantissa * 10 ** (decimals - have) for mantissa, have in numbers]
    if max(map(abs, units)) >= LARGEST_UNITS:
        raise UserError(
            f"column {name!r}: {max(cells, key=len)!r} with {decimals} decimals is beyond 64 bits: give the "
            f"column another type (--type {name}=text, key or drop), or round its numbers"
        )
    low, step = min(units), _step(units)
    style = style_of(cells, decimals) or "shortest"
    missing, others = _missing(profile, marks)
    column = Column(
        name, DECIMAL if decimals else INTEGER, missing, others, decimals=decimals, style=style,
        low=low, high=max(units), step=step,
    )  # fmt: skip
    if not marks and _is_key(profile, len(cells)) and decimals == 0 and step * (len(cells) - 1) == max(
        units
    ) - low:  # fmt: skip
        return Guess(Column(name, KEY, value=str(max(units))), "whole numbers, all different, without gaps")
    mixed = "" if style_of(cells, decimals) else "; cells are rewritten in one style"
    return Guess(column, f"{len(set(units)):,} different numbers{mixed}")


def _step(units: Sequence[int]) -> int:
    low = min(units)
    return math.gcd(*(one - low for one in units)) or 1


def _refuse_infinite(
    name: str, profile: Profile, cells: Sequence[str], parsed: Sequence[tuple[int, int] | None]
) -> None:
    """A column of numbers with an infinite one must not silently become a category."""
    strange = [cell for cell, one in zip(cells, parsed) if one is None]
    infinite = [cell for cell in strange if INFINITE.fullmatch(cell)]
    num_rows = sum(profile.counts[cell] for cell in strange)
    if infinite and num_rows <= (1 - _MOSTLY) * profile.rows:
        raise UserError(
            f"column {name!r}: {infinite[0]!r} is no number that can be modelled: leave the cell empty, or "
            f"give --type {name}=category or text"
        )


def _dates(name: str, profile: Profile, cells: Sequence[str], marks: Sequence[str]) -> Guess | None:
    form = dates.form_of(cells)
    if form is None:
        return None
    units = [one for cell in cells if (one := dates.parse_date(cell, form)) is not None]
    missing, others = _missing(profile, marks)
    column = Column(
        name, DATE, missing, others, form=form, low=min(units), high=max(units), step=_step(units)
    )
    return Guess(column, f"written as {form}")


def _words(name: str, profile: Profile, cells: Sequence[str]) -> Guess:
    missing, _ = _missing(profile, ())
    num_rows = sum(profile.counts[cell] for cell in cells)
    spaced = sum(" " in cell for cell in cells) / len(cells)
    length = sum(map(len, cells)) / len(cells)
    is_prose = spaced >= 0.5 and length >= _TEXT_LENGTH
    if not profile.is_whole or (is_prose and len(cells) > num_rows / 2):
        return Guess(Column(name, TEXT, missing, max_bytes=profile.num_bytes), "texts, mostly different")
    if _is_key(profile, len(cells)):
        return Guess(Column(name, KEY), "all different: made anew, never copied")
    if {cell.lower() for cell in cells} in BOOLEANS:
        return Guess(Column(name, BOOLEAN, missing, values=tuple(sorted(cells))), "two truth values")
    column = Column(name, CATEGORY, missing, values=tuple(sorted(cells)))
    return Guess(column, f"{len(cells):,} different values")


def _is_key(profile: Profile, num_distinct: int) -> bool:
    return EMPTY not in profile.counts and num_distinct == profile.rows >= _KEY_ROWS


def _missing(profile: Profile, marks: Iterable[str]) -> tuple[str | None, tuple[str, ...]]:
    """How missing cells are written, the most frequent way first."""
    found = [mark for mark in (EMPTY, *marks) if profile.counts[mark]]
    found.sort(key=lambda mark: -profile.counts[mark])
    return (found[0], tuple(found[1:])) if found else (None, ())


def _of_type(name: str, profile: Profile, kind: str) -> Guess:
    """A column of a type that the user states."""
    cells = [cell for cell in profile.counts if cell != EMPTY]
    missing, _ = _missing(profile, ())
    why = "as you say"
    if kind == DROP:
        return Guess(Column(name, DROP), why)
    if kind == KEY:
        return Guess(Column(name, KEY), why)
    if kind == TEXT:
        return Guess(Column(name, TEXT, missing, max_bytes=max(profile.num_bytes, 1)), why)
    if kind in (CATEGORY, BOOLEAN):
        if not profile.is_whole:
            raise UserError(f"--type {name}={kind}: the column has too many different cells; use text")
        return Guess(Column(name, kind, missing, values=tuple(sorted(cells))), why)
    if kind == CONSTANT:
        if len(profile.counts) > 1:
            raise UserError(f"--type {name}={kind}: the column has {len(profile.counts):,} different cells")
        return Guess(Column(name, CONSTANT, value=next(iter(profile.counts), "")), why)
    marks = [cell for cell in cells if cell in MARKS]
    others = [cell for cell in cells if cell not in MARKS]
    if kind in (INTEGER, DECIMAL):
        strange = next((cell for cell in others if to_units(cell, 17) is None), None)
        found = _numbers(name, profile, others, marks) if strange is None else None
    elif kind == DATE:
        strange = next((cell for cell in others if dates.form_of([cell]) is None), None)
        found = _dates(name, profile, others, marks)
    else:
        raise UserError(f"--type {name}={kind}: give integer, decimal, date, category, boolean, text, key, "
                        "constant or drop")  # fmt: skip
    if found is None:
        shown = repr(strange) if strange is not None else "not all of its cells are in one form"
        raise UserError(f"--type {name}={kind}: the column holds {shown}; mend it, or give another type")
    return Guess(found.column, why) if found.column.type != KEY else _numbers_of_key(name, profile, others)


def _numbers_of_key(name: str, profile: Profile, cells: Sequence[str]) -> Guess:
    """Numbers that would be taken for a key, which the user calls numbers."""
    units = [one for cell in cells if (one := to_units(cell, 0)) is not None]
    missing, others = _missing(profile, ())
    column = Column(name, INTEGER, missing, others, low=min(units), high=max(units), step=_step(units))
    return Guess(column, "as you say")
