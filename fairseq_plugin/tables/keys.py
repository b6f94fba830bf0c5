"""Keys: which whole numbers are such, and where new ones begin, so that no new row has a key of the table.

A new key is a prefix and a number. Nothing else is kept of the keys: neither one of them, nor, where numbers
are left out, how far they go.
"""

import re
from dataclasses import replace

from fairseq_plugin.tables.profile import Profile
from fairseq_plugin.tables.schema import KEY, Column

FEWEST_ROWS = 20  # fewer rows are all different by chance
FEWEST_WITH_GAPS = 50  # the same, of numbers some of which are left out
_FEWEST_PAIRS = 3.0  # of equal numbers, expected by chance: without any (5 %) chance is not what made them
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_KEY_WORD = re.compile(
    r"(user|customer|client|cust|member|employee|emp|person|patient|student|account|order|invoice|item|product"
    r"|case|ticket|session|device|record|row)?(id|ids|key|pk|no|nr|num|number|code|uuid|guid)"
)
# A file may be sorted by a measurement, or by time.
_MEASURED = frozenset(
    "age amount count date day distance epoch height hour length minute month population price second seconds"
    " size sum time timestamp total ts value weight year".split()
)
_NUMBERED = re.compile(r"(.*?)([0-9]{1,15})", re.DOTALL)


def is_key(profile: Profile, num_distinct: int) -> bool:
    """Whether so many different cells are one for each row, and not by chance."""
    return "" not in profile.counts and num_distinct == profile.rows >= FEWEST_ROWS


def why_key(name: str, profile: Profile, low: int, high: int, step: int) -> str:
    """Why whole numbers that are all different are a key; "" where they may be measured.

    Args:
        name, profile: of the column.
        low, high, step: of its numbers.
    """
    num_rows, num_possible = profile.rows, (high - low) // step + 1
    if num_rows == num_possible:
        return "whole numbers, all different, without gaps"
    if num_rows < FEWEST_WITH_GAPS or low < 0:
        return ""
    words = [word.lower() for word in _WORD.findall(name)]
    if words and _KEY_WORD.fullmatch(words[-1]):
        return f"whole numbers, all different, called {words[-1]!r}: made anew, never copied"
    num_pairs = num_rows * (num_rows - 1) / 2 / num_possible
    if profile.is_rising and num_pairs >= _FEWEST_PAIRS and _MEASURED.isdisjoint(words):
        return "whole numbers, each above the one before, close together: made anew, never copied"
    return ""


def number_before_new(low: int, high: int, num_distinct: int) -> int:
    """The number that new keys follow.

    It is the greatest where none is left out, which tells no more than how many there are. Else it is a round
    one further on, which is no key, and leaves room for those of rows that were held out.

    >>> number_before_new(1, 40, 40), number_before_new(1003, 1847, 60)
    (40, 2000)
    """
    if num_distinct == high - low + 1:
        return high
    unit = 10 ** max(len(str(abs(high))) - 2, 1)
    return (high // unit + 2) * unit


def text_key(name: str, profile: Profile) -> Column:
    """A key column of texts.

    Keys that are all one prefix and a number go on behind the greatest number; else the prefix is made of the
    name, and begins no key of the table.
    """
    if not profile.has_every_cell:  # so new keys are longer than any
        return Column(name, KEY, prefix=f"{name}-", value="0" * profile.num_bytes)
    keys = [cell for cell in profile.counts if cell]
    parts = [found.groups() for key in keys if (found := _NUMBERED.fullmatch(key))]
    prefixes = {prefix for prefix, _ in parts}
    if len(keys) == len(parts) >= FEWEST_ROWS and len(prefixes) == 1:
        numbers, widths = [int(number) for _, number in parts], {len(number) for _, number in parts}
        before = number_before_new(min(numbers), max(numbers), len(set(numbers)))
        width = widths.pop() if len(widths) == 1 else 0
        return Column(name, KEY, prefix=prefixes.pop(), value=str(before).zfill(width))
    prefix = f"{name}-"
    while any(key.startswith(prefix) for key in keys):
        prefix = f"new-{prefix}"
    return Column(name, KEY, prefix=prefix)


def safe_key(stated: Column, fresh: Column, profile: Profile) -> Column:
    """A key column of a schema that was given: as it is, unless a new key could be one of the table.

    Args:
        stated: the column of the schema.
        fresh: what it would be without that schema.
        profile: of the column.
    """
    if (stated.prefix, stated.value) == ("", "") or not _is_safe(stated, fresh, profile):
        return replace(stated, prefix=fresh.prefix, value=fresh.value)
    return stated


def _is_safe(stated: Column, fresh: Column, profile: Profile) -> bool:
    if fresh.prefix and not profile.has_every_cell:
        return False
    if stated.prefix == fresh.prefix:
        return int(stated.value or 0) >= int(fresh.value or 0)
    own, size = stated.prefix, len(stated.prefix)
    return not any(key.startswith(own) and key[size:].isdecimal() for key in profile.counts)
