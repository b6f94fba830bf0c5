"""From what is in the columns to a schema: every guess has a reason that is shown, and can be overruled."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables import dates
from fairseq_plugin.tables.infer_numbers import (
    EMPTY,
    Guess,
    blanks_note,
    missing_of,
    of_numbers,
    refuse_slips,
    split_marks,
    step_of,
)
from fairseq_plugin.tables.keys import is_key, number_before_new, safe_key, text_key
from fairseq_plugin.tables.numbers import parse_written
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
    MOST_BYTES,
    TEXT,
    Column,
    Schema,
)

BOOLEANS = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"}, {"on", "off"})
_SAMPLE = 1000  # cells of a column with too many to look at all
_TEXT_LENGTH = 15  # characters on average, from which on different cells with spaces are text


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
    for one in guesses:
        if one.column.name == target and not one.column.is_modelled:
            raise UserError(
                f"--target {target}: the column is taken for {one.column.type} ({one.why}), so nothing is "
                f"left to predict: give --type {target}=TYPE, or another target"
            )
    return Schema(columns, target, target_place), [one.why for one in guesses]


def guess(name: str, profile: Profile) -> Guess:
    """What a column is."""
    present = [cell for cell in profile.counts if cell != EMPTY]
    if not present and profile.numbers is None:
        return Guess(Column(name, CONSTANT), "every cell is missing")
    if profile.num_distinct == 1:
        return Guess(Column(name, CONSTANT, value=present[0]), "one value")
    marks, others = split_marks(present)
    if profile.is_whole:
        found = of_numbers(name, profile, others, marks)
        if found is None and profile.has_every_cell:
            found = _dates(name, profile, others, marks)
        if found is not None:
            return found
    elif sum(parse_written(cell) is not None for cell in others[:_SAMPLE]) > _SAMPLE / 2:
        raise UserError(
            f"column {name!r} has more different numbers, of many digits, than are kept: round them, or "
            f"give --type {name}=text, key or drop"
        )
    return _words(name, profile, present)


def _dates(name: str, profile: Profile, cells: Sequence[str], marks: Sequence[str]) -> Guess | None:
    form = dates.form_of(cells)
    if form is None:
        refuse_slips(name, profile, cells, dates.nearly(cells), "dates")
        return None
    units = [one for cell in cells if (one := dates.parse_date(cell, form)) is not None]
    missing, others = missing_of(profile, marks)
    low, step = min(units), step_of(units)
    column = Column(name, DATE, missing, others, form=form, low=low, high=max(units), step=step)
    return Guess(column, f"written as {form}{blanks_note(cells)}")


def _words(name: str, profile: Profile, cells: Sequence[str]) -> Guess:
    missing, _ = missing_of(profile, ())
    num_rows = sum(profile.counts[cell] for cell in cells)
    spaced = sum(" " in cell for cell in cells) / max(len(cells), 1)
    length = sum(map(len, cells)) / max(len(cells), 1)
    is_prose = spaced >= 0.5 and length >= _TEXT_LENGTH
    if not profile.has_every_cell or (is_prose and len(cells) > num_rows / 2):
        _check_length(name, profile)
        return Guess(Column(name, TEXT, missing, max_bytes=profile.num_bytes), "texts, mostly different")
    if is_key(profile, len(cells)):
        return Guess(text_key(name, profile), "all different: made anew, never copied")
    if {cell.lower() for cell in cells} in BOOLEANS:
        return Guess(Column(name, BOOLEAN, missing, values=tuple(sorted(cells))), "two truth values")
    column = Column(name, CATEGORY, missing, values=tuple(sorted(cells)))
    return Guess(column, f"{len(cells):,} different values")


def _check_length(name: str, profile: Profile) -> None:
    if profile.num_bytes > MOST_BYTES:
        raise UserError(
            f"column {name!r}: a text has {profile.num_bytes:,} bytes, at most {MOST_BYTES:,} can be learnt: "
            f"cut it, or leave the column out (--type {name}=drop)"
        )


def with_safe_keys(schema: Schema, profiles: Sequence[Profile]) -> Schema:
    """A schema that was given, with new keys that no row of the table has; see :func:`~.keys.safe_key`."""
    columns = (
        safe_key(column, _key(column.name, profile), profile) if column.type == KEY else column
        for column, profile in zip(schema.columns, profiles)
    )
    return replace(schema, columns=tuple(columns))


def _key(name: str, profile: Profile) -> Column:
    """A key column, whatever its cells are."""
    marks, others = split_marks([cell for cell in profile.counts if cell != EMPTY])
    column = None
    if profile.is_whole and not marks and all(map(parse_written, others)):
        with suppress(UserError):  # beyond 64 bits: they are texts
            column = found.column if (found := of_numbers(name, profile, others, marks)) else None
    if column is not None and column.type == INTEGER:  # some are equal, or measured as it seems
        return Column(name, KEY, value=str(number_before_new(column.low, column.high, 0)))
    return column if column is not None and column.type == KEY else text_key(name, profile)


def _of_type(name: str, profile: Profile, kind: str) -> Guess:
    """A column of a type that the user states."""
    cells = [cell for cell in profile.counts if cell != EMPTY]
    missing, _ = missing_of(profile, ())
    why = "as you say"
    if kind == DROP:
        return Guess(Column(name, DROP), why)
    if kind == KEY:
        return Guess(_key(name, profile), why)
    if kind == TEXT:
        _check_length(name, profile)
        return Guess(Column(name, TEXT, missing, max_bytes=max(profile.num_bytes, 1)), why)
    if kind in (CATEGORY, BOOLEAN):
        if not profile.has_every_cell:
            raise UserError(f"--type {name}={kind}: the column has too many different cells; use text")
        return Guess(Column(name, kind, missing, values=tuple(sorted(cells))), why)
    if kind == CONSTANT:
        if profile.num_distinct > 1:
            raise UserError(f"--type {name}={kind}: the column has {profile.num_distinct:,} different cells")
        return Guess(Column(name, CONSTANT, value=next(iter(profile.counts), "")), why)
    marks, others = split_marks(cells)
    if kind in (INTEGER, DECIMAL):
        strange = next((cell for cell in others if parse_written(cell) is None), None)
        found = of_numbers(name, profile, others, marks, may_be_key=False) if strange is None else None
    elif kind == DATE:
        strange = next((cell for cell in others if dates.form_of([cell]) is None), None)
        found = _dates(name, profile, others, marks) if profile.has_every_cell else None
    else:
        raise UserError(f"--type {name}={kind}: give integer, decimal, date, category, boolean, text, key, "
                        "constant or drop")  # fmt: skip
    if found is None:
        shown = repr(strange) if strange is not None else "not all of its cells are in one form"
        raise UserError(f"--type {name}={kind}: the column holds {shown}; mend it, or give another type")
    return Guess(found.column, why)
