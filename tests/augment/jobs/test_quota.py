"""As many samples as are missing, and a clear word where a label falls short."""

import pytest

from fairseq_plugin.augment.jobs.quota import Limits, is_given_up, next_counts, shortage
from fairseq_plugin.errors import UserError
from fairseq_plugin.reports.tally import Counts, Tally


def counts(generated, kept, **reasons):
    reasons = reasons or {"duplicate": generated - kept}
    return Counts(generated, kept, generated - kept, reasons)


def rounds_for(asked, share, limits):
    """Rounds of one label whose accept share is fixed: how many were made in each, and accepted in all."""
    made, kept, rounds = 0, 0, []
    while more := next_counts([asked], [counts(made, kept)], limits)[0]:
        rounds.append(more)
        made += more
        kept = int(made * share)
    return rounds, kept


@pytest.mark.parametrize("asked", [1, 3, 100, 5000])
@pytest.mark.parametrize("share", [1.0, 0.9, 0.5, 0.2])
def test_every_label_gets_what_was_asked_for_in_few_rounds_and_little_too_much(asked, share):
    rounds, kept = rounds_for(asked, share, Limits())
    assert kept >= asked and len(rounds) <= 6
    assert sum(rounds) <= max(1.3 * asked / share, asked + 30 / share)


def test_nothing_is_made_beyond_the_limit_of_tries():
    rounds, kept = rounds_for(100, 0.05, Limits(most_tries=10))
    assert sum(rounds) == 1000 and kept == 50


def test_a_label_whose_samples_are_never_accepted_is_given_up_early():
    rounds, _ = rounds_for(100_000, 0.0, Limits())
    assert sum(rounds) == 100_000  # the first round is what was asked for
    assert is_given_up(100_000, counts(2000, 19), Limits()) and not is_given_up(1, counts(2000, 20), Limits())


def test_labels_with_enough_make_nothing_more():
    found = next_counts([5, 5, 0], [counts(9, 5), counts(0, 0), counts(0, 0)], Limits())
    assert found == [0, 5, 0]


def test_a_shortage_says_which_label_why_and_what_to_change():
    own = {"neg": counts(50, 5, not_ended=40, duplicate=5), "pos": counts(5, 5)}
    said = shortage([5, 5], Tally(counts(55, 10), own), Limits())
    assert said is None
    said = shortage([20, 5], Tally(counts(55, 10), own), Limits(most_tries=2.5))
    for words in ("'neg' has 5 of 20", "40 not_ended, 5 duplicate", "--max-len", "--most-tries 2.5"):
        assert words in said
    assert "\n" not in said and "--allow-fewer writes what there is" in said


def test_a_shortage_does_not_recommend_what_is_given():
    some = Tally(counts(50, 5), {"neg": counts(50, 5, not_ended=45)})
    assert "--allow-fewer" not in shortage([20], some, Limits(), may_be_fewer=True)
    none = Tally(counts(50, 0), {"neg": counts(50, 0, not_ended=50)})
    said = shortage([20], none, Limits(), may_be_fewer=True)
    assert "--allow-fewer" not in said and said.endswith("there is nothing to write")


@pytest.mark.parametrize("tries", [0.5, 0, -1, 1e9, float("nan")])
def test_tries_out_of_range_are_refused(tries):
    with pytest.raises(UserError, match="--most-tries"):
        Limits(most_tries=tries)
