"""Rows of a notebook reach preparation as they are, and come back under their own names."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_plugin.augment.notebook.arguments import ARGUMENTS
from fairseq_plugin.augment.notebook.frames import (
    LABEL_PROBABILITY,
    LOG_PROBABILITY,
    Columns,
    label_values,
    read_known,
    read_table,
    to_frame,
    write_table,
)
from fairseq_plugin.augment.notebook.train_model import left_out
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.guess import guess_source
from fairseq_plugin.labelled.rows import read_raw_rows
from fairseq_plugin.python_names import in_python


@given(st.lists(st.text(min_size=1), min_size=1))
def test_any_text_reaches_preparation_as_it_is(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    write_table(path, read_table([(text, "a") for text in texts]))
    spec, _ = guess_source(path, text_column="text", label_column="label")
    rows, rejected = read_raw_rows(path, spec)
    assert [row.text for row in rows] == texts and not rejected


def test_a_text_that_is_no_unicode_is_refused_with_its_line_and_no_other(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_table(path, read_table([("fine", "a"), ("\ud800", "a"), (None, "a"), ("fine", None)]))
    spec, _ = guess_source(path, text_column="text", label_column="label")
    rows, rejected = read_raw_rows(path, spec)
    assert [row.line for row in rows] == [1] and [one.line for one in rejected] == [2, 3, 4]


FRAME = pd.DataFrame({"id": [7, 8], "stars": np.array([1, 0]), "review": ["good", "bad"]})


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        (FRAME, ("review", "stars"), Columns("review", "stars", text_first=False)),
        (FRAME, (None, "stars"), Columns("review", "stars", text_first=False)),
        (FRAME, (2, 1), Columns("review", "stars", text_first=False)),
        (FRAME[["review", "stars"]], (None, None), Columns("review", "stars")),
        (FRAME[["review", "stars"]].set_axis([0, 1], axis=1), (0, 1), Columns(0, 1)),
        (FRAME.to_dict("records"), ("review", "stars"), Columns("review", "stars", text_first=False)),
        ([("good", 1), ("bad", 0)], (None, None), Columns("text", "label")),
        ([("good", 1), ("bad", 0)], ("review", "stars"), Columns("review", "stars")),
    ],
)
def test_columns_are_found_by_name_or_position_and_keep_their_names(rows, columns, expected):
    table = read_table(rows, *columns)
    assert table.columns == expected
    assert (table.texts, table.labels) == (["good", "bad"], [1, 0])
    known = read_known([("good", 1)], table.columns)
    assert (known.texts, known.labels) == (["good"], [1])


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([], "there are no rows"),
        (FRAME[:0], "there are no rows"),
        ("good\t1", "str: give a DataFrame"),
        ([("a", "b", "c")], "list: give a DataFrame"),
        (FRAME[["id", "stars"]], "cannot tell which column is meant"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "two columns have the same name"),
        ([{"text": "a", LOG_PROBABILITY: "b"}], "cannot have the name 'log_probability'"),
        ([("a", ("x", "y"))], "is a tuple; give texts, numbers or booleans"),
    ],
)
def test_what_is_no_table_of_texts_and_labels_is_named(rows, error):
    with pytest.raises(UserError, match=error.replace("(", r"\(")):
        read_table(rows)


def test_labels_keep_their_type_and_missing_ones_are_seen():
    labels = pd.Series([1, None, 2], dtype="Int64").tolist() + [float("nan"), None, np.int64(1)]
    table = read_table([("x", label) for label in labels])
    assert table.labels == [1, None, 2, None, None, 1]
    found = label_values(table.labels)
    assert found == {"1": 1, "2": 2} and type(found["1"]) is int
    assert label_values([True, False]) == {"true": True, "false": False}
    floats = pd.Series([1, None, 0, 2.5])
    values = read_table([("x", label) for label in floats]).labels
    assert values == [1, None, 0, 2.5] and list(map(type, values)) == [int, type(None), int, float]
    assert label_values(values) == {"1": 1, "0": 0, "2.5": 2.5}
    assert label_values([True, False]) == {"true": True, "false": False}
    with pytest.raises(UserError, match="the labels 1 and '1' read the same"):
        label_values([1, "1"])


def test_rows_become_a_frame_in_the_users_order():
    columns = Columns("review", "stars", text_first=False)
    more = [LOG_PROBABILITY, LABEL_PROBABILITY]
    frame = to_frame([columns.row("good", 1, more, [-2.5, 0.75, 0.25])], columns)
    assert frame.to_dict("list") == {"stars": [1], "review": ["good"]} | dict(zip(more, ([-2.5], [0.75])))
    assert list(to_frame([], columns)) == ["stars", "review", *more]


def test_errors_name_arguments_and_rows_left_out_are_counted():
    told = in_python("--sampling-topp 2, --max-tokens 3: give --overwrite or --allow-fewer", ARGUMENTS)
    assert told == "top_p 2, --max-tokens 3: give overwrite=True or allow_fewer=True"
    rejected = {"train": {"empty": [3, 4], "too_long": []}, "valid": {"empty": [1]}}
    assert left_out(rejected) == ["rows left out: 3 empty (the first: row 2 of train, from 0)"]
    assert left_out({"train": {"empty": []}}) == []
