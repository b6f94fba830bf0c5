"""Rows that judge are never learnt, and every row is in one of the parts."""

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.held_out import hold_out
from fairseq_plugin.synthesis.request import SynthesisRequest
from fairseq_plugin.tables.writing import write_table
from tests.tables.made_tables import MIXED, mixed_rows


@pytest.fixture
def table(tmp_path):
    write_table(tmp_path / "t.csv", MIXED, mixed_rows(150), "csv")
    return tmp_path / "t.csv"


def request(table, **more):
    return SynthesisRequest(table, table.parent / "out", **more)


def test_every_row_is_in_one_part(table):
    source = hold_out(request(table))
    learnt, held_out = source.learnt.rows(), source.held_out.rows()
    assert source.is_ours and len(held_out) == 30
    assert sorted(learnt + held_out) == sorted(mixed_rows(150))
    assert hold_out(request(table)).held_out.rows() == held_out
    assert hold_out(request(table, seed=2)).held_out.rows() != held_out


def test_nothing_is_held_out_where_that_is_asked_or_too_little(table):
    source = hold_out(request(table, held_out=0))
    assert source.held_out is None and source.learnt.path == table and not source.note
    source = hold_out(request(table, held_out=0.1))
    assert source.held_out is None and "15 rows" not in source.note and "too few" in source.note


def test_empty_lines_are_told(table, tmp_path):
    table.write_text(table.read_text().replace("\n", "\n\n", 1))
    told = f"{table}: 1 lines left out, the first is line 2: it is empty"
    source = hold_out(request(table))
    assert source.note == told and len(source.learnt.rows() + source.held_out.rows()) == 150
    other = tmp_path / "other.csv"
    write_table(other, MIXED, mixed_rows(40, seed=3), "csv")
    assert hold_out(request(other, test=table)).note == told
    assert hold_out(request(other, held_out=0)).note == ""


def test_a_file_of_ones_own_judges(table, tmp_path):
    write_table(tmp_path / "test.csv", MIXED, mixed_rows(40, seed=3), "csv")
    source = hold_out(request(table, test=tmp_path / "test.csv"))
    assert source.learnt.path == table and source.held_out.rows() == mixed_rows(40, seed=3)
    write_table(tmp_path / "other.csv", ["a", "b"], [["x", "y"]], "csv")
    with pytest.raises(UserError, match="--test .*other.csv.*same order"):
        hold_out(request(table, test=tmp_path / "other.csv"))
    with pytest.raises(UserError, match="--held-out 1 "):
        request(table, held_out=1).check()
