"""The held-out part: no sentence on both sides, every label on both, the same whatever the order."""

import random
from collections import Counter

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.rows import Row
from fairseq_plugin.labelled.split import hold_out, sentence_key


def rows_of(count, seed=0, distinct=400):
    generator = random.Random(seed)
    labels = ("a", "a", "a", "b")
    rows = []
    for line in range(count):
        text = f"Sentence number {int(distinct * generator.random() ** 2)}"
        if generator.random() < 0.2:
            text = text.upper() + " "
        rows.append(Row(text, generator.choice(labels), line))
    return rows


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_sentence_stands_on_both_sides(fraction, seed):
    rows = rows_of(2000)
    train, held = hold_out(rows, fraction, seed)
    assert not {sentence_key(row.text) for row in train} & {sentence_key(row.text) for row in held}
    assert sorted(row.line for row in train + held) == list(range(2000))
    assert len(held) == pytest.approx(fraction * 2000, abs=40)


def test_every_label_is_held_out_in_proportion():
    rows = [Row(f"text {n}", "rare" if n % 10 == 0 else "common", n) for n in range(2000)]
    train, held = hold_out(rows, 0.1, 1)
    assert Counter(row.label for row in held) == {"common": 180, "rare": 20}
    assert {row.label for row in train} == {"common", "rare"}


def test_the_order_of_rows_does_not_matter_and_the_seed_does():
    rows = rows_of(1000)
    shuffled = random.Random(1).sample(rows, len(rows))
    held = {row.line for row in hold_out(rows, 0.2, 1)[1]}
    assert {row.line for row in hold_out(shuffled, 0.2, 1)[1]} == held
    assert {row.line for row in hold_out(rows, 0.2, 2)[1]} != held


def test_more_rows_leave_the_choice_stable():
    rows = [Row(f"text {n}", "a", n) for n in range(1000)]
    before = {row.text for row in hold_out(rows, 0.2, 1)[1]}
    after = {row.text for row in hold_out([*rows, Row("one more", "a", 1000)], 0.2, 1)[1]}
    assert len(before ^ after) <= 2


def test_a_label_with_one_sentence_stays_in_training():
    rows = [*(Row(f"text {n}", "a", n) for n in range(50)), Row("alone", "b", 50)]
    assert "b" in {row.label for row in hold_out(rows, 0.9, 1)[0]}


@pytest.mark.parametrize("fraction", [0, 1, -0.5, float("nan"), 1e-9])
def test_a_share_that_gives_no_split_is_refused(fraction):
    with pytest.raises(UserError, match="--held-out"):
        hold_out(rows_of(100), fraction, 1)
