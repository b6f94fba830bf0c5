"""Curves out of fairseq's log, with fairseq's own habits: repeated lines, resumed runs, numbers as texts."""

import json

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.reports.training_log import (
    Best,
    Curves,
    best_validation,
    epochs_at,
    find_training_log,
    name_runs,
    parse_training_log,
    read_run,
)


def inner(update, loss, **more):
    """A line of ``--log-interval``."""
    return json.dumps({"epoch": 1, "update": 0.5, "loss": str(loss), "num_updates": str(update), **more})


def valid(update, ppl):
    return json.dumps({"epoch": 1, "valid_ppl": str(ppl), "valid_num_updates": str(update)})


def epoch_end(update, loss, epoch=1):
    return json.dumps({"epoch": epoch, "train_loss": str(loss), "train_num_updates": str(update)})


def test_curves_are_read_with_their_updates():
    log = [
        inner(10, 9.5, lr="0.001"),
        inner(20, "8.5"),
        valid(20, 300),
        epoch_end(20, 9.0),
        inner(30, 7),
        valid(40, 250.5),
    ]
    assert parse_training_log("\n".join(log)) == Curves(
        train={"loss": [(10, 9.5), (20, 8.5), (30, 7.0)], "lr": [(10, 0.001)]},
        valid={"ppl": [(20, 300.0), (40, 250.5)]},
        epochs=[(10, 0.5), (20, 0.5), (30, 0.5)],
    )


def test_lines_that_fairseq_repeats_count_once():
    log = [inner(10, 9), inner(20, 8), *[valid(20, 300)] * 4, *[inner(30, 7)] * 3]
    found = parse_training_log("\n".join(log))
    assert found.train["loss"] == [(10, 9), (20, 8), (30, 7)]
    assert found.valid["ppl"] == [(20, 300)]


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
    assert found.train["loss"] == [(10, 9), (20, 8), (25, 7.5)]
    assert found.valid["ppl"] == [(20, 300)]


