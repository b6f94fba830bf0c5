"""Frames survive as cells, and what would not is refused with its column's name and the mend."""

import datetime
import decimal
import json

import numpy as np
import pandas as pd
import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.frames import (
    cells_of,
    check_columns,
    frame_of,
    given_rows,
    layout_from_json,
    layout_of,
    layout_to_json,
)
from fairseq_plugin.tables.writing import write_table

FRAME = pd.DataFrame(
    {
        "whole": [1, 2, 30],
        "maybe": pd.array([1, None, 3], dtype="Int64"),
        "real": [1.5, np.nan, 3.0],
        "flag": [True, False, True],
        "day": pd.to_datetime(["2024-01-31", None, "1999-12-01"]),
        "moment": pd.to_datetime(["2024-01-31 10:00:01", "2024-01-31 00:00:00", "1999-12-01 00:00:00"]),
        "kind": pd.Categorical(["a", "b", "a"], categories=["b", "a", "c"]),
        "level": pd.Categorical([1, 2, 1]),
        "size": pd.Categorical(["", "b", "b"]),
        "text": ["x, y", None, 'say "x"\nz'],
        "word": ["", "b", "c"],
        "single": np.array([0.1, np.nan, 1e-7], dtype="float32"),
        "zone": pd.to_datetime(["2024-01-31 10:00:01", None, "2024-07-01"], format="ISO8601", utc=True),
        "Tokyo": pd.to_datetime(["2024-01-31 10:00:01"] * 3).tz_localize("Asia/Tokyo"),
        "object": pd.Series([1, None, 2**40], dtype=object),
        "truth": pd.Series([True, None, False], dtype=object),
        "money": [decimal.Decimal("1.50"), None, decimal.Decimal("2")],
        "date": [datetime.date(2024, 2, 29), None, datetime.date(1999, 1, 1)],
        "string": pd.array(["a", None, "b"], dtype="string"),
        7: [1, 2, 3],
        " outer ": ["x", "y", "z"],
        'a "b"\nc,d': [1, 2, 3],
    }
)


def test_a_frame_comes_back_with_its_labels_and_types():
    layout = layout_of(FRAME)
    assert list(layout)[-3:] == ["7", "outer", 'a "b"\nc,d']
    pd.testing.assert_frame_equal(frame_of(list(layout), cells_of(FRAME), layout), FRAME)


def test_a_layout_survives_json():
    layout = layout_of(FRAME)
    again = layout_from_json(json.loads(json.dumps(layout_to_json(layout))), "table.json")
    assert again == layout
    with pytest.raises(UserError, match=r"table\.json is damaged"):
        layout_from_json({"a": {"label": "a", "dtype": "no such type"}}, "table.json")


def test_what_is_missing_is_to_be_drawn_and_an_empty_text_is_none_of_it():
    frame = pd.DataFrame({"b": ["", "x"], "a": [1.5, np.nan]})
    assert given_rows(frame, ["a", "c", "b"]) == [["1.5", None, ""], [None, None, "x"]]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"x": [1.0, np.inf]}, "column 'x' has 1 infinite"),
        ({"x": [1, "a"]}, r"column 'x' holds values of several types \(int, str\).*astype"),
        ({"x": [[1], [2]]}, "column 'x' holds values of type list"),
        ({"x": [1j, 2j]}, "column 'x' has the type complex128"),
        ({"x": pd.to_timedelta([1, 2], "D")}, "column 'x' has the type timedelta64"),
        ({"x": pd.to_datetime(["2024-01-01 00:00:00.5"])}, "column 'x' has parts of seconds.*floor"),
        ({"x": ["", None]}, "column 'x' has empty texts and missing values"),
        ({"": [1]}, "column 1 of the frame has no name"),
        ({" ": [1]}, "column 1 of the frame has no name"),
        ({None: [1]}, "column 1 of the frame is called"),
        ({("a", "b"): [1]}, "column 1 of the frame is called"),
        ({1: [1], "1": [2]}, "two columns of the frame are called '1'"),
    ],
)
def test_what_would_not_come_back_is_refused(columns, words):
    frame = pd.DataFrame(columns)
    with pytest.raises(UserError, match=words):
        layout_of(frame)
        cells_of(frame)


def test_half_a_surrogate_pair_is_named(tmp_path):
    with pytest.raises(UserError, match="row 1, column 'b': .* is not valid Unicode"):
        write_table(tmp_path / "t.csv", ["a", "b"], [["x", "y"], ["x", "\ud800"]], "csv")
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["a"], "impute: the frame lacks the columns 'b', which were learnt"),
        (["a", "b", "c"], "impute: the frame has the columns 'c', which were not learnt"),
        (["b", "a"], "impute: .*'b', 'a': put them in order, 'a', 'b'"),
        (["a", "a"], "two columns of the frame are called 'a'"),
    ],
)
def test_other_columns_are_named(columns, words):
    with pytest.raises(UserError, match=words):
        check_columns(pd.DataFrame([range(len(columns))], columns=columns), ["a", "b"], "impute")
