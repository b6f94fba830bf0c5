"""The face for notebooks, and the one command: a table in, rows out."""

import csv

import numpy as np
import pandas as pd
import pytest

from fairseq_plugin import Table
from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.judges.verdict import WORTHLESS
from fairseq_plugin.synthesis.report.write import REPORT
from fairseq_plugin.tables.writing import write_table
from tests.tables.made_gpt2 import made_gpt2
from tests.tables.made_tables import MIXED, mixed_rows

pytestmark = pytest.mark.slow


def made_frame(num_rows):
    frame = pd.DataFrame(mixed_rows(num_rows), columns=MIXED).drop(columns=["note", "id"])
    frame["price"] = pd.to_numeric(frame["price"])
    frame["count"] = frame["count"].astype(int)
    frame["day"] = pd.to_datetime(frame["day"])
    return frame


@pytest.fixture(scope="module")
def table():
    return Table(random_state=1, order="random", rare=2, epochs=1).fit(made_frame(200), target="count")


def test_rows_have_the_types_of_the_original(table):
    frame = made_frame(200)
    found = table.sample(50)
    assert dict(found.dtypes) == dict(frame.dtypes) and len(found) == 50
    pd.testing.assert_frame_equal(found, table.sample(50))
    assert not found.equals(table.sample(50, random_state=9))
    met = table.sample(20, where="count == 12 and member == 'yes' and price >= 10")
    assert (met["count"] == 12).all() and (met["price"] >= 10).all() and len(met) == 20
    pairs = set(zip(frame["grade"], frame["member"]))
    seen = table.sample(20, where="observed(grade, member) and price > count")
    assert set(zip(seen["grade"], seen["member"])) <= pairs and (seen["price"] > seen["count"]).all()
    assert (table.sample(9, where=lambda row: row["count"] % 2)["count"] % 2 == 1).all()


def test_missing_values_are_drawn_and_others_stay(table):
    frame = made_frame(30)
    frame.index = range(100, 130)
    found = table.impute(frame)
    known = frame["price"].notna()
    assert found.index.equals(frame.index)
    pd.testing.assert_series_equal(found["price"][known], frame["price"][known])
    pd.testing.assert_frame_equal(found.drop(columns="price"), frame.drop(columns="price"))


def test_a_frame_of_starts_is_gone_on_with(table):
    starts = pd.DataFrame({"member": ["yes", "no"], "count": [12, 33]}, index=[7, 9])
    found = table.sample(seed_data=starts)
    assert list(found["count"]) == [12, 33] and list(found["member"]) == ["yes", "no"]
    assert list(table.sample(5, seed_data=starts)["count"]) == [12, 33, 12, 33, 12]
    met = table.sample(6, seed_data=starts, where="price >= 100")
    assert (met["price"] >= 100).all() and list(met["count"]) == [12, 33] * 3 and met.attrs["accepted"] < 1
    assert set(table.sample(6, seed_data=starts, weights=[0, 2])["count"]) == {33}
    for more, words in (
        ({"seed_data": pd.DataFrame({"size": [1]})}, "seed_data: there is no column 'size'"),
        ({"seed_data": pd.DataFrame({"same": ["EU"]})}, "column 'same' is constant and not drawn"),
        ({"seed_data": pd.DataFrame({"count": [99]})}, "row 0: column 'count': the cell '99'"),
        ({"seed_data": starts, "weights": [1]}, "1 of them for 2 rows"),
        ({}, "give n"),
    ):
        with pytest.raises(UserError, match=words):
            table.sample(**more)


def test_a_schema_can_be_given(table):
    frame = made_frame(60)
    stated = table.schema.to_json()
    column = next(one for one in stated["columns"] if one["name"] == "count")
    column |= {"min": "0", "max": "99"}
    found = Table(stated, order="random", rare=2, epochs=1).fit(frame)
    assert found.schema.target == "count" and found.schema.columns[found.columns.index("count")].high == 99
    assert (found.log_prob(frame.assign(count=99)) > -np.inf).all()
    for schema, more, words in (
        (stated, {"target": "price"}, "the schema says 'count'"),
        ({"columns": stated["columns"][1:]}, {}, "schema: it has the columns"),
        ("no/such.json", {}, "^schema no/such.json: No such file"),
    ):
        with pytest.raises(UserError, match=words):
            Table(schema).fit(frame, **more)


