"""Cells come back exactly, and the automaton allows rows and nothing but rows."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.tables.code.automaton import DONE
from fairseq_plugin.tables.code.leaves import cut, grow
from fairseq_plugin.tables.code.rows import FIXED, RANDOM, RowCode
from fairseq_plugin.tables.schema import KEY, Schema
from fairseq_plugin.tables.walk import Walker
from tests.tables.made_tables import MIXED, code_of, mixed_rows, random_walks, tables

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def modelled(code, row):
    """A row's cells without its keys; missing cells and numbers in their column's one style."""
    cells = []
    for cell, column in zip(row, code.schema.columns):
        if column.is_missing(cell):
            cell = column.missing
        elif column.type in ("integer", "decimal"):
            cell = column.cell(column.units(cell))
        cells.append(cell if column.is_modelled or column.type == "constant" else None)
    return cells


@QUICK
@given(tables(), st.sampled_from([FIXED, RANDOM]))
def test_every_row_comes_back(table, order):
    names, rows = table
    code = code_of(names, rows, rare=1, order=order)
    for row in rows:
        assert code.decode(code.encode(row)) == modelled(code, row)


def test_more_values_than_have_a_symbol_each_come_back_through_a_tree():
    rows = [[str(7 * number)] for number in range(700)]
    code = code_of(["n"], rows, rare=1, types={"n": "integer"})
    assert len(code.encode(rows[0])) > 2, "one symbol and the end would be no tree"
    assert [code.decode(code.encode(row)) for row in rows] == rows
    assert all(code.encode(code.decode(text)) == text for text in random_walks(code, seed=1, count=50))


@QUICK
@given(tables(), st.integers(0, 2**32 - 1), st.sampled_from([FIXED, RANDOM]), st.sampled_from([1, 3]))
def test_random_walks_are_rows(table, seed, order, rare):
    """What an untrained network could draw, one symbol at a time, decodes and is of the schema."""
    names, rows = table
    types = dict.fromkeys(names, "text") if rare > 1 else {}
    code = code_of(names, rows, rare=rare, order=order, types=types)
    for text in random_walks(code, seed):
        assert text[-1] == EOS
        cells = code.decode(text)
        assert code.encode([cell or "" for cell in cells]) == text or order == RANDOM


def test_a_missing_text_has_one_code():
    """Else its probability would be split between two ways to write the same row."""
    code = code_of(["t"], [["a b"], [""]], types={"t": "text"})
    missing = code.encode([""])
    assert len(missing) == 2 and code.decode(missing) == [""]
    low, count = (int(part[code.start_C[0]]) for part in (code.automaton.low_S, code.automaton.count_S))
    alone = [one for one in range(low, low + count) if code.automaton.step(int(code.start_C[0]), one) == DONE]
    assert alone == missing[:1]


def test_the_code_survives_its_file(tmp_path):
    rows = mixed_rows(50)
    code = code_of(MIXED, rows, rare=2)
    code.save(tmp_path)
    again = RowCode.parse((tmp_path / "code.json").read_bytes(), tmp_path / "code.json")
    assert [again.encode(row) for row in rows] == [code.encode(row) for row in rows]
    assert Schema.from_json(code.schema.to_json(), "x") == code.schema


def test_a_damaged_code_is_refused(tmp_path):
    for content in (b"", b"{}", b'{"schema": 1, "columns": {}, "order": "fixed"}'):
        with pytest.raises(UserError, match=r"code\.json"):
            RowCode.parse(content, tmp_path / "code.json")


def literal_allowed(code, prefix):
    """The slow statement: a symbol may follow if some row of the automaton goes on with it."""
    automaton, column, state = code.automaton, 0, None
    for symbol in [*prefix, None]:
        if state is None:
            done = column == len(code.start_C)
            state = code.end_state if done else int(code.start_C[column])
        low, count = int(automaton.low_S[state]), int(automaton.count_S[state])
        if symbol is None:
            return set(range(low, low + count)), column
        following = automaton.step(state, symbol)
        assert following is not None
        if following == -1:
            state, column = None, column + 1
        else:
            state = following
    raise AssertionError


def test_the_walker_knows_what_each_position_allows():
    rows = mixed_rows(40)
    code = code_of(MIXED, rows, rare=1)
    items = [code.encode(row) for row in rows]
    longest = max(map(len, items))
    target_BT = torch.tensor([item + [1] * (longest - len(item)) for item in items])
    ranges = Walker(code).ranges(target_BT)
    for row, item in enumerate(items):
        for at in range(len(item)):
            low, count = int(ranges.low_BT[row, at]), int(ranges.count_BT[row, at])
            allowed, column = literal_allowed(code, item[:at])
            assert set(range(low, low + count)) == allowed
            assert int(ranges.column_BT[row, at]) == column
        assert (ranges.count_BT[row, len(item) :] == 0).all()


def test_rare_categories_are_read_and_never_drawn():
    rows = [["a"]] * 6 + [["b"]] * 5 + [["x"]]
    code = code_of(["c"], rows, rare=5)
    rare, walker = code.encode(["x"])[0], Walker(code, drawing=True)
    state_S, _ = walker.begin(1)
    logits_SV = torch.zeros(1, code.num_symbols)
    walker.forbid(logits_SV, state_S)
    drawn = [code.decode([symbol])[0] for symbol in logits_SV[0].isfinite().nonzero().flatten().tolist()]
    assert drawn == ["a", "b"]
    assert Walker(code).ranges(torch.tensor([[rare, EOS]])).low_BT[0, 0] == rare
    with pytest.raises(ValueError, match="rare"):
        code.decode([rare])


def test_a_column_of_rare_categories_alone_is_refused_with_the_mend():
    with pytest.raises(UserError, match=r"'c'.*--rare 5.*--type c=text"):
        code_of(["c"], [["a"], ["b"], ["a"]], rare=5)


@QUICK
@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 40)), min_size=1, max_size=60),
    st.integers(1, 10),
)
def test_leaves_cover_the_range_and_none_holds_too_few_rows(pairs, rare):
    counts = dict(pairs)
    values = np.array(sorted(counts))
    weights = np.array([counts[value] for value in values.tolist()])
    leaves = cut(values, weights, 0, 310, rare)
    assert leaves.first[0] == 0 and leaves.last[-1] == 310
    assert (leaves.first[1:] == leaves.last[:-1] + 1).all()
    inside = [weights[(values >= a) & (values <= b)].sum() for a, b in zip(leaves.first, leaves.last)]
    assert inside == leaves.weights.tolist()
    if len(inside) > 1:
        assert not [rows for rows in inside if 0 < rows < rare]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=400), st.integers(2, 16))
def test_a_tree_holds_every_leaf_in_order(weights, branches):
    def leaves_of(node):
        return [node] if isinstance(node, int) else [leaf for branch in node for leaf in leaves_of(branch)]

    def widest(node):
        return 0 if isinstance(node, int) else max(len(node), *(widest(branch) for branch in node))

    tree = grow(np.array(weights), branches, branches)
    assert leaves_of(tree) == list(range(len(weights)))
    assert widest(tree) <= branches


def test_digits_keep_to_their_range():
    rows = [[str(value)] for value in [*range(995, 1042), 5, 7] for _ in range(2)]
    code = code_of(["n"], rows, rare=3)
    for value in range(5, 1042):
        assert code.decode(code.encode([str(value)])) == [str(value)]
    for cell in ("4", "1042", "x", ""):
        with pytest.raises(UserError, match="column 'n'"):
            code.encode([cell])


def test_the_target_comes_first_or_last_or_stays():
    rows = mixed_rows(30)
    names = {}
    for place in ("first", "last", "file"):
        code = code_of(MIXED, rows, target="count", target_place=place)
        names[place] = [code.schema.columns[at].name for at in code.order]
    assert names["first"][0] == "count" and names["last"][-1] == "count"
    assert names["file"] == ["grade", "price", "count", "day", "note", "member"]


@pytest.mark.parametrize("order", [FIXED, RANDOM])
def test_without_free_text_no_symbol_stands_twice_in_a_row(order):
    """So none that may follow was seen before, and ScaleGrad is cross-entropy for every gamma."""
    rows = mixed_rows(300)
    code = code_of(MIXED, rows, rare=5, order=order, types={"note": "drop"})
    for row in rows:
        symbols = code.encode(row)
        assert len(set(symbols)) == len(symbols) > 5  # columns: some numbers take several


def test_keys_are_made_anew():
    code = code_of(MIXED, mixed_rows(30))
    column = code.schema.columns[0]
    assert column.type == KEY and column.new_key(0) == "u0030"
    numbers = code_of(["id", "x"], [[str(one), "a"] for one in range(10, 40)]).schema.columns[0]
    assert (numbers.type, numbers.new_key(0)) == (KEY, "40")
