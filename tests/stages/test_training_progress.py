"""What a person sees of a training, from fairseq's JSON lines."""

import pytest

from fairseq_plugin.stages.training_progress import TrainingProgress


@pytest.fixture
def progress():
    made = TrainingProgress(3)
    yield made
    made.close()


def valid(epoch, loss, **more):
    figures = {"epoch": epoch, "valid_loss": loss, "valid_ppl": 2**loss, **more}
    inside = ", ".join(f'"{name}": "{value}"' for name, value in figures.items())
    return f"2026-01-01 00:00:00 | INFO | valid | {{{inside}}}"


def test_a_validation_is_one_line_and_says_when_it_is_not_better(progress):
    assert progress.see(valid(1, 3, valid_accuracy=0.25)) == (
        "epoch 1: validation perplexity 8.00, next-token accuracy 0.2500"
    )
    assert progress.see(valid(2, 4)) == "epoch 2: validation perplexity 16.00 (not better)"
    assert progress.see(valid(3, 2)) == "epoch 3: validation perplexity 4.00"


def test_a_training_that_goes_on_after_a_kill_remembers_the_best_before_it(progress):
    """As fairseq logs it: ``valid_best_loss`` is the smaller of this loss and the best that it has saved."""
    assert progress.see(valid(5, 3, valid_best_loss=2.5)).endswith("8.00 (not better)")
    assert progress.see(valid(6, 2.75, valid_best_loss=2.5)).endswith("(not better)")
    assert not progress.see(valid(7, 2, valid_best_loss=2)).endswith("(not better)")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "2026-01-01 | INFO | fairseq_cli.train | GPT2Model(",
        '2026-01-01 | INFO | train_inner | {"epoch": 1, "update": 0.5, "loss": "6.1"}',
        '2026-01-01 | INFO | train | {"epoch": 1, "train_loss": "nan"}',
        'broken {"epoch": 1',
        "no json {}",
    ],
)
def test_everything_else_is_not_shown(progress, line):
    assert progress.see(line) is None
