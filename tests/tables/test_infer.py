"""What columns are taken for, and what is refused with the column's name and the mend."""

import gc
import random
import time
from datetime import datetime, timedelta

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.infer import infer
from fairseq_plugin.tables.profile import Profile
from fairseq_plugin.tables.schema import Schema
from tests.tables.made_tables import MIXED, mixed_rows


def column_of(cells, **types):
    profile = Profile()
    profile.add(cells)
    schema, _ = infer(["c"], [profile], None, "first", types)
    return schema.columns[0]


def test_a_mixed_table_is_seen_through():
    profiles = [Profile() for _ in MIXED]
    for profile, cells in zip(profiles, zip(*mixed_rows(60))):
        profile.add(cells)
    schema, reasons = infer(MIXED, profiles, "count", "first", {})
    types = {column.name: column.type for column in schema.columns}
    assert types == {
        "id": "key", "grade": "category", "price": "decimal", "count": "integer", "day": "date",
        "note": "text", "member": "boolean", "same": "constant",
    }  # fmt: skip
    assert schema.columns[2].missing == "" and schema.columns[3].missing is None
    assert len(reasons) == len(MIXED) and all(reasons)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2", "NA", "3"], "integer"),
        (["x", "NA", "x"], "category"),
        (["1", "x", "2"], "category"),
        (["", ""], "constant"),
        (["5"], "constant"),
        (["", "5"], "integer"),
        (["True", "False"], "boolean"),
        ([str(number) for number in range(30)], "key"),
        ([str(number) for number in range(10)], "integer"),
        ([str(number * number) for number in range(30)], "integer"),
        (["1e-5", "2.50e-3", "0"], "decimal"),
        (["-0.0", "1.5", "2.0"], "decimal"),
        (["+49", "+1", "+33"], "category"),
        ([*"123456789X"], "category"),
        (["5.5", " ", "7"], "decimal"),
        ([" 12", "13 ", "\t14"], "integer"),
        ([" 1.50", "NA", " NA", "2.25"], "decimal"),
        ([" 2024-02-29", "2024-03-01 "], "date"),
        ([" 12", "13", "x"], "category"),
        ([" 007", "13"], "category"),
    ],
)
def test_the_type_of_a_column(cells, kind):
    assert column_of(cells).type == kind


def test_blanks_around_what_is_no_number_are_kept():
    assert column_of([" 12", "13 ", "x ", "13"]).values == (" 12", "13", "13 ", "x ")
    assert column_of([" 12", "13"], c="category").values == (" 12", "13")
    assert column_of([" 5", " 5"]).value == " 5"


def test_blanks_around_numbers_are_left_out_and_that_is_told():
    profile = Profile()
    profile.add([" 1.50", "2.25 ", "3.00", "3.00 "])
    schema, (why,) = infer(["c"], [profile], None, "first", {})
    (column,) = schema.columns
    assert why == "3 different numbers; blanks around them are left out"
    assert (column.style, column.units(" 1.50"), column.cell(150)) == ("fixed", 150, "1.50")


def test_missing_marks_are_read_and_the_most_frequent_is_written():
    column = column_of(["1", "NA", "NA", "", "2"])
    assert (column.missing, column.marks) == ("NA", ("",))


def test_computed_numbers_are_numbers_and_rounding_is_told():
    """Floats in full have up to 17 digits, and small ones still more decimals."""
    chance = random.Random(0)
    cells = [repr(chance.gauss(0, 1) ** 3) for _ in range(300)]
    profile = Profile()
    profile.add(cells)
    schema, (why,) = infer(["c"], [profile], None, "first", {})
    (column,) = schema.columns
    assert column.type == "decimal" and column.rounded and f"rounded to {column.decimals} decimals" in why
    width = column.high - column.low
    assert 10**6 <= width < 10**7
    for cell in cells:
        again = column.cell(column.units(cell))
        assert abs(float(again) - float(cell)) <= 0.5001 * 10.0**-column.decimals
    assert Schema.from_json(schema.to_json(), "x") == schema


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([*map(str, range(30)), "inf"], "column 'c': 'inf'.*--type c="),
        (["1", " inf"], "column 'c': ' inf'.*--type c="),
        (["1", "2.5", "inf", "-inf"], "column 'c': 'inf'.*--type c="),
        (["1", str(2**70)], "column 'c'.*beyond 64 bits.*--type c=text"),
        (["1.5", "1e300"], r"column 'c': 1000\d*\.\.\. is beyond 64 bits"),
        (
            [f"2024-{n // 28 % 12 + 1:02d}-{n % 28 + 1:02d}" for n in range(300)] + ["?", "31.1."],
            "'c': 2 of 302 rows are no dates|1 of 302 rows are no dates",
        ),
        ([*map(str, range(200, 400)), "unknown"], "'c': 1 of 201 rows are no numbers.*'unknown'.*key"),
    ],
)
def test_numbers_that_cannot_be_modelled_name_their_column(cells, words):
    with pytest.raises(UserError, match=words):
        column_of(cells)


