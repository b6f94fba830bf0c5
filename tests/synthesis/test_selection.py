"""Rows chosen out of more: with the statistics of real ones, each once, the same ones for the same seed."""

import numpy as np
import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis import points as points_module
from fairseq_plugin.synthesis.judges.discriminator import discriminate
from fairseq_plugin.synthesis.judges.pairs import trends
from fairseq_plugin.synthesis.judges.rows import judged_rows
from fairseq_plugin.synthesis.points import Points
from fairseq_plugin.synthesis.selection import choose_rows, inclusion, systematic
from fairseq_plugin.synthesis.tilt import tilted
from fairseq_plugin.tables.infer import infer
from fairseq_plugin.tables.profile import Profile

NAMES = ("kind", "a", "b")


def cells(count, share, slope, seed, noise=0.3):
    """Rows whose second number follows the first one with a slope."""
    random = np.random.default_rng(seed)
    a = random.normal(size=count)
    b = slope * a + noise * random.normal(size=count)
    kinds = np.where(random.random(count) < share, "x", "y")
    return [[kind, f"{one:.2f}", f"{other:.2f}"] for kind, one, other in zip(kinds, a, b)]


def judged(*parts, names=NAMES):
    profiles = [Profile() for _ in names]
    for profile, column in zip(profiles, zip(*(row for part in parts for row in part))):
        profile.add(column)
    schema, _ = infer(names, profiles, None, "first", {})
    return [judged_rows(schema, names, part) for part in parts]


@pytest.fixture(scope="module")
def sets():
    """``(real, held out, drawn)``: the drawn ones have another share of kinds and another slope."""
    return judged(cells(300, 0.7, 1.0, 1), cells(600, 0.7, 1.0, 2), cells(3000, 0.3, 0.6, 3))


def shares(real, drawn):
    """The weights of the drawn rows, with sum 1."""
    points = Points.of(real, drawn)
    weight_N = np.exp(tilted(real, drawn, points, points.pairs(None)))
    return weight_N / weight_N.sum()


def test_chosen_rows_are_harder_to_tell_from_rows_that_nothing_has_seen(sets):
    real, held_out, drawn = sets
    places = choose_rows(real, drawn, 300, seed=1)
    assert places == sorted(set(places)) and len(places) == 300 and max(places) < len(drawn)
    chosen = drawn.at(np.array(places))
    before, after = discriminate(held_out, drawn, 1), discriminate(held_out, chosen, 1)
    assert abs(after.worst - 0.5) < abs(before.worst - 0.5) / 2


def test_every_column_has_the_distribution_of_the_real_rows_and_every_pair_their_trend(sets):
    real, _, drawn = sets
    chosen = drawn.at(np.array(choose_rows(real, drawn, 300, seed=1)))
    for column, is_category in enumerate(real.is_category_C):
        own, theirs = real.values_NC[:, column], chosen.values_NC[:, column]
        for at in (0, 1) if is_category else np.quantile(own, np.linspace(0.05, 0.95, 19), method="lower"):
            assert abs(np.mean(theirs < at) - np.mean(own < at)) < 0.08  # as two draws of the same law
    wanted, before, after = (trends(one.values_NC, one.is_category_C) for one in (real, drawn, chosen))
    far_before, far_after = np.abs(before - wanted)[1, 2], np.abs(after - wanted)[1, 2]
    assert far_after < 0.6 * far_before  # not all of it: 300 rows leave some of it open
    assert np.abs(after - wanted).max() < 0.1


def test_weights_give_every_column_the_distribution_of_many_real_rows():
    real, drawn = judged(cells(3000, 0.7, 1.0, 1), cells(6000, 0.3, 1.0, 3))
    share_N, worst = shares(real, drawn), dict.fromkeys(("before", "after"), 0.0)
    for column, is_category in enumerate(drawn.is_category_C):
        own, theirs = real.values_NC[:, column], drawn.values_NC[:, column]
        for at in (0, 1) if is_category else np.quantile(own, np.linspace(0.05, 0.95, 19), method="lower"):
            for name, found in (("before", np.mean(theirs < at)), ("after", share_N[theirs < at].sum())):
                worst[name] = max(worst[name], abs(found - np.mean(own < at)))
    assert worst["after"] < 0.01 < 0.3 < worst["before"]


def test_a_law_that_holds_nearly_holds_as_nearly_in_the_chosen_rows():
    real, drawn = judged(cells(400, 0.5, 1.0, 1, noise=0.1), cells(4000, 0.5, 1.0, 2, noise=0.2))
    share_N = shares(real, drawn)
    left_N = drawn.values_NC[:, 2] - drawn.values_NC[:, 1]
    own = np.std(real.values_NC[:, 2] - real.values_NC[:, 1])
    spread = np.sqrt((share_N * left_N**2).sum() - (share_N * left_N).sum() ** 2)
    assert left_N.std() > 1.8 * own
    assert spread < 1.2 * own


