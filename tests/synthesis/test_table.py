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


def test_probabilities_and_predictions(table):
    frame = made_frame(10)
    assert (table.log_prob(frame) < 0).all()
    strange = frame.assign(count=9999)
    assert (table.log_prob(strange) == -np.inf).all()
    predicted = table.predict(frame, "count")
    assert ((predicted >= 10) & (predicted <= 34)).all()
    assert set(table.predict(frame, "member")) <= {"yes", "no"}
    with pytest.raises(UserError, match="'price'.*more than 1000"):
        table.predict(frame, "price")


def test_new_rows_are_judged_by_rows_that_were_not_learnt(table, tmp_path):
    verdict = table.report(tmp_path / "r", made_frame(200), made_frame(260).iloc[200:], n=60)
    assert verdict.findings and (tmp_path / "r" / REPORT).is_file()
    with pytest.raises(UserError, match="report: the frame has the columns"):
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


def test_what_cannot_be_learnt_is_named():
    with pytest.raises(UserError, match="learnt nothing"):
        Table().sample(1)
    with pytest.raises(UserError, match="no rows"):
        Table().fit(made_frame(5).iloc[:0])
    with pytest.raises(UserError, match="column 2 has no name|called 'a'"):
        Table().fit(pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]))


def test_one_command_writes_the_rows_and_passes_over_what_is_done(tmp_path, run_script):
    write_table(tmp_path / "t.csv", MIXED, mixed_rows(120), "csv")
    words = ("synthesize.py", tmp_path / "t.csv", "--to", tmp_path / "out", "--rows", 30, "--rare", 2,
             "--type", "note=drop", "--epochs", 1, "--where", "price >= 100")  # fmt: skip
    run_script(*words)
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
