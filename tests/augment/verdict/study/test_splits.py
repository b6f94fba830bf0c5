"""A draw holds k rows per class to learn from, k to choose with, and no sentence that measures."""

from collections import Counter

import pytest

from fairseq_plugin.augment.verdict.study.splits import ALL, draw_split, read_set, write_split
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.guess import guess_source
from fairseq_plugin.labelled.rows import read_rows
from fairseq_plugin.labelled.split import sentence_key
from tests.augment.verdict.study.made_study import sentences, write_set

TEST = [*sentences(30, "a", 9), *sentences(30, "b#c", 9)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    train = [*sentences(50, "a", 1), *sentences(12, "b#c", 1), ("the only one", "rare")]
    twice = [("SAME   words", "a"), ("same words", "a"), ("torn", "a"), ("Torn", "b#c")]
    copies = [(TEST[0][0].upper(), "a")]
    return read_set(write_set(tmp_path_factory.mktemp("set"), [*train, *twice, *copies], TEST))


def counts(rows):
    return Counter(label for label, _ in rows)


def test_rows_that_cannot_be_drawn_are_left_out_and_counted(whole):
    assert whole.labels == ["a", "b#c", "rare"] and len(whole.pool) == 64 and len(whole.test) == 60
    assert whole.left_out == {
        "a sentence that train repeats": 1,
        "a sentence with two labels": 2,
        "a sentence of the held-out rows": 1,
    }


@pytest.mark.parametrize(
    ("k", "train", "dev"),
    [
        (5, {0: 5, 1: 5, 2: 1}, {0: 5, 1: 5}),
        (20, {0: 20, 1: 6, 2: 1}, {0: 20, 1: 6}),
        (ALL, {0: 46, 1: 11, 2: 1}, {0: 5, 1: 1}),
    ],
)
def test_a_draw_holds_k_rows_per_class_or_half_of_what_there_is(whole, k, train, dev):
    split = draw_split(whole, k, number=1)
    assert counts(split.train) == train and counts(split.dev) == dev
    keys = [sentence_key(text) for rows in (split.train, split.dev, whole.test) for _, text in rows]
    assert len(keys) == len(set(keys))


def test_draws_differ_by_number_and_grow_with_k(whole):
    assert draw_split(whole, 5, 1) == draw_split(whole, 5, 1) != draw_split(whole, 5, 2)
    assert set(draw_split(whole, 5, 1).train) < set(draw_split(whole, 10, 1).train)


def test_what_a_generator_reads_is_the_draw_and_nothing_else(whole, tmp_path):
    split = draw_split(whole, 5, 1)
    write_split(tmp_path / "source", split, whole.labels)
    assert sorted(path.name for path in (tmp_path / "source").iterdir()) == ["train.jsonl", "valid.jsonl"]
    for name, rows in (("train", split.train), ("valid", split.dev)):
        path = tmp_path / "source" / f"{name}.jsonl"
        read, rejected = read_rows(path, guess_source(path)[0])
        assert [(whole.labels.index(row.label), row.text) for row in read] == list(rows) and not rejected


def test_sets_that_cannot_be_studied_are_refused(tmp_path, whole):
    with pytest.raises(UserError, match="two labels and 30 rows"):
        read_set(write_set(tmp_path / "one", sentences(50, "a", 1), TEST))
    with pytest.raises(UserError, match="two labels and 30 rows"):
        read_set(write_set(tmp_path / "few", [*sentences(9, "a", 1), *sentences(9, "b#c", 1)], TEST[:20]))
    (write_set(tmp_path / "none", sentences(9, "a", 1), TEST) / "test.tsv").unlink()
    with pytest.raises(UserError, match=r"no test\.\* and no valid\.\*"):
        read_set(tmp_path / "none")
    single = write_set(tmp_path / "single", [("x", "a"), ("y", "b#c")], TEST)
    with pytest.raises(UserError, match="nothing is left for dev"):
        draw_split(read_set(single), 5, 1)
