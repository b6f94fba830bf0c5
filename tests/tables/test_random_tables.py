"""Any table and any schema: rows that are rows, the same ones for the same seed, or one plain refusal."""

import copy
import random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.code.fit import fit_column
from fairseq_plugin.tables.code.rows import FIXED, RANDOM, RowCode
from fairseq_plugin.tables.model import TableModel
from fairseq_plugin.tables.profile import Profile
from fairseq_plugin.tables.schema import Schema
from tests.tables.made_tables import code_of, tables

FEW = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=80)


def untrained(code):
    torch.manual_seed(0)
    gpt2 = GPT2(GPT2Config(code.num_symbols, code.longest, 8, 1, 1, 0.0)).eval()
    gpt2.banned = torch.tensor([0, 1, 3])
    return TableModel(code, gpt2)


@FEW
@given(tables(), st.integers(0, 2**63), st.sampled_from([FIXED, RANDOM]), st.integers(1, 11))
def test_rows_are_of_the_schema_and_the_same_for_the_same_seed(table, seed, order, some):
    names, rows = table
    code = code_of(names, rows, order=order)
    if not code.order:
        return
    model = untrained(code)
    drawn = model.sample(12, seed=seed)
    assert drawn.names == names and len(drawn.rows) == 12
    assert model.sample(some, seed=seed).rows == drawn.rows[:some]
    assert model.sample(12 - some, seed=seed, first=some).rows == drawn.rows[some:]
    for row in drawn.rows:
        again = code.decode(code.encode(row))
        assert [new for new, old in zip(again, row) if new is not None and new != old] == []
    assert all(one > -torch.inf for one in model.log_prob(drawn.rows))


@FEW
@given(tables(), st.integers(0, 2**63), st.sampled_from([FIXED, RANDOM]), st.randoms(use_true_random=False))
def test_holes_anywhere_are_filled(table, seed, order, chance):
    names, rows = table
    code = code_of(names, rows, order=order)
    if not code.order:
        return
    holes = [[cell if chance.random() < 0.5 else None for cell in row] for row in rows[:5]]
    model = untrained(code)
    done = model.complete(holes, seed=seed)
    for hole, row in zip(holes, done.rows):
        assert all(new == old for old, new in zip(hole, row) if old is not None)
        assert all(row[place] is not None for place in code.order)
    assert 0 < done.effective <= 1
    assert model.complete(holes[:2], seed=seed).rows == done.rows[:2]


WORDS = ["integer", "decimal", "date", "text", "key", "constant", "drop", "", "-1", "1e9"]
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=4),
    st.sampled_from(WORDS),
)  # fmt: skip
ANYTHING = st.one_of(
    LEAVES, st.lists(LEAVES, max_size=3), st.dictionaries(st.text(max_size=4), LEAVES, max_size=3)
)


def edited(stated, value, chance: random.Random):
    """A schema with a part replaced, removed or added."""
    stated = copy.deepcopy(stated)
    column = chance.choice([stated, *stated["columns"]])
    key = chance.choice([*column, "missing", "rounded", "form"])
    if value is None:
        column.pop(key, None)
    else:
        column[key] = value
    return stated


@MANY
@given(tables(), ANYTHING, st.randoms(use_true_random=False))
def test_an_edited_schema_is_followed_or_refused(table, value, chance):
    names, rows = table
    profiles = [Profile() for _ in names]
    for profile, cells in zip(profiles, zip(*rows)):
        profile.add(cells)
    stated = edited(code_of(names, rows).schema.to_json(), value, chance)
    try:
        schema = Schema.from_json(stated, "mine.json")
        assert Schema.from_json(schema.to_json(), "again") == schema
        counts = {name: profile.counts for name, profile in zip(names, profiles)}
        fitted = {
            one.name: fit_column(one, counts.get(one.name, {}), 1)
            for one in schema.columns
            if one.is_modelled
        }
        code = RowCode(schema, fitted)
        items = [code.encode(row) for row in rows]
    except UserError as error:
        assert "mine.json" in str(error) or "column" in str(error)
        return
    for item, row in zip(items, rows):
        for column, cell, old in zip(schema.columns, code.decode(item), row):
            if column.type in ("category", "boolean", "text") and not column.is_missing(old):
                assert cell == old
            elif column.is_modelled and not column.is_missing(old):
                assert column.units(str(cell)) == column.units(old)


def test_minus_zero_is_zero():
    code = code_of(["c"], [["-0.00"], ["1.50"], ["1.50"]])
    assert code.decode(code.encode(["-0.00"])) == ["0"]
    with pytest.raises(UserError, match="column 'c'"):
        code.encode(["x"])