def test_with_a_fixed_order_any_cells_can_be_given(table):
    """What is given weighs what is drawn before it."""
    frame = made_frame(40)
    fixed = Table(random_state=1, rare=2, epochs=1).fit(frame, target="count")
    holes = made_frame(6).assign(count=pd.Series([12, None] * 3, dtype="Int64"), grade=[None, "a"] * 3)
    found = fixed.impute(holes)
    assert found.notna().all().all() and 0 < found.attrs["effective"] <= 1
    known = holes["count"].notna()
    assert (found["count"][known] == 12).all() and (found["grade"][~known] == "a").all()
    met = fixed.sample(4, seed_data=pd.DataFrame({"member": ["no"], "grade": ["b"]}))
    assert set(zip(met["member"], met["grade"])) == {("no", "b")}


def test_rows_can_be_chosen_from_more(table):
    drawn, chosen = table.sample(120), table.sample(40, choose_from=3)
    every = set(map(tuple, drawn.astype(str).to_numpy()))
    assert len(chosen) == 40 and set(map(tuple, chosen.astype(str).to_numpy())) <= every
    pd.testing.assert_frame_equal(chosen, table.sample(40, choose_from=3))
    for wrong in (0, 2.5, "5"):
        with pytest.raises(UserError, match=f"choose_from = {wrong!r}: give a whole number"):
            table.sample(40, choose_from=wrong)
    with pytest.raises(UserError, match="n = -3: ask for at least one row"):
        table.sample(-3, choose_from=5)
    with pytest.raises(UserError, match=r"^choose_from: \d+ training rows"):
        table.sample(3, where="price > 900", choose_from=2)
    with pytest.raises(
        UserError, match="of 8 rows after .* or choose_from 1: 4 are wanted for each row that is kept"
    ):
        table.sample(2, where="not price > 0 and price > 0", choose_from=4, most_tries=2)


def test_probabilities_and_predictions(table):
    frame = made_frame(10)
    assert (table.log_prob(frame) < 0).all()
    strange = frame.assign(count=9999)
    assert (table.log_prob(strange) == -np.inf).all()
    predicted = table.predict(frame, "count")
    assert ((predicted >= 10) & (predicted <= 34)).all()
    assert set(table.predict(frame, "member")) <= {"yes", "no"}
    assert ((table.predict(frame, "price") >= 1) & (table.predict(frame, "price") <= 1000)).all()
    assert table.predict(frame, "day").dtype == frame["day"].to_numpy().dtype
    with pytest.raises(UserError, match=r"'same' \(constant\)"):
        table.predict(frame, "same")


def test_new_rows_are_judged_by_rows_that_were_not_learnt(table, tmp_path):
    verdict = table.report(tmp_path / "r", made_frame(200), made_frame(260).iloc[200:], n=60)
    assert verdict.findings and (tmp_path / "r" / REPORT).is_file()
    table.report(tmp_path / "r", made_frame(200), made_frame(260).iloc[200:], n=60, choose_from=2)
    assert "They were chosen from 120 drawn ones" in (tmp_path / "r" / REPORT).read_text("utf-8")
    with pytest.raises(UserError, match="report: the frame lacks the columns 'day'"):
        table.report(tmp_path / "r", made_frame(200), made_frame(60).drop(columns="day"))


