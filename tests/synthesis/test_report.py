"""The page says first what is wrong, shows every column and pair, and nothing in it is run."""

import json
import re

import pytest

from fairseq_plugin.synthesis.judges.judgement import TooFewRows
from fairseq_plugin.synthesis.judges.verdict import WORTHLESS
from fairseq_plugin.synthesis.report.write import FIGURES, REPORT, ReportInputs, write_report
from fairseq_plugin.tables.conditions import parse_condition
from fairseq_plugin.tables.schema import CATEGORY, DATE, TEXT, Column, Schema
from tests.synthesis.judges.made_rows import NAMES, SCHEMA, made_cells

QUICK = {"seeds": 1, "trees": 10}


def inputs(rows, **more):
    return ReportInputs("made.csv", SCHEMA, made_cells(200, 1), made_cells(150, 2), NAMES, rows, 1, **more)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    verdict = write_report(folder, inputs(made_cells(200, 1)), **QUICK)
    return folder, verdict


def test_what_is_wrong_comes_first(written):
    folder, verdict = written
    page = (folder / REPORT).read_text("utf-8")
    assert verdict.status == WORTHLESS
    first = page.split("<h2>What the judges say")[0]
    assert "Do not use these rows." in first
    assert "The rows repeat training rows: 100.0" in page.split("<h2>Every column")[0]


def test_every_column_and_pair_is_there(written):
    page = (written[0] / REPORT).read_text("utf-8")
    for name in ("x", "kind", "y", "z"):
        assert re.search(rf"<figcaption>{name}: (KS|TV) 0\.\d+ \(0\.\d+\)", page)
    assert page.count("<figcaption>Real rows") == 1 and "New minus real" in page
    assert "missing: real" in page
    assert "AUC against held-out rows, boosted trees" in page and "copies of training rows" in page


def test_the_figures_are_there_as_json(written):
    folder, verdict = written
    stated = json.loads((folder / FIGURES).read_text("utf-8"))
    assert stated["verdict"] == verdict.sentence and len(stated["findings"]) == 5
    assert stated["marginals"][0]["name"] == "x" and stated["held_out"]["rows"] == 150


def test_the_page_says_whether_rows_were_chosen(tmp_path):
    rows = made_cells(200, 4)
    for num_drawn, says in ((None, False), (1000, True)):
        write_report(tmp_path, inputs(rows, num_drawn=num_drawn), **QUICK)
        page = (tmp_path / REPORT).read_text("utf-8")
        assert ("chosen from 1,000 drawn ones to match the training rows" in page) == says


def test_new_rows_under_a_condition_are_compared_with_real_rows_that_fulfil_it(tmp_path):
    where = parse_condition("kind == 'a'", SCHEMA)
    rows = [row for row in made_cells(400, 3) if row[2] == "a"]
    write_report(tmp_path, inputs(rows, where=where), **QUICK)
    stated = json.loads((tmp_path / FIGURES).read_text("utf-8"))
    assert stated["rows"][1] < 100 and stated["marginals"][1]["synthetic"] == 0
    with pytest.raises(TooFewRows, match="fulfil 'x > 3'"):
        write_report(tmp_path, inputs(rows, where=parse_condition("x > 3", SCHEMA)), **QUICK)


def test_hostile_names_and_cells_are_shown_and_not_run(tmp_path):
    evil = "<script>alert(1)</script>"
    schema = Schema((
        Column(evil, CATEGORY, missing="", values=(evil, "b")),
        Column("day", DATE, form="%Y-%m-%d", low=0, high=400),
        Column("note", TEXT, missing="", max_bytes=90),
        Column("gone", TEXT, missing="", max_bytes=9),
    ))  # fmt: skip
    rows = [
        [evil if one % 3 else "b", f"1970-01-{one % 28 + 1:02d}", evil * (one % 2), ""] for one in range(60)
    ]
    names = schema.names
    write_report(tmp_path, ReportInputs(evil, schema, rows, rows[:30], names, rows[30:], 1), **QUICK)
    page = (tmp_path / REPORT).read_text("utf-8")
    assert "<script" not in page and "&lt;script&gt;" in page and "1970-01-" in page
