"""Dates and times as whole numbers: days or seconds since 1970, by the form in which a column writes them.

Only forms whose text comes back exactly, but for blanks around it, are taken; anything else stays a category
or a text.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

# Form -> seconds of one unit.
FORMS = {
    "%Y-%m-%d": 86_400,
    "%Y/%m/%d": 86_400,
    "%d.%m.%Y": 86_400,
    "%d/%m/%Y": 86_400,
    "%m/%d/%Y": 86_400,
    "%Y-%m-%d %H:%M:%S": 1,
    "%Y-%m-%dT%H:%M:%S": 1,
    "%Y-%m-%dT%H:%M:%SZ": 1,
    "%Y-%m-%d %H:%M": 60,
    "%Y-%m-%dT%H:%M": 60,
    "%H:%M:%S": 1,
    "%H:%M": 60,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST, _LONGEST = 5, 20  # characters of a cell in any of these forms


def parse_date(cell: str, form: str) -> int | None:
    """Units since 1970 of a cell, or None where it is not exactly in this form, but for blanks around it.

    >>> parse_date(" 1970-01-03", "%Y-%m-%d"), parse_date("1970-1-3", "%Y-%m-%d")
    (2, None)
    """
    cell = cell.strip()
    if not _SHORTEST <= len(cell) <= _LONGEST:
        return None
    try:
        is_iso = form.startswith("%Y-") and not form.endswith("Z")
        moment = datetime.fromisoformat(cell) if is_iso else datetime.strptime(cell, form)
        moment = moment.replace(tzinfo=UTC)
    except ValueError:
        return None
    if "%Y" not in form:  # a time of day
        moment = moment.replace(year=1970)
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    units = seconds // FORMS[form]
    return units if format_date(units, form) == cell else None


def format_date(units: int, form: str) -> str:
    """The cell of a moment; years have four digits."""
    moment = _EPOCH + timedelta(seconds=units * FORMS[form])
    return moment.strftime(form.replace("%Y", f"{moment.year:04d}"))


def nearly(cells: Sequence[str]) -> list[int | None]:
    """Units of each cell by the form in which most of the first hundred are written; None where it is not in
    that form, and everywhere where most are in none."""
    first = cells[:100]
    fitting = {form: sum(parse_date(cell, form) is not None for cell in first) for form in FORMS}
    best = max(fitting, key=lambda form: fitting[form])
    if 2 * fitting[best] <= len(first):
        return [None] * len(cells)
    return [parse_date(cell, best) for cell in cells]


def form_of(cells: Iterable[str]) -> str | None:
    """The first form in which all of these cells are written, or None."""
    left, has_cells = list(FORMS), False
    for cell in cells:
        has_cells = True
        left = [form for form in left if parse_date(cell, form) is not None]
        if not left:
            return None
    return left[0] if has_cells else None
