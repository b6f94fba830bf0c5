"""How a training is planned by the size of a set."""

import pytest

from fairseq_plugin.augment.pipeline.plan import BATCH_TOKENS, BATCHES_PER_UPDATE, plan


def updates(chosen, num_tokens):
    per_epoch = max(1, -(-int(1.2 * num_tokens) // (BATCH_TOKENS * BATCHES_PER_UPDATE)))
    return chosen.epochs * per_epoch


@pytest.mark.parametrize(
    ("examples", "warns"), [(10, "broken"), (49, "broken"), (50, "--from"), (299, "--from")]
)
def test_a_small_set_is_told_the_truth_before_minutes_are_spent(examples, warns):
    (line,) = plan(15 * 2 * examples, [examples, examples], False).warnings
    assert line.startswith("WARNING") and f"{examples} training examples" in line
    assert warns in line and "--from" in line


def test_a_set_of_some_size_or_a_pretrained_model_is_not_warned():
    assert plan(100_000, [3000, 3000], False).warnings == ()
    assert plan(300, [10, 10], True).warnings == ()


@pytest.mark.parametrize("num_tokens", [1, 240, 3_000, 100_000, 900_000, 10**8])
def test_any_size_gets_some_hundreds_of_updates_and_about_forty_validations(num_tokens):
    chosen = plan(num_tokens, [num_tokens], False)
    assert chosen.epochs >= 3 and updates(chosen, num_tokens) >= 700
    assert chosen.epochs / chosen.interval <= 60
    assert 1 <= chosen.warmup <= 100


def test_the_epochs_asked_for_are_taken():
    assert plan(240, [10, 10], False, epochs=7).epochs == 7
