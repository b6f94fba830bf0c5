from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_plugin.tables.dates import FORMS, form_of, format_date, parse_date
from fairseq_plugin.tables.numbers import (
    STYLES,
    format_units,
    parse_number,
    parse_written,
    style_of,
    to_units,
)


@given(st.integers(-(2**62), 2**62), st.integers(0, 17), st.sampled_from(STYLES))
def test_every_number_comes_back(units, decimals, style):
    cell = format_units(units, decimals, style)
    assert to_units(cell, decimals) == units or (decimals == 0 and style == "float")


@pytest.mark.parametrize(
    "cell", ["", "1e5", "+1", "007", ".5", "5.", "-0", "1,000", "inf", "nan", "١", "0x1"]
)
def test_what_would_not_come_back_is_no_number(cell):
    assert parse_number(cell) is None


@pytest.mark.parametrize(
    ("cells", "decimals", "style"),
    [
        (["1.50", "2.00"], 2, "fixed"),
        (["1.5", "2", "2.25"], 2, "shortest"),
        (["1.5", "2.0"], 1, "fixed"),
        (["1.25", "2.0"], 2, "float"),
        (["1.50", "2"], 2, None),
    ],
)
def test_the_style_of_a_column_is_known(cells, decimals, style):
    assert style_of(cells, decimals) == style


def test_too_many_decimals_are_seen_or_rounded():
    assert to_units("1.25", 1) is None
    assert to_units("1.20", 1) == 12
    cells = ["1.25", "1.35", "-1.25", "-1.26", "1e-9", "-0.0"]
    assert [to_units(cell, 1, rounded=True) for cell in cells] == [12, 14, -12, -13, 0, 0]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_form_of_a_number_is_read_exactly(number):
    for cell in (repr(number), f"{number:.18e}", format(Decimal(number), "f")):
        parsed = parse_written(cell)
        if parsed is None:
            assert len(cell) > 400
        else:
            assert Fraction(parsed[0], 10 ** parsed[1]) == Fraction(cell)


@pytest.mark.parametrize(
    "cell", ["", "-", ".", "e5", "+1", "007", "1e", "1e9999", "inf", "nan", "1,5", "1 2"]
)
def test_codes_and_words_are_no_numbers(cell):
    assert parse_written(cell) is None


@given(st.integers(-700_000, 2_900_000), st.sampled_from([form for form in FORMS if "%Y" in form]))
def test_every_date_comes_back(days, form):
    units = days * 86_400 // FORMS[form]
    assert parse_date(format_date(units, form), form) == units


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["2024-02-29", "1999-12-31"], "%Y-%m-%d"),
        (["13.01.2024", "01.02.2024"], "%d.%m.%Y"),
        (["01/13/2024"], "%m/%d/%Y"),
        (["23:59:01"], "%H:%M:%S"),
        (["2024-02-30"], None),
        (["2024-1-3"], None),
        (["2024-01-03", "x"], None),
        ([], None),
    ],
)
def test_the_form_of_dates_is_known(cells, form):
    assert form_of(cells) == form
