"""Which cells a condition leaves to a column: what no row can fulfil is refused before anything is drawn.

A domain never leaves out a cell that the condition allows; it may hold some that it does not (``not`` and
``!=`` are passed over, and of several ranges the one around all is kept).
"""

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce

from fairseq_plugin.tables.schema import CATEGORIES, CONSTANT, DATE, NUMBERS, Column


@dataclass(frozen=True)
class Domain:
    """Cells of one column.

    Attributes:
        first, last: of numbers and dates, the steps from the column's least value; of others 0.
        only: these steps or cells alone; None: any.
        missing: whether the cell may be missing.
    """

    first: int
    last: int
    only: frozenset[int | str] | None
    missing: bool

    @property
    def is_empty(self) -> bool:
        return not self.missing and (self.first > self.last or (self.only is not None and not self.only))

    def __and__(self, other: "Domain") -> "Domain":
        first, last = max(self.first, other.first), min(self.last, other.last)
        some = [one.only for one in (self, other) if one.only is not None]
        only = frozenset.intersection(*some) if some else None
        if only is not None:
            only = frozenset(one for one in only if isinstance(one, str) or first <= one <= last)
        return Domain(first, last, only, self.missing and other.missing)

    def __or__(self, other: "Domain") -> "Domain":
        only = None if self.only is None or other.only is None else self.only | other.only
        first, last = min(self.first, other.first), max(self.last, other.last)
        return Domain(first, last, only, self.missing or other.missing)


Domains = Mapping[str, Domain]  # by the column's name; all of a column that is not named


def all_of(column: Column) -> Domain:
    """Every cell of a column."""
    last, only = 0, None
    if column.type in NUMBERS:
        last = (column.high - column.low) // column.step
    elif column.type in CATEGORIES or column.type == CONSTANT:
        only = frozenset(column.values or (column.value,))
    return Domain(0, last, only, column.missing is not None)


def compared(column: Column, sign: str, value: Fraction | str) -> Domain:
    """What ``column sign value`` leaves; a text is compared by ``==`` and ``!=`` only."""
    whole = all_of(column)
    if sign == "!=":
        return whole
    whole = replace(whole, missing=False)
    if isinstance(value, str):
        return whole & Domain(0, 0, frozenset({value}), False)
    step = (value * (1 if column.type == DATE else 10**column.decimals) - column.low) / column.step
    above, below = _STEPS[sign](step)
    return whole & Domain(
        whole.first if above is None else above, whole.last if below is None else below, None, False
    )


# The first and the last step that a comparison with a place between steps leaves.
_STEPS: dict[str, Callable[[Fraction], tuple[int | None, int | None]]] = {
    "==": lambda step: (math.ceil(step), math.floor(step)),
    "<": lambda step: (None, math.ceil(step) - 1),
    "<=": lambda step: (None, math.floor(step)),
    ">": lambda step: (math.floor(step) + 1, None),
    ">=": lambda step: (math.ceil(step), None),
}


def one_of(found: Iterable[Domain]) -> Domain:
    """What a list of values leaves: these alone."""
    return reduce(operator.or_, map(_listed, found))


def _listed(one: Domain) -> Domain:
    """The domain of one value, as that value; of a number it is one step or none."""
    return one if one.only is not None else replace(one, only=frozenset(range(one.first, one.last + 1)))


def both(left: Domains, right: Domains) -> dict[str, Domain]:
    """What ``left and right`` leaves."""
    shared = {name: left[name] & right[name] for name in left.keys() & right.keys()}
    return {**left, **right, **shared}


def either(left: Domains, right: Domains) -> dict[str, Domain]:
    """What ``left or right`` leaves; a side that no row fulfils adds nothing."""
    for one, other in ((left, right), (right, left)):
        if any(domain.is_empty for domain in one.values()):
            return dict(other)
    return {name: left[name] | right[name] for name in left.keys() & right.keys()}
