"""Invented words: as many as real held-out sentences hold, and no more."""

import pytest

from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.filters.invented_words import (
    InventedWords,
    invented_share,
    spelled,
    usual_share,
)

TRAIN = ["a warm film", "a cold film", "it's a long, cold film of 1984"]


def check(texts, *arguments):
    candidates = [Candidate(number, 0, text, "5", 2, True) for number, text in enumerate(texts)]
    return InventedWords(*arguments).check(candidates)


def test_words_are_what_has_letters_without_regard_to_case():
    assert spelled("The 3rd film, of 1984 -- it's GOOD!") == ["the", "3rd", "film", "of", "it", "s", "good"]
    assert invented_share("A WARM flim", {"a", "warm"}) == pytest.approx(1 / 3)
    assert invented_share("1984 --", {"a"}) == 0


def test_a_sentence_may_hold_what_95_of_100_held_out_ones_hold():
    known = "a b c d e f g h i j"
    # Of 100 sentences of ten words, 95 lack at most 2 of train's, and five lack 5.
    valid = ["a b c d e f g h x y"] * 95 + ["a b c d e v w x y z"] * 5
    assert usual_share([known], valid) == (0.2, "the valid sentences")
    texts = ["a b c d e f g h k l", "a b c d e f g k l m", "a"]
    assert check(texts, [known], valid) == [None, "invented_words", None]


def test_few_valid_sentences_are_not_asked_but_each_of_train_against_the_others():
    # Known from another sentence: a, cold, film. Unknown shares: 1/3, 0 and 4/7.
    share, whose = usual_share(TRAIN, ["x y z"])
    assert share == pytest.approx(4 / 7) and whose == "the training sentences"


def test_one_real_example_makes_a_word_known():
    assert check(["warm film", "warmth film"], TRAIN, [], 0.0) == [None, "invented_words"]


def test_a_given_share_is_the_limit_itself():
    texts = ["a film", "a filmy", "filmy"]
    assert check(texts, TRAIN, [], 0.5) == [None, None, "invented_words"]
    assert check(texts, TRAIN, [], 1.0) == [None, None, None]


@pytest.mark.parametrize("name", ["sst2", "atis"])
def test_about_one_real_sentence_in_twenty_is_rejected(shared_data, name):
    """On sentences that neither gave the words nor the limit."""
    texts = {}
    for split, file in {"sst2": {"train": "train", "valid": "dev"}}.get(
        name, {"train": "train", "valid": "valid", "test": "test"}
    ).items():
        lines = (shared_data / name / f"{file}.tsv").read_text("utf-8").split("\n")[1:-1]
        texts[split] = [line.split("\t")[0].strip() for line in lines]
    if "test" not in texts:  # one half of dev gives the limit, the other is judged
        texts["test"], texts["valid"] = texts["valid"][1::2], texts["valid"][::2]
    found = check(texts["test"], texts["train"], texts["valid"])
    assert 0.01 < found.count("invented_words") / len(found) < 0.09