def test_a_saved_table_is_the_same(table, tmp_path):
    table.save(tmp_path / "saved")
    again = Table.load(tmp_path / "saved")
    pd.testing.assert_frame_equal(again.sample(10), table.sample(10))
    with pytest.raises(UserError, match="exists"):
        table.save(tmp_path / "saved")
    content = bytearray((tmp_path / "saved" / "checkpoint.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "saved" / "checkpoint.pt").write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        Table.load(tmp_path / "saved")
    with pytest.raises(UserError, match="no saved Table"):
        Table.load(tmp_path)


def test_a_table_from_a_pretrained_model_writes_texts(tmp_path):
    made_gpt2(tmp_path / "gpt2")
    frame = pd.DataFrame(mixed_rows(80), columns=MIXED)[["grade", "note", "count"]]
    frame["count"] = frame["count"].astype(int)
    learnt = Table(pretrained=tmp_path / "gpt2", rare=2, epochs=1).fit(frame, target="count")
    found = learnt.sample(10, where="grade != 'a'")
    assert dict(found.dtypes) == dict(frame.dtypes) and (found["grade"] != "a").all()
    assert (learnt.log_prob(found) > -np.inf).all() and learnt.model.code.codec is not None
    learnt.save(tmp_path / "saved")
    pd.testing.assert_frame_equal(Table.load(tmp_path / "saved").sample(5), learnt.sample(5))


def test_what_cannot_be_learnt_is_named():
    with pytest.raises(UserError, match="learnt nothing"):
        Table().sample(1)
    for frame, words in (
        (made_frame(5).iloc[:0], "has 0 rows"),
        (made_frame(5).iloc[:1], "has 1 rows"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "called 'a'"),
        (pd.DataFrame({"x": [1.0, np.inf]}), "'x' has 1 infinite"),
        (pd.DataFrame({"x": [1, 2**63 - 1]}), "column 'x': 9223372036854775807 is beyond 64 bits"),
        (pd.DataFrame({"x": list("abcdef")}), "column 'x': each of its values.*: lower rare, or"),
        (pd.DataFrame({"x": [None, None]}), "no column"),
    ):
        with pytest.raises(UserError, match=words):
            Table().fit(frame)
    with pytest.raises(UserError, match="target 'x' is no column"):
        Table().fit(made_frame(5), target="x")
    with pytest.raises(UserError, match="^pretrained .*none is not a folder"):
        Table(pretrained="none").fit(made_frame(5))


def test_one_command_writes_the_rows_and_passes_over_what_is_done(tmp_path, run_script, speaks_for_itself):
    write_table(tmp_path / "t.csv", MIXED, mixed_rows(120), "csv")
    words = ("synthesize.py", tmp_path / "t.csv", "--to", tmp_path / "out", "--rows", 30, "--rare", 2,
             "--type", "note=drop", "--epochs", 1, "--where", "price >= 100")  # fmt: skip
    made = run_script(*words)
    speaks_for_itself(made.stdout + made.stderr)
    first = (tmp_path / "out" / "rows.csv").read_bytes()
    again = run_script(*words)
    assert again.stdout.count("already done") == 2 and "no report: only" in again.stdout
    assert (tmp_path / "out" / "rows.csv").read_bytes() == first
    with open(tmp_path / "out" / "rows.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 30 and all(float(row["price"]) >= 100 for row in rows)
    judged = run_script(*words[:-2], "--rows", 60, check=False)
    assert judged.returncode in (0, WORTHLESS) and "Its report:" in judged.stdout
    page = (tmp_path / "out" / REPORT).read_text("utf-8")
    assert "Nats per row" in page
    kept = (tmp_path / "out" / "rows.csv").read_bytes()
    refused = run_script(*words[:-1], "price >= 100 and not price >= 100", "--most-tries", 2,
                         "--choose-from", 3, check=False)  # fmt: skip
    assert refused.returncode == 1 and "0 of 90 rows after 180 tries" in refused.stderr
    assert "or --choose-from 1: 3 are wanted for each row that is kept" in refused.stderr
    assert "rows.csv still holds the rows of an earlier run" in refused.stderr
    assert (tmp_path / "out" / "rows.csv").read_bytes() == kept
