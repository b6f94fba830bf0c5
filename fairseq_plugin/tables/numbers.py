"""Decimal numbers as whole numbers of units, exactly: no cell goes through a float.

A cell ``-12.50`` is -1,250 units of 10^-2. How a column writes its numbers is one of three styles, so that
a cell comes back as it was: ``fixed`` (12.50), ``shortest`` (12.5; 12), ``float`` (12.5; 12.0, as pandas).
"""

import re
from collections.abc import Iterable

STYLES = ("shortest", "fixed", "float")
MAX_DECIMALS = 17  # what a float64 written in full has at most
# Units of a column stay below 2^62, so that numpy's int64 holds sums and differences of them.
LARGEST_UNITS = 1 << 62

_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?")
_WRITTEN = re.compile(r"(-?)(0|[1-9][0-9]*)?(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]{1,3}))?")
_LONGEST = 400  # characters of a number
INFINITE = re.compile(r"[-+]?inf(inity)?", re.IGNORECASE)


def parse_number(cell: str) -> tuple[int, int] | None:
    """``(mantissa, decimals)`` of a number written plainly, else None.

    Leading zeros, a plus sign and exponents are no plain form: such cells would not come back as they were.

    >>> parse_number("-12.50"), parse_number("007"), parse_number("1e5")
    ((-1250, 2), None, None)
    """
    match = _NUMBER.fullmatch(cell)
    if match is None:
        return None
    sign, whole, fraction = match[1], match[2], match[3] or ""
    if len(fraction) > MAX_DECIMALS or len(whole) > 30:
        return None
    mantissa = int(whole + fraction)
    if sign and mantissa == 0:
        return None  # -0 would come back as 0
    return -mantissa if sign else mantissa, len(fraction)


def parse_written(cell: str) -> tuple[int, int] | None:
    """``(mantissa, decimals)`` of a number in any usual form, else None: exponents, -0, many decimals, blanks
    around it.

    Leading zeros and a plus sign still make a code of it (007, +49), not a number.

    >>> parse_written(" 1.50e-3"), parse_written("2e2"), parse_written("-0.0"), parse_written("007")
    ((15, 4), (200, 0), (0, 0), None)
    """
    cell = cell.strip()
    parsed = parse_number(cell)
    if parsed is not None:
        return parsed
    match = _WRITTEN.fullmatch(cell)
    if match is None or len(cell) > _LONGEST or not (match[2] or match[3]):
        return None
    fraction = (match[3] or "").rstrip("0")
    mantissa, decimals = int((match[2] or "") + fraction or "0"), len(fraction) - int(match[4] or 0)
    if decimals < 0:
        mantissa, decimals = mantissa * 10**-decimals, 0
    while decimals and mantissa % 10 == 0:
        mantissa, decimals = mantissa // 10, decimals - 1
    return -mantissa if match[1] else mantissa, decimals


def to_units(cell: str, decimals: int, rounded: bool = False) -> int | None:
    """Units of 10^-decimals; None where the cell is no number.

    Args:
        cell: in any form that :func:`parse_written` reads.
        decimals: >= 0.
        rounded: further decimals are rounded, half to even; else they must be 0.
    """
    parsed = parse_written(cell)
    if parsed is None:
        return None
    mantissa, have = parsed
    if have <= decimals:
        return mantissa * 10 ** (decimals - have)
    size = 10 ** (have - decimals)
    whole, rest = divmod(mantissa, size)
    if not rounded:
        return None if rest else whole
    return whole + (2 * rest > size or (2 * rest == size and whole % 2 == 1))


def format_units(units: int, decimals: int, style: str) -> str:
    """The cell of a number.

    >>> format_units(-1250, 2, "shortest"), format_units(1200, 2, "float"), format_units(5, 2, "fixed")
    ('-12.5', '12.0', '0.05')
    """
    if decimals == 0:
        return str(units) if style != "float" else f"{units}.0"
    digits = str(abs(units)).rjust(decimals + 1, "0")
    whole, fraction = digits[:-decimals], digits[-decimals:]
    if style != "fixed":
        fraction = fraction.rstrip("0")
    if style == "float" and not fraction:
        fraction = "0"
    return ("-" if units < 0 else "") + whole + ("." + fraction if fraction else "")


def style_of(cells: Iterable[str], decimals: int) -> str | None:
    """The style in which every one of these number cells comes back as it is; None where there is none."""
    left = list(STYLES)
    for cell in cells:
        units = to_units(cell, decimals)
        left = [style for style in left if units is not None and format_units(units, decimals, style) == cell]
        if not left:
            return None
    return left[0]