def test_copies_of_the_real_rows_are_not_preferred():
    learnt, new = cells(300, 0.7, 1.0, 1), cells(900, 0.7, 1.0, 2)
    real, drawn = judged(learnt, learnt + new)
    assert shares(real, drawn)[:300].sum() < 0.1  # a quarter of the rows


def test_rows_of_the_same_law_are_nearly_left_alone():
    real, drawn = judged(cells(2000, 0.7, 1.0, 1), cells(4000, 0.7, 1.0, 2))
    share_N = shares(real, drawn)
    assert 1 / (share_N**2).sum() / len(drawn) > 0.8  # as if so many of them were there


def test_what_a_regression_leaves_of_a_real_row_is_what_one_without_that_row_leaves(sets):
    real, _, drawn = sets
    points = Points.of(real.at(np.arange(40)), drawn)
    (left_R, left_N), _ = points.remainders()
    wanted, others = points.real_RQ[:, 1], np.column_stack([points.real_RQ[:, [0, 2]], np.ones(40)])

    def slopes(rows):
        ridge = points_module._RIDGE * 40 * np.eye(3)
        return np.linalg.solve(others[rows].T @ others[rows] + ridge, others[rows].T @ wanted[rows])

    for row in range(40):
        kept = np.arange(40) != row
        assert left_R[row] == pytest.approx(wanted[row] - others[row] @ slopes(kept))
    new = np.column_stack([points.drawn_NQ[:, [0, 2]], np.ones(len(drawn))])
    np.testing.assert_allclose(left_N, points.drawn_NQ[:, 1] - new @ slopes(np.arange(40)))


def test_rows_are_chosen_as_often_as_their_weights_say():
    weight_N = np.log([1.0, 2.0, 3.0, 4.0, 90.0])
    share_N = inclusion(weight_N, 3)
    np.testing.assert_allclose(share_N, [0.2, 0.4, 0.6, 0.8, 1.0])
    random = np.random.default_rng(0)
    chosen = [systematic(share_N, random) for _ in range(4000)]
    assert all(len(set(places.tolist())) == 3 for places in chosen)
    counts = np.bincount(np.concatenate(chosen), minlength=5) / 4000
    np.testing.assert_allclose(counts, share_N, atol=0.04)  # five standard errors


def test_weights_that_are_nothing_beside_the_largest_still_give_as_many_rows():
    share_N = inclusion(np.array([0.0, -2000.0, -3000.0]), 2)
    assert share_N.sum() == pytest.approx(2) and (share_N > 0).all()


def test_the_same_seed_chooses_the_same_rows_and_all_where_no_more_are_there(sets):
    real, _, drawn = sets
    assert choose_rows(real, drawn, 50, 4) == choose_rows(real, drawn, 50, 4)
    assert choose_rows(real, drawn, 50, 4) != choose_rows(real, drawn, 50, 5)
    assert choose_rows(real, drawn, len(drawn), seed=4) == list(range(len(drawn)))


@pytest.mark.parametrize(
    "names, row_of",
    [
        (("kind",), lambda random: [str(random.integers(3))]),
        (("a",), lambda random: [f"{random.normal():.2f}"]),
        (("a", "gap"), lambda random: [str(random.normal()), str(random.integers(9)) * random.integers(2)]),
        (("a", "same"), lambda random: [f"{random.normal():.2f}", "7" if random.random() < 0.99 else "8"]),
        (("kind", "other"), lambda random: [str(random.integers(30)), str(random.integers(2))]),
    ],
    ids=["one category", "one number", "half missing", "nearly constant", "categories alone"],
)  # fmt: skip
def test_rows_of_any_columns_can_be_chosen(names, row_of):
    random = np.random.default_rng(1)
    real, drawn = judged(*([row_of(random) for _ in range(count)] for count in (60, 400)), names=names)
    assert len(set(choose_rows(real, drawn, 100, seed=1))) == 100


def test_of_very_many_pairs_those_with_the_target_count(monkeypatch, sets):
    real, _, drawn = sets
    points = Points.of(real, drawn)
    assert points.pairs(None).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2], [2, 2]]
    monkeypatch.setattr(points_module, "_MOST_PAIRS", 4)
    assert points.pairs(2).tolist() == [[0, 2], [1, 2], [2, 2]]
    assert points.pairs(None).tolist() == []
    assert len(choose_rows(real, drawn, 50, 1, target="b")) == 50


def test_too_few_training_rows_are_refused_by_flag(sets):
    real, _, drawn = sets
    with pytest.raises(UserError, match="--choose-from: 5 training rows"):
        choose_rows(real.some(5, 1), drawn, 50, seed=1)
