"""What the benchmarks of tables count and compare is what their pages say."""

import json

import numpy as np
import pytest

from benchmarks.abalone import gain, missing_of, said
from benchmarks.abalone_picture import draw
from benchmarks.table_literal_check import check_file
from benchmarks.table_split import is_valid
from fairseq_plugin.synthesis.judges.rows import JudgedRows
from fairseq_plugin.tables.writing import write_table
from tests.synthesis.judges.made_rows import made_rows

ROWS = made_rows(60, 1)


COLUMNS = [
    {"name": "id", "type": "key", "value": "7"},
    {"name": "size", "type": "decimal", "decimals": 2, "style": "fixed", "missing": ["", "NA"],
     "min": "1.00", "max": "9.50", "step": "0.25"},
    {"name": "day", "type": "date", "form": "%Y-%m-%d", "min": "2024-01-31", "max": "2024-03-01", "step": 1},
    {"name": "kind", "type": "category", "values": ["a", "b, c", "rare"]},
    {"name": "note", "type": "text", "max_bytes": 4},
]  # fmt: skip
GOOD = ["8", "9.50", "2024-02-29", "b, c", "über"[:3]]


def found_of(real, added):
    """As ``abalone.measure`` gives it, with one score for every model and measure."""

    def scores(value):
        return {model: {"r2": value, "mae": value} for model in ("forest", "boosted")}

    parts = {seed: {"scores": scores(value), "rows": 3} for seed, value in added.items()}
    return {"real": {seed: scores(value) for seed, value in real.items()}, "systems": {"ours": parts}}


def test_a_row_with_an_unknown_category_or_no_number_is_not_valid():
    category = ROWS.is_category_C.tolist().index(True)
    numbers = [place for place, is_category in enumerate(ROWS.is_category_C) if not is_category]
    may_miss = [place for place in numbers if ROWS.columns[place].column.missing is not None]
    values_NC = np.nan_to_num(ROWS.values_NC)
    values_NC[3, category] = ROWS.columns[category].num_values - 1
    values_NC[5, next(place for place in numbers if place not in may_miss)] = np.nan
    values_NC[7, may_miss[0]] = np.nan  # the table has such cells
    found_N = is_valid(JudgedRows(ROWS.columns, values_NC, ROWS.cells))
    assert np.flatnonzero(~found_N).tolist() == [3, 5]


def test_a_gain_is_the_mean_of_the_differences_within_seeds():
    found = found_of({1: 0.1, 2: 0.5, 3: 0.9}, {1: 0.2, 3: 1.2})
    mean, half = gain(found, "ours", "forest", "r2")
    assert mean == pytest.approx(0.2)
    assert half == pytest.approx(12.706 * 0.1, rel=1e-3)  # t of 1 degree, and the standard error


@pytest.mark.parametrize(
    "added, words", [((0.2, 0.2), "no difference"), ((0.3, 0.301), "helps"), ((0.1, 0.101), "harms")]
)
def test_only_a_gain_beyond_its_interval_is_called_one(added, words):
    real = {1: 0.2, 2: 0.2}
    assert words in said(found_of(real, dict(zip(real, added, strict=True))), "ours")


def test_missing_systems_and_seeds_are_named():
    found = found_of({1: 0.1, 2: 0.1}, {2: 0.2})
    missing = missing_of(found, 2)
    assert "ours of seed 1" in missing and "be_great" in missing


def test_the_picture_is_drawn_also_of_a_system_with_almost_no_rows(tmp_path):
    draw(ROWS, {"one row": ROWS.some(1, 1), "all": ROWS}, tmp_path / "page")
    assert {path.name for path in tmp_path.iterdir()} == {"page.png", "page.svg"}


def checked(tmp_path, cells):
    """What the literal checker says of a row."""
    (tmp_path / "schema.json").write_text(json.dumps({"columns": COLUMNS}))
    names = [column["name"] for column in COLUMNS]
    train = [["1", "1.00", "2024-02-01", kind, ""] for kind in ("a", "a", "b, c", "b, c", "rare")]
    write_table(tmp_path / "train.csv", names, train, "csv")
    write_table(tmp_path / "new.csv", names, [cells], "csv")
    return check_file(tmp_path / "new.csv", tmp_path / "schema.json", tmp_path / "train.csv", rare=2)


def test_the_literal_checker_lets_rows_of_the_schema_pass(tmp_path):
    for size in ("9.50", "1.00", "4.25", "", "NA"):
        assert checked(tmp_path, [GOOD[0], size, *GOOD[2:]]) == {"rows": 1, "valid": 1, "reasons": []}


@pytest.mark.parametrize(
    "at, cell",
    [(1, "9.75"), (1, "4.30"), (1, "4.5"), (1, "nan"), (1, "x"), (2, "2024-01-30"), (2, "2024-2-01"), (2, ""),
     (3, "b"), (3, "rare"), (4, "übers")],
)  # fmt: skip
def test_the_literal_checker_names_what_is_not_of_the_schema(tmp_path, at, cell):
    found = checked(tmp_path, [*GOOD[:at], cell, *GOOD[at + 1 :]])
    assert found["valid"] == 0 and COLUMNS[at]["name"] in found["reasons"][0]
