import numpy as np
import pandas as pd
import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.frames import (
    cells_of,
    check_columns,
    frame_of,
    types_from_json,
    types_to_json,
)

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
        "text": ["x, y", None, 'say "x"\nz'],
    }
)


def test_a_frame_comes_back_with_its_types():
    found = frame_of(list(FRAME.columns), cells_of(FRAME), dict(FRAME.dtypes))
    pd.testing.assert_frame_equal(found, FRAME)


def test_types_survive_json():
    kinds = types_from_json(types_to_json(dict(FRAME.dtypes)), "table.json")
    assert {name: str(kind) for name, kind in kinds.items()} == {
        name: str(kind) for name, kind in FRAME.dtypes.items()
    }
    with pytest.raises(UserError, match=r"table\.json is damaged"):
        types_from_json({"a": "no such type"}, "table.json")


def test_other_columns_are_named():
    with pytest.raises(UserError, match=r"impute: the frame has the columns 'a', not 'a', 'b'"):
        check_columns(pd.DataFrame({"a": [1]}), ["a", "b"], "impute")
