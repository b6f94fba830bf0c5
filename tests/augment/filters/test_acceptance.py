"""Acceptance says of every sample what a list of all of them would say, whatever the batches."""

import random

import pytest

from fairseq_plugin.augment.filters.acceptance import SURPLUS, Acceptance, num_to_accept
from fairseq_plugin.augment.filters.chain import Candidate, FilterChain
from fairseq_plugin.augment.filters.text_filters import Duplicates, WholeText

LABELS = ["a", "b", "c"]


def candidates(num=300, seed=1):
    chance = random.Random(seed)
    texts = [f"text {n}" for n in range(60)]
    return [
        Candidate(i, i % 3, chance.choice(texts), "7", 2, chance.random() < 0.9) for i in range(num)
    ]  # fmt: skip


def literal(samples, asked):
    """Verdicts out of the whole list: whole texts, of one label only, each once, the first N of a label."""
    verdicts, ended = {}, [one for one in samples if one.ended]
    labels = {one.text: {other.label for other in ended if other.text == one.text} for one in ended}
    seen, kept = set(), [0] * len(LABELS)
    for one in samples:
        if not one.ended:
            verdicts[one.id] = "not_ended"
        elif len(labels[one.text]) > 1:
            verdicts[one.id] = "conflict"
        elif one.text in seen:
            verdicts[one.id] = "duplicate"
        else:
            seen.add(one.text)
            kept[one.label] += 1
            verdicts[one.id] = None if kept[one.label] <= asked[one.label] else SURPLUS
    return verdicts


@pytest.mark.parametrize("size", [1, 2, 7, 300])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_batches_change_no_verdict(size, seed):
    samples, asked = candidates(40 + 20 * seed, seed), [2, 0, 1]
    acceptance = Acceptance(FilterChain([WholeText(), Duplicates()]), LABELS, asked)
    for start in range(0, len(samples), size):
        acceptance.add(samples[start : start + size])
    acceptance.limit()
    expected = literal(samples, asked)
    assert {one.id: acceptance.reason(one.id) for one in samples} == expected
    counts = acceptance.tally()
    assert counts.total.generated == len(samples) == acceptance.num_added
    assert counts.total.kept == list(expected.values()).count(None) == acceptance.num_accepted
    for label, own in enumerate(counts.labels.values()):
        of_label = [expected[one.id] for one in samples if one.label == label]
        assert own.kept == of_label.count(None)
        assert own.reasons == {name: of_label.count(name) for name in acceptance.reasons}


def test_a_sample_that_was_not_added_has_no_verdict():
    acceptance = Acceptance(FilterChain([]), LABELS)
    acceptance.add([Candidate(3, 0, "x", "7", 2, True)])
    assert acceptance.reason(3) is None
    for other in (0, 4, 6):
        with pytest.raises(KeyError):
            acceptance.reason(other)


def test_without_a_number_everything_is_kept_and_there_is_no_surplus():
    acceptance = Acceptance(FilterChain([]), LABELS)
    acceptance.add([Candidate(i, i % 3, str(i), "7", 2, True) for i in range(9)])
    acceptance.limit()
    assert acceptance.tally().total.kept == 9 and SURPLUS not in acceptance.reasons


def test_the_most_confident_share_of_each_label_is_kept_of_equal_ones_the_first():
    sure = {0: 0.5, 2: 0.9, 4: 0.9, 6: 0.1, 8: 0.9, 1: 0.3, 3: 0.2}
    candidates = [Candidate(number, number % 2, str(number), "5", 2, True) for number in sorted(sure)]
    acceptance = Acceptance(FilterChain([]), ["a", "b"], None, 0.4, sure.__getitem__)
    acceptance.add(candidates)
    acceptance.limit()
    kept = [number for number in sure if acceptance.reason(number) is None]
    assert kept == [2, 4, 1] and acceptance.num_accepted == 3
    assert acceptance.tally().total.reasons == {"less_confident": 4}
    assert [num_to_accept(number, 0.1) for number in (1, 3, 7)] == [10, 30, 70]
    assert num_to_accept(2, 0.3) == 7 and num_to_accept(5, None) == 5
