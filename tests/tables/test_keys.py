"""Keys are seen for what they are, and no new row has one of the table."""

import json
import random
from dataclasses import replace

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.infer import infer
from fairseq_plugin.tables.keys import number_before_new, safe_key, text_key
from fairseq_plugin.tables.prepare import prepare_table
from fairseq_plugin.tables.profile import MOST_DISTINCT, Profile
from fairseq_plugin.tables.request import TableRequest
from fairseq_plugin.tables.schema import KEY, Column
from fairseq_plugin.tables.summary import format_summary
from fairseq_plugin.tables.writing import write_table


def profile_of(cells):
    profile = Profile()
    for at in range(0, len(cells), 40):  # in chunks, as a file is read
        profile.add(cells[at : at + 40])
    return profile


def guess_of(name, cells, **types):
    schema, (why,) = infer([name], [profile_of(cells)], None, "first", types)
    return schema.columns[0], why


def rising(num_rows, most, seed=0, first=1000):
    draw = random.Random(seed)
    found = [first]
    while len(found) < num_rows:
        found.append(found[-1] + draw.randint(1, most))
    return [str(one) for one in found]


def shuffled(cells, seed=0):
    return random.Random(seed).sample(cells, len(cells))


KEYS = {
    "numbered": [f"id-{one}" for one in range(1, 41)],
    "with zeros in front": [f"u{one:04d}" for one in range(0, 400, 7)],
    "of full width": [f"u{one}" for one in range(900, 1000)],
    "digits alone": [f"{one:05d}" for one in range(0, 3000, 31)],
    "of several prefixes": [f"{'id-ab'[: 2 + one % 3]}{one}" for one in range(60)],
    "new-id-": [*(f"id-{one}" for one in range(30)), *(f"new-id-{one}" for one in range(30)), "x"],
    "long numbers": [f"id-{10**19 + one}" for one in range(30)],
    "letters": [f"{chr(97 + one)}@b.org" for one in range(25)],
    "without gaps": [str(one) for one in range(10, 40)],
    "with gaps": rising(80, 9),
    "negative": [str(one) for one in range(-30, 0)],
}


@pytest.mark.parametrize("cells", KEYS.values(), ids=KEYS)
def test_no_new_key_is_one_of_the_table(cells):
    for column in (guess_of("id", cells)[0], guess_of("id", cells, id=KEY)[0]):
        new = [column.new_key(number) for number in range(2000)]
        assert column.type == KEY and len(set(new)) == len(new)
        assert not set(new) & set(cells)
        assert Column.from_json(json.loads(json.dumps(column.to_json())), "schema.json") == column


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("numbered", "id-41"),
        ("with zeros in front", "u0411"),
        ("digits alone", "03101"),
        ("letters", "id-1"),
        ("new-id-", "new-new-id-1"),
        ("without gaps", "40"),
    ],
)
def test_new_keys_look_like_those_of_the_table(name, first):
    assert guess_of("id", KEYS[name])[0].new_key(0) == first


def test_a_column_stated_to_be_a_key_gets_new_ones_too():
    for cells in (["7", "7", "12"], ["1.5", "id-2"], ["1" * 40, "2"], ["5", ""], ["x"] * 30):
        column, _ = guess_of("id", cells, id=KEY)
        assert not {column.new_key(number) for number in range(100)} & set(cells)


def test_of_more_keys_than_are_remembered_none_comes_again():
    profile = Profile(rows=MOST_DISTINCT + 2, num_bytes=12, is_whole=False)
    column = text_key("id", profile)
    assert len(column.new_key(0)) > 12
    assert safe_key(Column("id", KEY, prefix="id-"), column, profile) == column


def test_a_prepared_folder_keeps_no_key(tmp_path):
    keys = [str(70_001 + 13 * one + one % 5) for one in range(90)]
    names = [f"customer{one}x" for one in shuffled(keys)]
    rows = [[key, name, "ab"[at % 2]] for at, (key, name) in enumerate(zip(keys, names))]
    write_table(tmp_path / "t.csv", ["c", "name", "kind"], rows, "csv")
    prepared = prepare_table(TableRequest(str(tmp_path / "t.csv"), str(tmp_path / "data")))
    assert [column.type for column in prepared.schema.columns] == [KEY, KEY, "category"]
    kept = b"\n".join(
        path.read_bytes() for path in (tmp_path / "data").iterdir() if path.name != "manifest.json"
    )
    assert not [key for key in (*keys, *names) if key.encode() in kept]


