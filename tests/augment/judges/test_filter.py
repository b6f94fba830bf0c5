"""Label fidelity: a threshold on the probability of a sample's own label, and what is remembered of it."""

import numpy as np
import pytest

from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.judges.filter import LabelFidelity, Opinions


class ByLength:
    """A judge that finds label 0 the more probable the shorter a text is; no answer for an empty one."""

    name = "a rule"

    def probabilities(self, texts):
        own = np.array([float(len(text)) if text else np.nan for text in texts]) / 10
        return np.stack([1 - own, own], axis=1)


def candidates_of(*pairs):
    return [Candidate(2 * n + label, label, text, "5", 2, True) for n, (label, text) in enumerate(pairs)]


def test_a_label_must_be_as_probable_as_the_threshold():
    fidelity = LabelFidelity(ByLength(), 2, 0.8)
    found = fidelity.check(candidates_of((0, "ab"), (0, "abc"), (1, "abcdefgh"), (1, "ab"), (0, "")))
    assert found == [None, "doubtful_label", None, "doubtful_label", "not_judged"]
    assert "a rule" in fidelity.reasons["doubtful_label"] and "0.8" in fidelity.reasons["doubtful_label"]
    assert fidelity.check([]) == []


def test_what_passed_is_remembered_with_the_probability_of_every_label():
    fidelity = LabelFidelity(ByLength(), 2, 0.7)
    fidelity.check(candidates_of((0, "ab"), (1, "a")))
    fidelity.check([Candidate(8, 0, "a", "5", 2, True)])
    assert fidelity.opinions.of(0) == pytest.approx([0.8, 0.2])
    assert fidelity.opinions.confidence(8) == pytest.approx(0.9)
    for absent in (3, 2, 10):
        with pytest.raises(KeyError):
            fidelity.opinions.of(absent)


def test_opinions_take_the_bytes_they_say():
    opinions, number = Opinions(3), 1000
    candidates = [Candidate(3 * n + 1, 1, "", "", 1, True) for n in range(number)]
    opinions.add(candidates, np.full((number, 3), 1 / 3))
    held = sum(part.buffer_info()[1] * part.itemsize for part in (*opinions._ids._ids, *opinions._values))
    assert held == number * (8 + 3 * 4)