def test_epoch_means_serve_where_no_interval_was_logged():
    assert parse_training_log("\n".join([epoch_end(20, 9), epoch_end(40, 8)])).train["loss"] == [
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
    assert parse_training_log("\n".join(log)).train == {"loss": [(10, 9.0)]}


def test_the_log_beside_the_checkpoint_is_found(tmp_path):
    assert find_training_log(None, str(tmp_path / "checkpoint_best.pt")) == (None, None)
    (tmp_path / "train.log").write_text(inner(10, 9))
    curves, path = find_training_log(None, str(tmp_path / "checkpoint_best.pt"))
    assert curves.train["loss"] == [(10, 9)] and path == str(tmp_path / "train.log")


def test_a_named_log_must_be_one(tmp_path):
    with pytest.raises(UserError, match=r"--train-log .* does not exist"):
        find_training_log(str(tmp_path / "no.log"), None)
    (tmp_path / "empty.log").write_text("nothing here\n")
    with pytest.raises(UserError, match="no training record"):
        find_training_log(str(tmp_path / "empty.log"), None)


def test_a_log_that_is_still_being_written_is_read(tmp_path):
    """Cut at every byte: a point appears when its line is whole, and nothing else changes."""
    log = "\n".join([inner(10, 9.5), valid(20, 300), inner(30, 8.5)]).encode()
    whole = parse_training_log(log.decode())
    for end in range(len(log)):
        (tmp_path / "train.log").write_bytes(log[:end])
        found = parse_training_log((tmp_path / "train.log").read_text("utf-8", errors="replace"))
        for split in ("train", "valid"):
            for curve, points in found.of_split(split).items():
                assert points == whole.of_split(split)[curve][: len(points)]


def test_many_restarts_leave_every_update_once():
    """Killed again and again after 1 to 5 further lines, going on from a checkpoint every 20 updates."""
    log, update, true = [], 0, lambda u: 9 - u / 100
    for lines in (3, 1, 5, 2, 4, 5, 5, 5):
        for _ in range(lines):
            update += 10
            log += [inner(update, true(update) if update % 20 == 0 else 99)] * 2  # fairseq's doubled lines
            if update % 20 == 0:
                log.append(valid(update, update))
        log.append('{"epoch": 1, "loss": "1.')  # the torn line
        update -= update % 20
    log += [inner(update + 10 * n, true(update + 10 * n)) for n in (1, 2)]
    found = parse_training_log("\n".join(log))
    updates = [u for u, _ in found.train["loss"]]
    assert updates == list(range(10, updates[-1] + 1, 10))
    assert [u for u, _ in found.valid["ppl"]] == list(range(20, updates[-2] + 1, 20))[
        : len(found.valid["ppl"])
    ]


def valid_loss(update, loss, epoch):
    return json.dumps({"epoch": epoch, "valid_loss": str(loss), "valid_num_updates": str(update)})


def test_the_best_validation_is_the_lowest_and_the_earlier_of_equals():
    log = [epoch_end(100, 9), valid_loss(100, 5, 1), epoch_end(200, 8, 2), valid_loss(200, 4, 2)]
    log += [epoch_end(300, 7, 3), valid_loss(300, 4, 3), valid_loss(350, 4.5, 4)]
    assert best_validation(parse_training_log("\n".join(log))) == Best(200, 4.0, 2)
    assert best_validation(parse_training_log(valid_loss(200, 4, 2))) == Best(200, 4.0, None)
    assert best_validation(parse_training_log(inner(10, 9))) is None


def test_the_best_validation_inside_an_epoch_names_the_running_one():
    log = [epoch_end(100, 9), valid_loss(150, 4, 2), valid_loss(200, 5, 2), epoch_end(200, 8, 2)]
    assert best_validation(parse_training_log("\n".join(log))).epoch == 2


def test_an_epoch_cut_short_is_counted_as_far_as_it_went():
    log = [json.dumps({"epoch": 3, "update": 2.5, "loss": 1, "num_updates": 500}), epoch_end(510, 1, 3)]
    assert epochs_at(parse_training_log("\n".join(log)).epochs, [510]) == [pytest.approx(2.55)]


def test_epochs_between_and_beyond_the_logged_updates():
    clock = [(100, 1.0), (200, 2.0), (400, 3.0)]
    assert epochs_at(clock, [0, 50, 100, 150, 300, 600]) == [0.0, 0.5, 1.0, 1.5, 2.5, 4.0]
    assert epochs_at([], [10]) is None


def test_a_run_is_read_from_a_file_a_folder_or_the_files_of_its_restarts(tmp_path):
    (tmp_path / "train.log").write_text(inner(10, 9) + "\n" + inner(20, 8))
    (tmp_path / "second.log").write_text(inner(20, 7) + "\n" + inner(30, 6))
    assert read_run([tmp_path]).train["loss"] == [(10, 9), (20, 8)]
    joined = read_run([tmp_path / "train.log", tmp_path / "second.log"])
    assert joined.train["loss"] == [(10, 9), (20, 7), (30, 6)]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "there is no log"), ("nothing", "no record of training"), ("", "no record")],
)
def test_a_log_without_a_record_is_named(tmp_path, content, complaint):
    if content is not None:
        (tmp_path / "a.log").write_text(content)
    with pytest.raises(UserError, match=complaint) as error:
        read_run([tmp_path / "a.log"])
    assert "a.log" in str(error.value)
    with pytest.raises(UserError, match="holds no train.log"):
        read_run([tmp_path])


def test_runs_are_named_by_what_tells_them_apart():
    assert name_runs(["runs/a/train.log", "runs/b/train.log"]) == ["a", "b"]
    assert name_runs(["runs/a/x/train.log", "runs/b/x/train.log"]) == ["a/x", "b/x"]
    assert name_runs(["one.log", "two.jsonl"]) == ["one", "two"]
    assert name_runs(["runs/gamma-0.5", "runs/gamma-1"]) == ["gamma-0.5", "gamma-1"]
    twice = name_runs(["runs/a", "runs/a"])
    assert len(set(twice)) == 2
