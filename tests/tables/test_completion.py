"""What is drawn beside given cells has the probabilities that the model says, whatever is given."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.code.rows import FIXED, RANDOM
from fairseq_plugin.tables.model import TableModel
from fairseq_plugin.tables.prediction import predict
from fairseq_plugin.tables.starts import drawn_starts, sample_from
from tests.tables.made_tables import MIXED, code_of, mixed_rows, model_of

VALUES = [["a", "b"], ["", "1", "2", "3"], ["x", "y", "z"]]
SMALL = [list(row) for row in itertools.product(*VALUES)]


def small_model(order=FIXED, **more):
    """A table so small that every row can be listed, and a network with opinions."""
    code = code_of(["p", "q", "r"], SMALL * 2, order=order, **more)
    torch.manual_seed(1)
    gpt2 = GPT2(GPT2Config(code.num_symbols, code.longest, 16, 1, 2, 0.0)).eval()
    with torch.no_grad():
        for one in gpt2.parameters():
            one += 0.3 * torch.randn_like(one)
    gpt2.banned = torch.tensor([0, 1, 3])
    return TableModel(code, gpt2)


def literal(model, given, present=False):
    """The slow statement: rows with the given cells, each by its share of their probability."""
    rows = [row for row in SMALL if all(cell in (None, own) for cell, own in zip(given, row))]
    rows = [row for row in rows if not present or row[1] or given[1] == ""]
    weights = np.exp(model.log_prob(rows))
    return {tuple(row): weight for row, weight in zip(rows, weights / weights.sum())}


def check_shares(model, given, present=False):
    num = 600
    done = model.complete([given] * num, seed=3, present=present)
    expected, found = literal(model, given, present), Counter(map(tuple, done.rows))
    assert set(found) <= set(expected)
    for row, share in expected.items():
        assert found[row] / num == pytest.approx(share, abs=4 * math.sqrt(share / num) + 0.01)
    return done.effective


@pytest.mark.parametrize("present", [False, True])
@pytest.mark.parametrize(
    "given",
    [
        ["a", None, None],  # what comes first
        [None, "2", "y"],  # one cell is not given: its values have probabilities
        ["b", None, "z"],
        [None, None, None],
    ],
)
def test_cells_are_drawn_as_the_model_says(given, present):
    if given == [None] * 3 and present:
        pytest.skip("several that are drawn as present: each in turn, not the exact share")
    assert check_shares(small_model(), given, present) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("present", [False, True])
@pytest.mark.parametrize("given", [[None, None, "y"], [None, "", None]])
def test_cells_before_given_ones_are_weighed(given, present):
    assert 0.2 < check_shares(small_model(), given, present) < 1


def test_completed_rows_are_the_same_whatever_is_completed_beside():
    model, rows = model_of(FIXED), [list(row) for row in mixed_rows(6)]
    holes = [[None if at in (1 + n % 2, 3) else cell for at, cell in enumerate(row)]
             for n, row in enumerate(rows)]  # fmt: skip
    done = model.complete(holes, seed=5)
    assert 0 < done.effective < 1
    for hole, row in zip(holes, done.rows):
        assert all(new == old for old, new in zip(hole, row) if old is not None)
    assert model.complete(holes[4:], seed=5, numbers=range(4, 6)).rows == done.rows[4:]


def test_given_cells_of_any_length_leave_room_for_the_rest():
    """Where the network has no position more than the longest row needs."""
    rows = mixed_rows(60)
    longest = code_of(MIXED, rows, rare=2, order=RANDOM, types={"note": "drop"}).longest
    code = code_of(MIXED, rows, rare=2, order=RANDOM, types={"note": "drop"})
    torch.manual_seed(0)
    gpt2 = GPT2(GPT2Config(code.num_symbols, longest, 16, 1, 2, 0.0)).eval()
    gpt2.banned = torch.tensor([0, 1, 3])
    holes = [[cell if at < n % 8 else None for at, cell in enumerate(row)] for n, row in enumerate(rows[:16])]
    done = TableModel(code, gpt2).complete(holes, seed=1).rows
    for hole, row in zip(holes, done):
        assert all(new == old for old, new in zip(hole, row) if old is not None)


@pytest.mark.parametrize("order", [FIXED, RANDOM])
def test_rare_and_missing_cells_can_be_given(order):
    rows = [["u", "1"]] * 6 + [["v", "2"]] * 6 + [["w", ""]]
    code = code_of(["p", "q"], rows, rare=5, order=order, types={"q": "category"})
    torch.manual_seed(0)
    gpt2 = GPT2(GPT2Config(code.num_symbols, code.longest, 16, 1, 2, 0.0)).eval()
    gpt2.banned = torch.tensor([0, 1, 3])
    model = TableModel(code, gpt2)
    found = model.impute([["w", None], [None, ""], ["u", None]] * 5)
    assert all(row[0] == "w" and row[1] in ("1", "2") for row in found[::3])
    assert all(row[0] in ("u", "v") and row[1] == "" for row in found[1::3])


@pytest.mark.parametrize("order", [FIXED, RANDOM])
def test_predictions_are_those_of_the_probabilities(order):
    model = small_model(order)
    rows = [["a", "1", "x"], ["b", "", "z"]]
    if order == FIXED:  # the joint probabilities know it; in random order the network reads the others first
        for place, values in enumerate(VALUES):
            if place == 1:
                continue
            best = [max(values, key=lambda one: model.log_prob([[*row[:place], one, *row[place + 1 :]]])[0])
                    for row in rows]  # fmt: skip
            assert predict(model, rows, "pqr"[place]) == best
        weights = np.exp([model.log_prob([["a", one, "x"]])[0] for one in "123"])
        assert predict(model, rows[:1], "q") == pytest.approx([float(weights @ [1, 2, 3] / weights.sum())])
    else:
        num = 400
        drawn = model.complete([["a", None, "x"]] * num, seed=1, present=True).rows
        mean = sum(float(row[1]) for row in drawn) / num
        assert predict(model, rows[:1], "q") == pytest.approx([mean], abs=0.15)


def test_dates_and_wide_numbers_are_predicted():
    for order in (FIXED, RANDOM):
        model, rows = model_of(order), mixed_rows(3)
        days, prices = predict(model, rows, "day"), predict(model, rows, "price")
        assert all("2024-01-01" <= day <= "2024-12-28" for day in days)
        assert all(1 <= price <= 1000 for price in prices)
        assert predict(model, rows[:1], "price") == prices[:1]


@pytest.mark.parametrize(
    ("name", "row", "words"),
    [
        ("size", 0, "predict: there is no column 'size'"),
        ("id", 0, r"column 'id' \(key\) cannot be predicted"),
        ("day", 1, "row 1: column 'count': the cell '99'"),
    ],
)
def test_what_cannot_be_predicted_is_named(name, row, words):
    rows = mixed_rows(3)
    rows[1][3] = "99" if row else rows[1][3]
    with pytest.raises(UserError, match=words):
        predict(model_of(), rows, name)


# -- starts ------------------------------------------------------------------------------------------------


def starts_of(**cells):
    """A start with these cells."""
    return [cells.get(name) for name in MIXED]


@pytest.mark.parametrize("order", [FIXED, RANDOM])
def test_new_rows_begin_with_their_starts_in_turn(order):
    model = model_of(order)
    starts = [starts_of(count="12"), starts_of(count="11", grade="a,b"), starts_of(member="no")]
    drawn = sample_from(model, starts, 7, seed=2)
    assert len(drawn.rows) == 7 and len({row[0] for row in drawn.rows}) == 7  # keys
    cells = [dict(zip(drawn.names, row)) for row in drawn.rows]
    assert [row["count"] for row in cells[::3]] == ["12"] * 3
    assert [(row["count"], row["grade"]) for row in cells[1::3]] == [("11", "a,b")] * 2
    assert [row["member"] for row in cells[2::3]] == ["no"] * 2
    assert sample_from(model, starts, 4, seed=2).rows == drawn.rows[:4]


def test_each_start_is_drawn_again_until_its_row_fulfils_a_condition():
    model = model_of(FIXED)
    starts = [starts_of(count="12"), starts_of(count="11")]
    where = model.condition("price >= 500")
    drawn = sample_from(model, starts, 8, seed=2, where=where)
    cells = [dict(zip(drawn.names, row)) for row in drawn.rows]
    assert [row["count"] for row in cells] == ["12", "11"] * 4
    assert all(float(row["price"]) >= 500 for row in cells) and drawn.accepted < 1
    with pytest.raises(UserError, match=r"of 2 rows after .* tries: with the start of row 1 none"):
        sample_from(model, starts, 2, where=model.condition("count == 12"), most_tries=5)


def test_starts_are_drawn_by_their_weights():
    places = drawn_starts([1, 0, 3], 4000, seed=1)
    assert Counter(places)[1] == 0 and Counter(places)[2] / 4000 == pytest.approx(0.75, abs=0.03)
    assert drawn_starts([1, 0, 3], 10, seed=1) == places[:10]
    for weights in ([], [0, 0], [1, -1], [1, math.nan], [1, math.inf]):
        with pytest.raises(UserError, match="weights"):
            drawn_starts(weights, 1, 1)
