"""What the benchmarks of tables count and compare is what their pages say."""

import numpy as np
import pytest

from benchmarks.abalone import gain, missing_of, said
from benchmarks.abalone_picture import draw
from benchmarks.table_split import is_valid
from fairseq_plugin.synthesis.judges.rows import JudgedRows
from tests.synthesis.judges.made_rows import made_rows

ROWS = made_rows(60, 1)


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
