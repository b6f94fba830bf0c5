"""How many samples of each label are made, and under which ids."""

from types import SimpleNamespace

import pytest

from fairseq_plugin.augment.label_counts import ids_of_samples, samples_per_label
from fairseq_plugin.errors import UserError

LABELS = [
    SimpleNamespace(name="0", text="negative", counts={"train": 30}),
    SimpleNamespace(name="1", text="positive", counts={"train": 69}),
    SimpleNamespace(name="a=b", text="neutral", counts={"train": 1}),
]


@pytest.mark.parametrize(
    "wish, counts",
    [
        ("7", [7, 7, 7]),
        ("1=5,negative=2", [2, 5, 0]),
        ("a=b=4", [0, 0, 4]),
        ("train:100", [30, 69, 1]),
        ("train:10", [3, 7, 0]),
        ("train:1", [0, 1, 0]),
    ],
)
def test_a_wish_becomes_counts(wish, counts):
    assert samples_per_label(wish, LABELS) == counts


@pytest.mark.parametrize(
    "wish", ["", "x", "-3", "good=3", "0=x", "train:", "train:x", "1.5", "0=1,,", "0=1,negative=2"]
)
def test_any_other_wish_is_refused_with_the_form(wish):
    with pytest.raises(UserError, match="--samples-per-label .*the labels are 0, 1, a=b"):
        samples_per_label(wish, LABELS)


def test_a_name_goes_before_another_labels_text():
    """As in Manifest.label, so that the number and the prompt are of one label."""
    swapped = [SimpleNamespace(name=name, text=text, counts={}) for name, text in (("0", "1"), ("1", "0"))]
    assert samples_per_label("0=5", swapped) == [5, 0]
    assert samples_per_label("1=5", swapped) == [0, 5]


@pytest.mark.parametrize("wish", ["0", "0=0", "train:0"])
def test_nothing_to_generate_is_refused(wish):
    with pytest.raises(UserError, match="no sample at all"):
        samples_per_label(wish, LABELS)


@pytest.mark.parametrize("total", range(60))
def test_proportions_keep_the_total_and_are_within_one(total):
    counts = samples_per_label(f"train:{total}", LABELS) if total else [0, 0, 0]
    assert sum(counts) == total
    assert all(abs(count - total * label.counts["train"] / 100) < 1 for count, label in zip(counts, LABELS))


def test_more_samples_change_no_id_that_was_there():
    few = dict(zip(*ids_of_samples([3, 2])))
    many = dict(zip(*ids_of_samples([4, 9])))
    later = dict(zip(*ids_of_samples([1, 7], first=3)))
    assert few.items() <= many.items()
    assert len(many) == 13 and all(id % 2 == label for id, label in many.items())
    assert not few.keys() & later.keys()
