"""A generator that has learnt no language is refused, by held-out real text and never by its own."""

import math

import numpy as np
import pytest

from fairseq_plugin.augment.verdict.language import Language, measure_language
from fairseq_plugin.augment.verdict.quick import DO_NOT_USE, NO_GAIN, describe, judge_rows
from scripts.reviews import LABELS
from tests.augment.made_rows import reviews


class Costs:
    """A generator that needs so many bits for each character."""

    def __init__(self, bits, too_long=()):
        self.bits, self.too_long = bits, too_long

    def reads_whole(self, texts):
        return [text not in self.too_long for text in texts]

    def log_likelihoods(self, texts):
        own = [-self.bits * (len(text) + 1) * math.log(2) for text in texts]
        return np.stack([own, own], axis=1)


def test_evidence_adds_up_over_all_held_out_text():
    assert not Language(rows=1, characters=30, model=4.4, counts=3.9).is_unlearnt  # 15 bits: may be chance
    assert Language(rows=2, characters=60, model=4.4, counts=3.9).is_unlearnt
    assert not Language(rows=200, characters=9000, model=2.0, counts=2.5).is_unlearnt


def test_rows_that_cannot_be_scored_whole_are_left_out():
    train, held = [(0, "a film")], [(0, "good"), (1, "long")]
    found = measure_language(Costs(3.0, too_long={"long"}), train, held, seed=1)
    assert (found.rows, found.characters) == (1, 5) and found.model == pytest.approx(3.0)
    assert measure_language(Costs(3.0, too_long={"long"}), train, held[1:], seed=1) is None


def test_a_generator_without_language_is_refused_where_its_rows_do_no_harm():
    real, _ = reviews(20)
    for bits, outcome in ((6.0, DO_NOT_USE), (1.0, NO_GAIN)):
        found = judge_rows(LABELS, real, real["train"], generator=Costs(bits))
        assert found.outcome == outcome
        assert ("has not learnt the language" in found.sentence) == (bits == 6)
        assert f"{bits:.2f} bits per character" in "\n".join([found.sentence, *describe(found)])


def test_rows_that_help_are_used_whatever_the_generator_says():
    real, more = reviews(100)
    assert judge_rows(LABELS, real, more, generator=Costs(9.0)).outcome == "use this"


def test_every_step_is_told():
    real, more = reviews(20, num_held=60)
    seen = []
    judge_rows(LABELS, real, more[:20], said=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1)) and seen[-1][0] == seen[-1][1]
