"""Curves out of fairseq's log, with fairseq's own habits: repeated lines, resumed runs, numbers as texts."""

import json

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.reports.training_log import find_training_log, parse_training_log


def inner(update, loss, **more):
    """A line of ``--log-interval``."""
    return json.dumps({"epoch": 1, "update": 0.5, "loss": str(loss), "num_updates": str(update), **more})


def valid(update, ppl):
    return json.dumps({"epoch": 1, "valid_ppl": str(ppl), "valid_num_updates": str(update)})


def epoch_end(update, loss):
    return json.dumps({"epoch": 1, "train_loss": str(loss), "train_num_updates": str(update)})


def test_curves_are_read_with_their_updates():
    log = [
        inner(10, 9.5, lr="0.001"),
        inner(20, "8.5"),
        valid(20, 300),
        epoch_end(20, 9.0),
        inner(30, 7),
        valid(40, 250.5),
    ]
    assert parse_training_log("\n".join(log)) == {
        "train": {"loss": [(10, 9.5), (20, 8.5), (30, 7.0)], "lr": [(10, 0.001)]},
        "valid": {"ppl": [(20, 300.0), (40, 250.5)]},
    }


def test_lines_that_fairseq_repeats_count_once():
    log = [inner(10, 9), inner(20, 8), *[valid(20, 300)] * 4, *[inner(30, 7)] * 3]
    found = parse_training_log("\n".join(log))
    assert found["train"]["loss"] == [(10, 9), (20, 8), (30, 7)]
    assert found["valid"]["ppl"] == [(20, 300)]


def test_a_resumed_run_takes_the_place_of_what_it_did_again():
    log = [
        inner(10, 9),
        inner(20, 8),
        valid(20, 300),
        inner(30, 99),
        valid(30, 999),
        inner(20, 8),
        inner(25, 7.5),
    ]
    found = parse_training_log("\n".join(log))
    assert found["train"]["loss"] == [(10, 9), (20, 8), (25, 7.5)]
    assert found["valid"]["ppl"] == [(20, 300)]


def test_epoch_means_serve_where_no_interval_was_logged():
    assert parse_training_log("\n".join([epoch_end(20, 9), epoch_end(40, 8)]))["train"]["loss"] == [
        (20, 9),
        (40, 8),
    ]


def test_a_console_log_is_read_and_everything_else_passed_over():
    log = [
        "2026-01-01 00:00:00 | INFO | train_inner | " + inner(10, 9),
        "2026-01-01 00:00:00 | INFO | fairseq_cli.train | {'not': json}",
        "{",
        "[1]",
        "{}",
        "null",
        "",
        "[" * 5000,
        '{"a":' * 5000,
        inner(20, "nan"),
        inner(30, "inf"),
        inner(40, "oops"),
        inner(50, None),
        inner("x", 1),
        inner(60, True),
    ]
    assert parse_training_log("\n".join(log))["train"] == {"loss": [(10, 9.0)]}


def test_the_log_beside_the_checkpoint_is_found(tmp_path):
    assert find_training_log(None, str(tmp_path / "checkpoint_best.pt")) == (None, None)
    (tmp_path / "train.log").write_text(inner(10, 9))
    curves, path = find_training_log(None, str(tmp_path / "checkpoint_best.pt"))
    assert curves["train"]["loss"] == [(10, 9)] and path == str(tmp_path / "train.log")


def test_a_named_log_must_be_one(tmp_path):
    with pytest.raises(UserError, match=r"--train-log .* does not exist"):
        find_training_log(str(tmp_path / "no.log"), None)
    (tmp_path / "empty.log").write_text("nothing here\n")
    with pytest.raises(UserError, match="no training record"):
        find_training_log(str(tmp_path / "empty.log"), None)
