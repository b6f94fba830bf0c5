"""A column of very many numbers, kept in little memory, is what it would be with every cell remembered."""

import random
import sys
from collections import Counter

import numpy as np
import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.code.fit import fit_column
from fairseq_plugin.tables.infer import infer
from fairseq_plugin.tables.number_counts import NumberCounts
from fairseq_plugin.tables.profile import MOST_TEXTS, Profile

NUM = MOST_TEXTS + 30_000


def cells_of(kind):
    chance = random.Random(1)
    if kind == "whole":
        return [str(chance.randrange(10**9)) for _ in range(NUM)]
    if kind == "money":
        return [f"{chance.randrange(10**8) / 100:.2f}" for _ in range(NUM)] + ["", "NA", "NA"]
    if kind == "keys":
        return [str(one) for one in range(5, NUM + 5)]
    if kind == "computed":  # as pandas writes them: some with exponents, some with too many decimals
        return [*map(repr, (chance.gauss(0, 1) for _ in range(NUM)))]
    if kind == "few later":
        return [*(f"{one * 7}.5" for one in range(NUM)), "1e-3", "2.25", "12.5"]
    raise AssertionError(kind)


def profiles_of(cells):
    """A profile that keeps numbers as numbers, and one that remembers every cell."""
    found = Profile(), Profile(_next_look=sys.maxsize)
    for at in range(0, len(cells), 10_000):
        for profile in found:
            profile.add(cells[at : at + 10_000])
    assert found[0].numbers is not None and found[1].numbers is None
    return found


@pytest.mark.parametrize("kind", ["whole", "money", "keys", "computed", "few later"])
def test_the_column_and_its_code_are_the_same(kind):
    cells = cells_of(kind)
    lean, whole = profiles_of(cells)
    (schema, reasons), expected = (infer(["c"], [one], None, "first", {}) for one in (lean, whole))
    assert (schema, reasons) == expected
    assert len(lean.counts) < NUM / 4
    (column,) = schema.columns
    if column.is_modelled:
        fitted = fit_column(column, lean.counts, 5, lean.numbers)
        assert fitted == fit_column(column, whole.counts, 5)


def test_numbers_in_other_units_are_those_of_their_cells():
    cells = Counter({f"{one / 100:.2f}".rstrip("0").rstrip("."): one % 7 + 1 for one in range(-5000, 5000)})
    cells.pop("-0", None)
    numbers, rest = NumberCounts.of(cells)
    assert not rest and len(numbers) == len(cells)
    for decimals, rounded in ((2, False), (4, False), (1, False), (1, True), (0, True)):
        expected = Counter()
        for cell, count in cells.items():
            exact = float(cell) * 10**decimals
            one = round(exact) if rounded or abs(exact - round(exact)) < 1e-6 else None
            if one is not None and not (rounded and abs(abs(exact - int(exact)) - 0.5) < 1e-6):
                expected[one] += count
            elif one is not None:
                expected[int(np.floor(exact)) + int(np.floor(exact)) % 2] += count  # half to even
        units_N, counts_N = numbers.at(decimals, rounded)
        assert dict(zip(units_N.tolist(), counts_N.tolist())) == expected


def test_words_are_not_kept_as_numbers():
    assert NumberCounts.of(Counter(["a", "b", "1", "2"])) is None
    assert NumberCounts.of(Counter(["1.50", "2", "3", "4.0", "5"])) is None  # in no one style


def test_slips_among_many_numbers_and_other_types_are_named():
    lean, _ = profiles_of([*cells_of("whole"), "unknown", "unknown"])
    with pytest.raises(UserError, match="column 'c': 2 of 130,002 rows are no numbers, such as 'unknown'"):
        infer(["c"], [lean], None, "first", {})
    for kind, words in (("category", "too many"), ("constant", "different cells"), ("date", "--type c=date")):
        with pytest.raises(UserError, match=words):
            infer(["c"], [lean], None, "first", {"c": kind})
    schema, _ = infer(["c"], [lean], None, "first", {"c": "text"})
    assert schema.columns[0].max_bytes == 9
