import itertools
import random

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.conditions import parse_condition
from fairseq_plugin.tables.function_condition import function_condition
from tests.tables.made_tables import MIXED, code_of, mixed_rows

SCHEMA = code_of(MIXED, mixed_rows(60)).schema
#       id    grade price   count day          note member same
ROWS = [
    ["u1", "a", "12.50", "11", "2024-03-01", "x", "yes", "EU"],
    ["u2", "a,b", "", "34", "2024-01-31", "y", "no", "EU"],
    ["u3", "c", "900.00", "12", "2024-12-28", "z", "yes", "EU"],
]


def observed(places):
    """What three training rows hold; the second row above is none of them."""
    seen = [ROWS[0], ROWS[2], ROWS[2]]
    return frozenset(tuple(row[place] for place in places) for row in seen) - {("a", "11"), ("c", "12")}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("count >= 12", [1, 2]),
        ("count >= 11.5 and member == 'yes'", [2]),
        ("price < 100", [0]),
        ("price != 12.5", [1, 2]),
        ("price is missing or grade == 'c'", [1, 2]),
        ("price is not missing", [0, 2]),
        ("not (price is missing)", [0, 2]),
        ("grade in ('a', \"a,b\")", [0, 1]),
        ("day > '2024-02-29' and not grade == 'c'", [0]),
        ("`count` == 11 or count == 34 and member == 'yes'", [0]),
        ("(count == 11 or count == 34) and member == 'no'", [1]),
        ("count in (11, 12)", [0, 2]),
        ("count in (+11, 1.2e1)", [0, 2]),
        ("count > 1e1 and count<+3.4E+1", [0, 2]),
        ("count>-3 and price >= .5 and price < 26.", [0]),
        ("count == ' 12'", [2]),
        ("price >= count", [0, 2]),
        ("price < count", []),
        ("price != count", [0, 1, 2]),
        ("grade == member", []),
        ("day <= `day` and count == count", [0, 1, 2]),
        ("observed(grade, member)", [0, 2]),
        ("not observed(grade) or observed (grade, count)", [1]),
    ],
)
def test_conditions_hold_for_the_rows_that_they_say(text, found):
    condition = parse_condition(text, SCHEMA, observed)
    assert [number for number, row in enumerate(ROWS) if condition.holds(row)] == found


def test_days_of_two_forms_are_compared_as_days():
    days = [["2024-03-01", "01.02.2024", "12:30"], ["2024-01-31", "02.02.2024", "00:10"]]
    schema = code_of(["start", "end", "hour"], days * 5).schema
    condition = parse_condition("end >= start", schema)
    assert [condition.holds(row) for row in days] == [False, True]
    with pytest.raises(UserError, match="time of day"):
        parse_condition("hour < start", schema)


def test_a_function_of_ones_own_gets_values():
    condition = function_condition(lambda row: row["price"] is None or row["count"] > row["price"], SCHEMA)
    assert [condition.holds(row) for row in ROWS] == [False, True, False]
    with pytest.raises(UserError, match="your function failed on .*'grade': 'a'.*KeyError"):
        function_condition(lambda row: row["size"], SCHEMA).holds(ROWS[0])