def test_a_schema_of_an_earlier_version_is_read_and_its_new_keys_are_new(tmp_path):
    rows = [[f"id-{one}", "ab"[one % 2], str(one)] for one in range(1, 41)]
    write_table(tmp_path / "t.csv", ["id", "kind", "number"], rows, "csv")
    request = TableRequest(str(tmp_path / "t.csv"), str(tmp_path / "data"))
    stated = prepare_table(request).schema.to_json()
    assert stated["columns"][0] == {"name": "id", "type": "key", "prefix": "id-", "value": "40"}

    def prepared_with(**changes):
        edited = {**stated, "columns": [{**stated["columns"][0], **changes}, *stated["columns"][1:]]}
        edited["columns"][0] = {name: one for name, one in edited["columns"][0].items() if one is not None}
        (tmp_path / "mine.json").write_text(json.dumps(edited))
        return prepare_table(replace(request, schema=str(tmp_path / "mine.json"), overwrite=True))

    for older in ({"prefix": None, "value": ""}, {"prefix": None, "value": None}, {"value": "7"}):
        assert prepared_with(**older).schema.columns[0].new_key(0) == "id-41"
    for own, first in (({"prefix": "new "}, "new 41"), ({"value": "4999"}, "id-5000")):
        prepared = prepared_with(**own)
        assert prepared.schema.columns[0].new_key(0) == first
        assert f"new ones: {first}" in format_summary(prepared, "data")
    with pytest.raises(UserError, match="column 'id': \"prefix\" must be the text"):
        prepared_with(prefix=5)


@pytest.mark.parametrize(
    ("name", "cells", "words"),
    [
        ("customer", rising(200, 9), "each above the one before"),
        ("c", rising(60, 9), "each above the one before"),
        ("customer_id", shuffled(rising(200, 900)), "called 'id'"),
        ("CustomerID", shuffled(rising(60, 900)), "called 'id'"),
        ("orderid", shuffled(rising(60, 900)), "called 'orderid'"),
        ("Invoice No.", shuffled(rising(60, 900)), "called 'no'"),
        ("zip code", shuffled(rising(60, 900)), "called 'code'"),
    ],
)
def test_whole_numbers_that_name_a_row_are_keys_and_the_reason_is_told(name, cells, words):
    column, why = guess_of(name, cells)
    assert column.type == KEY and words in why and "never copied" in why
    assert not {column.new_key(number) for number in range(5000)} & set(cells)
    overruled, _ = guess_of(name, cells, **{name: "integer"})
    assert (overruled.type, overruled.low) == ("integer", min(map(int, cells)))


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("population", shuffled(rising(300, 90))),
        ("population", rising(300, 9)),  # a table sorted by it
        ("year", rising(100, 2)),
        ("event_time", rising(400, 9, first=1_700_000_000)),
        ("x", rising(300, 5000)),  # sorted, but so far apart that numbers drawn at random are different
        ("x", shuffled(rising(300, 9))),
        ("price", [str(one * one + 100) for one in range(200)]),
        ("amount_paid", shuffled(rising(300, 90))),
        ("grid", shuffled(rising(300, 90))),
        ("customer_id", shuffled(rising(40, 90))),  # too few rows
        ("customer_id", [*rising(200, 9), "1000"]),  # one comes twice
        ("customer_id", [*rising(200, 9), ""]),
        ("balance_id", [str(int(one) - 2000) for one in shuffled(rising(200, 9))]),
        ("Number of rooms", shuffled(rising(200, 90))),
    ],
)
def test_what_may_be_measured_is_no_key(name, cells):
    assert guess_of(name, cells)[0].type == "integer"


def test_where_a_number_is_left_out_the_greatest_is_not_kept():
    for numbers in ([3, 5, 9], [1003, 1847], [10**18, 10**18 + 9], [-90, -70], [0, 99, 100]):
        before = number_before_new(min(numbers), max(numbers), len(numbers))
        assert before > max(numbers) and before % 10 == 0
