import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.conditions import parse_condition
from tests.tables.made_tables import MIXED, code_of, mixed_rows

SCHEMA = code_of(MIXED, mixed_rows(60)).schema
#       id    grade price   count day          note member same
ROWS = [
    ["u1", "a", "12.50", "11", "2024-03-01", "x", "yes", "EU"],
    ["u2", "a,b", "", "34", "2024-01-31", "y", "no", "EU"],
    ["u3", "c", "900.00", "12", "2024-12-28", "z", "yes", "EU"],
]


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
    ],
)
def test_conditions_hold_for_the_rows_that_they_say(text, found):
    condition = parse_condition(text, SCHEMA)
    assert [number for number, row in enumerate(ROWS) if condition.holds(row)] == found


@pytest.mark.parametrize(
    ("text", "equal"),
    [
        ("grade == 'a' and count == 11", {"grade": "a", "count": "11"}),
        ("grade == 'a' or count == 11", {}),
        ("not grade == 'a'", {}),
        ("(grade == 'a') and count > 3", {"grade": "a"}),
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
        ("count > 1e5", "cannot be read|expected"),
        ("day > '1.1.2024'", "dates such as"),
        ("count >", "expected a number"),
        ("count = 3", "cannot be read"),
        ("(count > 3", r"expected '\)'"),
        ("count > 3 count", "expected and, or"),
        ("grade == 'a' and grade == 'c'", "cannot be both"),
        ("__import__('os').system('x')", "no column '__import__'"),
        ("(" * 200 + "count > 1", "more than 100 brackets"),
        ("not " * 5000 + "count > 1", "more than 100 brackets"),
    ],
)
def test_what_is_no_condition_is_refused_with_the_place(text, words):
    with pytest.raises(UserError, match=words):
        parse_condition(text, SCHEMA)