@pytest.mark.parametrize(
    ("text", "equal"),
    [
        ("grade == 'a' and count == 11", {"grade": "a", "count": "11"}),
        ("grade == 'a' or count == 11", {}),
        ("not grade == 'a'", {}),
        ("(grade == 'a') and count > 3", {"grade": "a"}),
        ("count == 1.2e1 and count == 12.0 and count == +12", {"count": "12"}),
        ("price == 9e2 and price == 900.00", {"price": "900.00"}),
    ],
)
def test_cells_that_every_such_row_has_are_known(text, equal):
    assert parse_condition(text, SCHEMA).equal == equal


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a column"),
        ("size > 1", "no column 'size'"),
        ("grade == 'x'", "no value 'x'.*'a', 'a,b'"),
        ("grade > 'a'", "no order"),
        ("count > 'x'", "numbers, not 'x'"),
        ("count > 1e", "'1e' cannot be read"),
        ("count > 1.2.3", "'1.2.3' cannot be read"),
        ("count > 1e5000", "'1e5000' cannot be read"),
        ("count > ++3", r"'\+\+3' cannot be read"),
        ("count > 007", "numbers, not '007'"),
        ("grade == +3", r"no value '\+3'"),
        ("day > '1.1.2024'", "dates such as"),
        ("count >", "expected a number"),
        ("count > grade", "cannot be compared with 'grade'"),
        ("day > count", "cannot be compared with 'count'"),
        ("grade > member", "no order"),
        ("count > size", "no column 'size'"),
        ("observed(grade)", "needs the training rows"),
        ("count = 3", "cannot be read"),
        ("(count > 3", r"expected '\)'"),
        ("count > 3 count", "expected and, or"),
        ("id == 'u1'", r"'id' \(key\) is not drawn"),
        ("__import__('os').system('x')", "no column '__import__'"),
        ("(" * 200 + "count > 1", "more than 100 brackets"),
        ("not " * 5000 + "count > 1", "more than 100 brackets"),
    ],
)
def test_what_is_no_condition_is_refused_with_the_place(text, words):
    with pytest.raises(UserError, match=words):
        parse_condition(text, SCHEMA)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("count > 34", "'count' holds 10 .. 34 in steps of 1 and is never missing"),
        ("count < 10 or count > 34", "'count' holds"),
        ("count == 12 and count > 20", "'count' holds"),
        ("count == 12 and count == 1.3e1", "'count' holds"),
        ("count > 3 and count > 12 and count < 13", "'count' holds"),
        ("count in (99, 100)", "'count' holds"),
        ("count in (11, 13) and count == 12", "'count' holds"),
        ("count is missing", "'count' holds .* and is never missing"),
        ("price > 5000", "'price' holds"),
        ("count > 1e400 or price < -1e400", "'price' holds"),
        ("price == 12.5 and price is missing", "'price' holds"),
        ("day > '2030-01-01'", "'day' holds"),
        ("grade == 'a' and grade == 'c'", "'grade' holds"),
        ("grade in ('a', 'c') and (member == 'yes' and grade in ('b', 'd'))", "'grade' holds"),
        ("member == 'no' and (count > 99 or grade == 'a' and grade == 'b')", "'grade' holds"),
        ("same == 'US'", "'same' is 'EU' in every row"),
        ("same in ('US', 'UK')", "'same' is 'EU' in every row"),
    ],
)
def test_what_no_row_fulfils_is_refused_before_anything_is_drawn(text, words):
    with pytest.raises(UserError, match=f"no row fulfils it: column {words}"):
        parse_condition(text, SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "count > 33 and count < 35",
        "price is missing or price > 5000",
        "count == 11 or count > 99",
        "not count > 34",
        "count != 12 and count == 11",
        "count == 12 and count == 12.0",
        "grade in ('a', 'c') and grade != 'c'",
        "same == 'EU'",
        "same in ('US', 'EU')",
        "day >= '2024-12-26'",
    ],
)
def test_what_some_row_could_fulfil_is_never_refused(text):
    parse_condition(text, SCHEMA)


def test_no_row_that_a_condition_accepts_is_outside_its_domains():
    """Against every row of a small table, and conditions put together at random."""
    chance = random.Random(3)
    names, values = ["a", "b", "c"], [["1", "2", "4", ""], ["x", "y"], ["0.5", "1.5"]]
    rows = [list(row) for row in itertools.product(*values)]
    schema = code_of(names, rows * 3).schema

    def one(depth):
        if depth and chance.random() < 0.6:
            return f"({one(depth - 1)} {chance.choice(('and', 'or'))} {one(depth - 1)})"
        test = chance.choice(
            ("a {} {}", "c {} {}", "b == 'x'", "b != 'y'", "a is missing", "a is not missing", "a in (1, 9)")
        ).format(chance.choice(("==", "!=", "<", "<=", ">", ">=")), chance.choice((0, 0.5, 1, 2, 3, 4, 5)))
        return f"not {test}" if chance.random() < 0.2 else test

    refused = 0
    for _ in range(300):
        text = one(3)
        try:
            parse_condition(text, schema)
        except UserError as error:
            refused += 1
            assert "no row fulfils it" in str(error)
            everything = parse_condition(f"a != 77 or {text}", schema).holds
            alone = parse_condition(f"not a != 77 or {text}", schema).holds
            assert all(map(everything, rows)) and not any(map(alone, rows)), text
    assert refused > 10
