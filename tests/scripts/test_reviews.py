"""The embedded data has what a real set has: two classes, variety, repeats, hard and wrong rows."""

import re
from collections import Counter

import pytest

from fairseq_plugin.labelled.rows import read_rows
from fairseq_plugin.labelled.split import sentence_key
from scripts.reviews import FORMS, LABELS, SPEC, make_reviews
from tests.labelled.made_data import load_script

SIZES = {"train": 6000, "valid": 600, "test": 600}


@pytest.fixture(scope="module")
def reviews():
    return make_reviews(SIZES, seed=1)


def test_at_least_5000_different_sentences_in_two_balanced_classes(reviews):
    train = reviews["train"]
    assert len({row.text for row in train}) >= 5000
    counts = Counter(row.label for row in train)
    assert set(counts) == set(LABELS)
    assert min(counts.values()) > 0.45 * len(train)


def test_no_held_sentence_stands_in_an_earlier_split(reviews):
    keys = {split: {sentence_key(row.text) for row in rows} for split, rows in reviews.items()}
    assert not keys["train"] & keys["valid"]
    assert not (keys["train"] | keys["valid"]) & keys["test"]
    assert {split: len(rows) for split, rows in reviews.items()} == SIZES


def test_some_rows_repeat_and_some_sentences_carry_both_labels(reviews):
    labels = {}
    for row in reviews["train"]:
        labels.setdefault(row.text, []).append(row.label)
    assert sum(len(found) - 1 for found in labels.values()) > 100
    assert 5 < sum(len(set(found)) == 2 for found in labels.values()) < 100


def test_the_noise_is_the_share_that_was_asked_for():
    # Coins and noise draw from the same generator, so only the rate can be compared.
    def wrong(noise):
        fixed = {form.capitalize(): label for label in (0, 1) for form in FORMS[-1][2 - label]}
        rows = [row for row in make_reviews({"train": 20_000}, 5, noise)["train"] if row.text in fixed]
        assert len(rows) > 300
        return sum(row.label != LABELS[fixed[row.text]] for row in rows) / len(rows)

    assert wrong(0) == 0
    assert wrong(0.3) == pytest.approx(0.3, abs=0.08)


def test_hard_constructions_are_there(reviews):
    text = "\n".join(row.text for row in reviews["train"])
    for pattern in (
        "not \\w+ at all",
        "anything but",
        ", but the",
        "Although",
        "I suppose",
        "if you are fast asleep",
    ):
        assert len(re.findall(pattern, text)) >= 5, pattern


def test_words_follow_a_long_tail(reviews):
    counts = Counter(word for row in reviews["train"] for word in re.findall(r"[\w-]+", row.text.lower()))
    assert len(counts) > 450
    assert sum(count <= 10 for count in counts.values()) >= 5
    assert counts["the"] > 100 * counts["meretricious"] > 0


def test_sentences_are_well_formed(reviews):
    for row in [row for rows in reviews.values() for row in rows]:
        assert re.fullmatch(r"[A-Z][^{}]+[.!]", row.text), row.text
        assert not re.search(r"  | [.,;!?]|\ba [aeio]|\ban [^aeiou]|\b(\w+) \1\b", row.text), row.text


def test_the_same_seed_gives_the_same_rows(reviews):
    assert make_reviews(SIZES, seed=1) == reviews
    assert make_reviews(SIZES, seed=2) != reviews


def test_the_script_writes_what_the_reader_reads(run_script, tmp_path, reviews):
    run_script("make_reviews.py", "--to", tmp_path / "r")
    for split, rows in reviews.items():
        assert read_rows(tmp_path / "r" / f"{split}.tsv", SPEC) == (rows, [])


@pytest.mark.parametrize("words", ["--train 0", "--noise 0.5", "--noise -1", "--valid 1000000"])
def test_the_script_refuses_sizes_out_of_range(tmp_path, words):
    with pytest.raises(SystemExit, match=f"^error: {words}"):
        load_script("make_reviews.py").main(["--to", str(tmp_path / "r"), *words.split()])
    assert not (tmp_path / "r").exists()
