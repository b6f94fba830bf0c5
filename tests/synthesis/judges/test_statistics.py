"""The judges' statistics are those of SciPy and of slow literal statements."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ks_2samp, pearsonr
from scipy.stats.contingency import association

from fairseq_plugin.synthesis.judges.closeness import distances
from fairseq_plugin.synthesis.judges.marginals import kolmogorov_smirnov, total_variation
from fairseq_plugin.synthesis.judges.pairs import trends
from tests.synthesis.judges.made_rows import made_rows


@pytest.fixture
def draw():
    return np.random.default_rng(5)


def test_kolmogorov_smirnov_is_scipys_and_counts_missing_cells(draw):
    one, other = draw.integers(20, size=300).astype(float), draw.integers(3, 22, size=200).astype(float)
    assert kolmogorov_smirnov(one, other) == pytest.approx(ks_2samp(one, other).statistic)
    gone = np.where(draw.random(300) < 0.4, np.nan, one)
    assert kolmogorov_smirnov(one, gone) == pytest.approx(np.isnan(gone).mean(), abs=1e-9)


def test_total_variation_is_its_definition(draw):
    one, other = draw.choice([0, 1, 2, np.nan], 300), draw.choice([1, 2, 5, np.nan], 200)
    literal = sum(abs((one == v).mean() - (other == v).mean()) for v in (0, 1, 2, 5))
    literal += abs(np.isnan(one).mean() - np.isnan(other).mean())
    assert total_variation(one, other) == pytest.approx(literal / 2)


def test_trends_are_scipys(draw):
    num_rows = 400
    x = draw.normal(size=num_rows) * 1e6 + 1e12
    y = x + draw.normal(size=num_rows) * 1e6
    kind, other = draw.integers(4, size=num_rows), draw.integers(3, size=num_rows)
    other = np.where(kind == 0, 0, other)
    y = y + kind * 1e6
    y[::7] = np.nan
    found = trends(np.stack([x, y, kind, other, np.ones(num_rows)], 1), np.array([0, 0, 1, 1, 0], dtype=bool))
    both = ~np.isnan(y)
    assert found[0, 1] == pytest.approx(pearsonr(x[both], y[both]).statistic, abs=1e-6)
    table = np.array([[((kind == a) & (other == b)).sum() for b in range(3)] for a in range(4)])
    assert found[2, 3] == pytest.approx(association(table, method="cramer"))
    groups = [y[both & (kind == k)] for k in range(4)]
    between = sum(len(group) * (group.mean() - y[both].mean()) ** 2 for group in groups)
    assert found[1, 2] == pytest.approx(math.sqrt(between / ((y[both] - y[both].mean()) ** 2).sum()))
    assert (found[4, :4] == 0).all() and (found == found.T).all() and (np.diag(found) == 1).all()


def test_the_closest_record_is_that_of_a_slow_search():
    rows, records = made_rows(30, 7), made_rows(50, 8)
    spread = [np.nanstd(column) for column in records.values_NC.T]

    def difference(one, other, place):
        if math.isnan(one) or math.isnan(other):
            return float(math.isnan(one) != math.isnan(other))
        if records.columns[place].is_category:
            return float(one != other)
        return min(abs(one - other) / spread[place], 1.0)

    for row, found in zip(rows.values_NC, distances(rows, records)):
        literal = min(
            sum(difference(a, b, place) for place, (a, b) in enumerate(zip(row, record))) / 4
            for record in records.values_NC
        )
        assert found == pytest.approx(literal, abs=1e-6)
    assert (distances(records, records) == 0).all()
    to_others = distances(records, records, to_others=True)
    for place in (0, 1, 49):
        others = np.delete(np.arange(50), place)
        theirs = replace(
            records, values_NC=records.values_NC[others], cells=[records.cells[one] for one in others]
        )
        one = replace(records, values_NC=records.values_NC[[place]], cells=[records.cells[place]])
        assert to_others[place] == pytest.approx(distances(one, theirs)[0], abs=0.02)  # spreads differ
