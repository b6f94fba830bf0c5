"""Rows chosen out of more: closer to the real ones, each once, the same ones for the same seed."""

import numpy as np
import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.judges.discriminator import discriminate
from fairseq_plugin.synthesis.judges.rows import judged_rows
from fairseq_plugin.synthesis.selection import choose_rows, raked
from fairseq_plugin.tables.infer import infer
from fairseq_plugin.tables.profile import Profile
from fairseq_plugin.tables.schema import Schema

NAMES = ("kind", "a", "b")


def cells(count, share, slope, seed):
    """Rows whose second number follows the first one with a slope."""
    random = np.random.default_rng(seed)
    a = random.normal(size=count)
    b = slope * a + 0.3 * random.normal(size=count)
    kinds = np.where(random.random(count) < share, "x", "y")
    return [[kind, f"{one:.2f}", f"{other:.2f}"] for kind, one, other in zip(kinds, a, b)]


@pytest.fixture(scope="module")
def sets():
    """``(real, held out, drawn)``: the drawn ones have another share of kinds and another slope."""
    return judged(cells(300, 0.7, 1.0, 1), cells(600, 0.7, 1.0, 2), cells(1200, 0.3, 0.6, 3))


def judged(*parts):
    profiles = [Profile() for _ in NAMES]
    for profile, column in zip(profiles, zip(*(row for part in parts for row in part))):
        profile.add(column)
    schema, _ = infer(NAMES, profiles, None, "first", {})
    return [judged_rows(schema, NAMES, part) for part in parts]


def test_chosen_rows_are_harder_to_tell_from_rows_that_nothing_has_seen(sets):
    real, held_out, drawn = sets
    places = choose_rows(real, drawn, 300, seed=1, trees=50)
    assert places == sorted(set(places)) and len(places) == 300 and max(places) < len(drawn)
    chosen = judged_rows(
        Schema(tuple(one.column for one in drawn.columns)), NAMES, [drawn.cells[place] for place in places]
    )
    before, after = discriminate(held_out, drawn, 1), discriminate(held_out, chosen, 1)
    assert abs(after.worst - 0.5) < abs(before.worst - 0.5) / 2
    share = {name: np.mean([row[0] == "x" for row in rows.cells]) for name, rows in
             {"real": real, "drawn": drawn, "chosen": chosen}.items()}  # fmt: skip
    assert abs(share["chosen"] - share["real"]) < abs(share["drawn"] - share["real"]) / 2


def test_raked_weights_give_every_column_the_distribution_of_the_real_rows():
    real, drawn = judged(cells(300, 0.7, 1.0, 1), cells(1200, 0.3, 1.0, 3))
    large = drawn.values_NC[:, 1] > 100  # 1.00
    weight = np.random.default_rng(5).normal(size=len(drawn)) + 2 * large  # as if large rows were more real
    before, after = (np.exp(one - one.max()) for one in (weight, raked(weight, real, drawn)))
    worst = dict.fromkeys(("before", "after"), 0.0)
    for column, is_category in enumerate(drawn.is_category_C):
        own, theirs = real.values_NC[:, column], drawn.values_NC[:, column]
        for at in (0, 1) if is_category else np.quantile(own, np.linspace(0.05, 0.95, 19), method="lower"):
            for name, share in (("before", before), ("after", after)):
                far = abs(share[theirs < at].sum() / share.sum() - np.mean(own < at))
                worst[name] = max(worst[name], far)
    assert worst["after"] < 0.01 < 0.3 < worst["before"]


def test_rows_that_a_forest_knows_by_heart_are_not_preferred():
    learnt, new = cells(300, 0.7, 1.0, 1), cells(900, 0.7, 1.0, 2)
    real, drawn = judged(learnt, learnt + new)  # 300 copies, that look as real as can be
    weight = np.concatenate([np.full(300, 3.0), np.zeros(900)])
    before, after = (np.exp(one - one.max()) for one in (weight, raked(weight, real, drawn)))
    assert before[:300].sum() / before.sum() > 0.8
    assert after[:300].sum() / after.sum() < 0.1


def test_raking_leaves_weights_alone_that_have_the_right_shares(sets):
    real, _, _ = sets
    weight = np.zeros(len(real))
    assert np.ptp(raked(weight, real, real)) < 1e-9


def test_the_same_seed_chooses_the_same_rows_and_all_where_no_more_are_there(sets):
    real, _, drawn = sets
    assert choose_rows(real, drawn, 50, 4, 10) == choose_rows(real, drawn, 50, 4, 10)
    assert choose_rows(real, drawn, len(drawn), seed=4) == list(range(len(drawn)))


def test_too_few_training_rows_are_refused_by_flag(sets):
    real, _, drawn = sets
    with pytest.raises(UserError, match="choose-from: 5 training rows"):
        choose_rows(real.some(5, 1), drawn, 50, seed=1)