@pytest.mark.parametrize(
    ("kind", "cells", "words"),
    [
        ("integer", ["1", "x"], "--type c=integer.*'x'"),
        ("date", ["2024-01-01", "x"], "--type c=date.*'x'"),
        ("constant", ["a", "b"], "2 different cells"),
        ("number", ["1"], "--type c=number: give integer"),
        ("text", ["x" * 70_000], "column 'c': a text has 70,000 bytes"),
    ],
)
def test_a_type_that_contradicts_the_cells_is_refused(kind, cells, words):
    with pytest.raises(UserError, match=words):
        column_of(cells, c=kind)


def test_many_different_dates_and_numbers_take_linear_time(request):
    def seconds(cells):
        taken = []
        for _ in range(3):  # the best of them: what else runs here is no part of it
            began = time.process_time()
            column_of(cells)
            taken.append(time.process_time() - began)
        return min(taken)

    start = datetime(2020, 1, 1)
    gc.disable()  # collecting what other tests have left takes longer than this
    request.addfinalizer(gc.enable)
    for cell in (lambda one: str(start + timedelta(seconds=977 * one)), lambda one: str(one * one)):
        few, many = (seconds([cell(one) for one in range(1, size)]) for size in (4_000, 32_000))
        assert many < 30 * few + 0.5  # 8 times as many; by the square it would be 64 times


@pytest.mark.parametrize("kind", ["text", "key", "drop", "category", "integer"])
def test_a_type_that_is_stated_is_taken(kind):
    assert column_of([str(number) for number in range(30)], c=kind).type == kind


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({}, "columns"),
        ({"columns": [5]}, "5 is no column"),
        ({"columns": [{"type": "text"}]}, "without a name"),
        ({"columns": [{"name": "a", "type": "date", "form": []}]}, r"column 'a': form \[\]"),
        ({"columns": [{"name": "a", "type": "text", "max_bytes": 10**9}]}, "max_bytes.*65536"),
        ({"columns": [{"name": "a", "type": "category", "values": []}]}, "values.*one at least"),
        (
            {"columns": [{"name": "a", "type": "category", "values": ["", "x"], "missing": [""]}]},
            "leave it in",
        ),
        ({"columns": [{"name": "a", "type": "key", "value": "x1"}]}, "'x1'"),
        ({"columns": [{"name": "a", "type": "integer", "rounded": 1}]}, '"rounded" must be true'),
        ({"columns": [{"name": "a", "type": "float"}]}, "column 'a': type 'float'"),
        ({"columns": [{"name": "a", "type": "integer", "min": "5", "max": "1"}]}, "column 'a'.*min"),
        ({"columns": [{"name": "a", "type": "integer", "min": "1", "max": "4", "step": "2"}]}, "step"),
        ({"columns": [{"name": "a", "type": "category"}]}, "column 'a'.*values"),
        ({"columns": [{"name": "a", "type": "text", "max_bytes": 0}]}, "max_bytes"),
        ({"columns": [{"name": "a", "type": "key"}] * 2}, "two columns are called 'a'"),
        ({"columns": [{"name": "a", "type": "key"}], "target": "b"}, "target 'b'"),
        ({"columns": [{"name": "a", "type": "key"}], "target_place": "middle"}, "target_place"),
    ],
)
def test_a_wrong_schema_names_its_column(stated, words):
    with pytest.raises(UserError, match=words):
        Schema.from_json(stated, "schema.json")
