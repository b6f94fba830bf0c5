"""Near-duplicates: what is rejected is near, what is near is found, and batches change nothing."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.filters.near_duplicates import NEAR, NearDuplicates, NearTexts, Signed, band_size
from tests.augment.made_rows import reviews
from tests.reference import near_duplicates_oracle as oracle


def candidates_of(texts, labels=None):
    labels = labels or [0] * len(texts)
    return [
        Candidate(number, label, text, "5", 2, True)
        for number, (text, label) in enumerate(zip(texts, labels))
    ]


def changed(text, generator):
    """The text with one letter changed, or a word taken out or put in."""
    words = text.split()
    place = generator.randrange(len(words))
    kind = generator.randrange(3)
    if kind == 0:
        words[place] = words[place][:-1] + generator.choice("abcdefgh")
    elif kind == 1:
        del words[place]
    else:
        words.insert(place, generator.choice(words))
    return " ".join(words) or "x"


@pytest.fixture(scope="module")
def made():
    """Real reviews, reviews near to them or to one another, and labels."""
    generator = random.Random(5)
    real, more = reviews(60, num_held=30, num_more=60)
    texts = [text for _, text in more]
    texts += [changed(text, generator) for text in texts]
    texts += [changed(text, generator) for split in real.values() for _, text in split]
    generator.shuffle(texts)
    labels = [generator.randrange(2) for _ in texts]
    return texts, labels, {split: [text for _, text in own] for split, own in real.items()}


@pytest.mark.parametrize("threshold", [0.5, 0.6, NEAR, 0.95, 1.0])
def test_verdicts_are_those_of_comparing_every_pair(made, threshold):
    texts, labels, real = made
    listed = [(split, text) for split, own in real.items() for text in own]
    expected = oracle.verdicts(texts, labels, listed, threshold)
    found = NearDuplicates(real, threshold).check(candidates_of(texts, labels))
    # A pair that MinHash misses would show as a sample that passes; of these texts it misses none.
    assert found == expected
    assert len(set(expected)) == 4 or threshold == 1.0  # every reason there can be without a test set


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.85, 0.99])
def test_at_most_one_pair_in_a_hundred_is_missed_at_the_threshold(threshold):
    size = band_size(threshold)
    bands = 128 // size
    assert (1 - threshold**size) ** bands <= 0.01
    assert (1 - threshold ** (size + 1)) ** (128 // (size + 1)) > 0.01 or size == 16


@given(st.lists(st.integers(0, 600)))
@settings(max_examples=15, deadline=None)
def test_batches_of_any_size_give_the_same_verdicts(made, ends):
    texts, labels, real = made
    candidates = candidates_of(texts, labels)
    chain, found = NearDuplicates(real), []
    for start, end in pairwise([0, *sorted({end % len(texts) for end in ends}), len(texts)]):
        found += chain.check(candidates[start:end])
    assert found == NearDuplicates(real).check(candidates)


LONG = "the second half of this film is as bad as the first, and the first is bad enough"
NEARLY = LONG.replace("the second", "The  second").replace("enough", "enough!")


def test_a_near_copy_counts_under_any_label_and_held_out_text_is_named_first():
    real = {"train": [LONG], "valid": [LONG], "test": [LONG]}
    found = [
        NearDuplicates({split: real[split] for split in splits}).check(candidates_of([NEARLY], [1]))
        for splits in (["train"], ["train", "valid"], ["train", "valid", "test"], [])
    ]
    assert found == [["near_copy_of_train"], ["near_copy_of_valid"], ["near_copy_of_test"], [None]]


def test_near_duplicates_count_within_a_label():
    labels = [0, 1, 0, 1]
    found = NearDuplicates({}).check(candidates_of([LONG, NEARLY, NEARLY, LONG], labels))
    assert found == [None, None, "near_duplicate", "near_duplicate"]


def test_every_language_and_every_string_has_a_verdict():
    chinese = "这部电影的情节非常无聊但是演员的表演很好值得一看"
    texts = [chinese, chinese + "。", "", " ", "a", "A", "\ud800", "\ud800!", "ab\ud800cd" * 5]
    found = NearDuplicates({}).check(candidates_of(texts))
    assert found[:2] == [None, "near_duplicate"] and found[2:6] == [None, "near_duplicate"] * 2
    assert NearDuplicates({"train": [""]}).check([]) == []


def test_an_index_grows_by_the_bytes_it_says():
    texts = NearTexts(NEAR)
    texts.take_in(Signed.of([f"sentence {n} of {n * n}" for n in range(3000)]), [0] * 3000)
    used = sum(keys.nbytes + places.nbytes for keys, places in texts._bands._runs)
    assert used <= 200 * len(texts) and len(texts._bands._runs) <= 3


def test_few_real_sentences_count_as_near_copies(shared_data):
    """What the default would wrongly reject: ATIS's test sentences, which are the most alike."""
    texts = {}
    for split in ("train", "test"):
        lines = (shared_data / "atis" / f"{split}.tsv").read_text("utf-8").split("\n")[1:-1]
        texts[split] = sorted({line.split("\t")[0].strip() for line in lines})
    held_out = [text for text in texts["test"] if text not in texts["train"]]
    found = NearDuplicates({"train": texts["train"]}).check(candidates_of(held_out))
    assert 0 < found.count("near_copy_of_train") <= 0.03 * len(held_out)
