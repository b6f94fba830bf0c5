"""How many samples of each label are made, and under which ids."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_plugin.augment.label_counts import (
    MAX_ID,
    MAX_SAMPLES,
    SampleIds,
    check_sample_ids,
    samples_per_label,
)
from fairseq_plugin.errors import UserError

LABELS = [
    SimpleNamespace(name="0", text="negative", counts={"train": 30}),
    SimpleNamespace(name="1", text="positive", counts={"train": 69}),
    SimpleNamespace(name="a=b", text="neutral", counts={"train": 1}),
]


@pytest.mark.parametrize(
    "asked, counts",
    [
        ("7", [7, 7, 7]),
        ("1=5,negative=2", [2, 5, 0]),
        ("a=b=4", [0, 0, 4]),
        ("train:100", [30, 69, 1]),
        ("train:10", [3, 7, 0]),
        ("train:1", [0, 1, 0]),
    ],
)
def test_what_was_asked_becomes_counts(asked, counts):
    assert samples_per_label(asked, LABELS) == counts


@pytest.mark.parametrize(
    "asked",
    ["", "x", "-3", "good=3", "0=x", "train:", "train:x", "1.5", "0=1,,", "0=1,negative=2", "9" * 5000],
)
def test_anything_else_is_refused_with_the_form(asked):
    with pytest.raises(UserError, match="--samples-per-label .*the labels are 0, 1, a=b"):
        samples_per_label(asked, LABELS)


def test_a_name_goes_before_another_labels_text():
    """As in Manifest.label, so that the number and the prompt are of one label."""
    swapped = [SimpleNamespace(name=name, text=text, counts={}) for name, text in (("0", "1"), ("1", "0"))]
    assert samples_per_label("0=5", swapped) == [5, 0]
    assert samples_per_label("1=5", swapped) == [0, 5]


@pytest.mark.parametrize("asked", ["0", "0=0", "train:0"])
def test_nothing_to_generate_is_refused(asked):
    with pytest.raises(UserError, match="no sample at all"):
        samples_per_label(asked, LABELS)


@pytest.mark.parametrize("total", range(60))
def test_proportions_keep_the_total_and_are_within_one(total):
    counts = samples_per_label(f"train:{total}", LABELS) if total else [0, 0, 0]
    assert sum(counts) == total
    assert all(abs(count - total * label.counts["train"] / 100) < 1 for count, label in zip(counts, LABELS))


def labels_of(ids):
    return {i: ids.label_of(i) for i in ids}


def test_more_samples_change_no_id_that_was_there():
    few, many, later = (
        labels_of(SampleIds((3, 2))),
        labels_of(SampleIds((4, 9))),
        labels_of(SampleIds((1, 7), 3)),
    )
    assert few.items() <= many.items()
    assert len(many) == 13 and all(id % 2 == label for id, label in many.items())
    assert not few.keys() & later.keys()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 6), st.integers(0, 6), st.data())
def test_ids_agree_with_a_literal_list(counts, first, other_first, data):
    ids = SampleIds(tuple(counts), first)
    other = SampleIds(tuple(data.draw(st.permutations(counts))), other_first)
    literal = [(k * len(counts) + i, i) for i, n in enumerate(counts) for k in range(first, first + n)]
    assert list(ids) == [ids[n] for n in range(len(ids))] == [i for i, _ in literal]
    assert ids.labels().tolist() == [label for _, label in literal]
    assert labels_of(ids) == dict(literal)
    assert [i for i in range(100) if i in ids] == sorted(ids)
    assert ids.first_shared(other) == min(set(ids) & set(other), default=None)


@pytest.mark.parametrize(
    ("counts", "first", "words"),
    [
        ((10**9, 10**9), 0, "--samples-per-label asks for 2,000,000,000 samples.*--first-sample"),
        ((MAX_SAMPLES + 1,), 0, "at most 10,000,000"),
        (
            (5, 5),
            10**12,
            "--first-sample 1000000000000 and 5 samples .*give --first-sample 499999999994 or less",
        ),
        ((10**15,), 0, "ask for fewer samples"),
        ((5, 5), -1, "--first-sample -1"),
    ],
)
def test_what_one_run_cannot_make_is_refused_before_anything_is_allocated(counts, first, words):
    with pytest.raises(UserError, match=words):
        check_sample_ids(SampleIds(counts, first))
    check_sample_ids(SampleIds((MAX_SAMPLES,), MAX_ID - MAX_SAMPLES))


def test_ids_take_no_memory():
    ids = SampleIds((10**11, 10**11), 7)
    assert (ids[0], ids[len(ids) - 1], len(ids)) == (14, 14 + 2 * 10**11 - 1, 2 * 10**11)
