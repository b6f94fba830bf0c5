"""Rows of a network that has learnt nothing are rows, fulfil their conditions, and come again."""

import math

import pytest
import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.code.rows import FIXED, RANDOM
from fairseq_plugin.tables.conditions import parse_condition
from fairseq_plugin.tables.model import TableModel
from tests.tables.made_tables import MIXED, code_of, mixed_rows, model_of


@pytest.fixture(scope="module", params=[FIXED, RANDOM])
def model(request):
    return model_of(request.param)


def check_rows(model, rows):
    schema = model.code.schema
    for row in rows:
        cells = dict(zip(model.cells.names, row))
        assert "note" not in cells
        for place in model.code.order:
            column, cell = schema.columns[place], cells[schema.columns[place].name]
            assert column.is_missing(cell) or cell in column.values or (
                column.low <= column.units(cell) <= column.high
                and (column.units(cell) - column.low) % column.step == 0
            )  # fmt: skip


def test_an_untrained_model_writes_rows(model):
    drawn = model.sample(300, seed=3)
    assert len(drawn.rows) == 300 == drawn.num_drawn and drawn.names == [*MIXED[:5], *MIXED[6:]]
    check_rows(model, drawn.rows)
    assert len({row[0] for row in drawn.rows}) == 300  # keys


def test_a_row_depends_on_seed_and_number_alone(model):
    many = model.sample(40, seed=3)
    assert model.sample(5, seed=3, first=20).rows == many.rows[20:25]
    assert model.sample(40, seed=4).rows != many.rows


def test_conditions_are_met_exactly_n_times(model):
    where = parse_condition("count == 12 and price >= 500 and member == 'yes'", model.code.schema)
    drawn = model.sample(12, seed=1, where=where)
    assert len(drawn.rows) == 12 and 0 < drawn.accepted <= 1
    check_rows(model, drawn.rows)
    for row in drawn.rows:
        cells = dict(zip(drawn.names, row))
        assert (cells["count"], cells["member"]) == ("12", "yes") and float(cells["price"]) >= 500
    assert model.sample(5, seed=1, where=where).rows == drawn.rows[:5]


def test_a_condition_that_is_never_met_ends(model):
    where = parse_condition("price > 1 and not price > 0", model.code.schema)
    with pytest.raises(UserError, match=r"0 of 2 rows after 64 tries.*'price > 1 and not price > 0'"):
        model.sample(2, where=where, most_tries=10)


def test_probabilities_of_all_rows_sum_to_one():
    """A table so small that every row can be listed."""
    rows = [["a", "1"], ["a", "2"], ["b", ""], ["b", "2"]] * 3
    code = code_of(["x", "y"], rows)
    torch.manual_seed(0)
    gpt2 = GPT2(GPT2Config(code.num_symbols, code.longest, 16, 1, 2, 0.0)).eval()
    model = TableModel(code, gpt2)
    every = [[x, y] for x in ("a", "b") for y in ("", "1", "2")]
    assert sum(math.exp(one) for one in model.log_prob(every)) == pytest.approx(1, abs=1e-5)
    assert model.log_prob([["c", "1"], ["a", "3"]]) == [-math.inf, -math.inf]


def test_missing_cells_are_drawn_and_given_ones_stay():
    model = model_of(RANDOM)
    rows = [list(row) for row in mixed_rows(30)]
    holes = [[None if (n + at) % 3 == 0 and at not in (0, 5, 7) else cell for at, cell in enumerate(row)]
             for n, row in enumerate(rows)]  # fmt: skip
    completed = model.impute(holes, seed=1)
    for hole, row in zip(holes, completed):
        assert all(new == old for old, new in zip(hole, row) if old is not None)
        assert None not in row
    assert model.impute(holes, seed=1) == completed
    assert model.impute(holes[:7], seed=1) == completed[:7]
    assert all(row[2] for row, hole in zip(completed, holes) if hole[2] is None)  # what is drawn is there


def test_a_condition_that_no_row_can_have_is_refused_before_any_is_drawn(model):
    text = "member == 'yes' and count == 99"
    with pytest.raises(UserError, match="no row fulfils it: column 'count' holds"):
        model.condition(text)
    with pytest.raises(UserError, match="no row fulfils it"):
        model.sample(1, where=parse_condition(text, model.code.schema))


def test_too_few_positions_are_refused():
    with pytest.raises(UserError, match="--n-positions"):
        model_of(positions=4)
