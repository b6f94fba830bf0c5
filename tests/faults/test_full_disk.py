"""A full or read-only disk under the stock commands: one line with the path, and what stood there stays."""

import subprocess

import pytest


@pytest.fixture
def read_only_disk(small_disk):
    """The small disk with one file on it, read-only."""
    (small_disk / "earlier.txt").write_text("earlier", encoding="utf-8")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    return small_disk


def test_a_training_on_a_full_disk(reviews, train, one_line_error, small_disk):
    (small_disk / "earlier.txt").write_text("earlier", encoding="utf-8")
    done = train(reviews.folder, small_disk / "ck", "--max-update", 3, check=False)
    one_line_error(done, f"--save-dir {small_disk / 'ck'}", "No space left on device", "make room")
    assert list((small_disk / "ck").iterdir()) == []  # nothing half-written
    assert (small_disk / "earlier.txt").read_text("utf-8") == "earlier"


def test_a_generation_on_a_full_disk(generate, one_line_error, small_disk):
    done = generate(small_disk / "results", "--samples-per-label", 1000, check=False)
    one_line_error(done, "results", "No space left on device")
    assert not (small_disk / "results" / "augment.json").exists()  # nothing claims to be complete
    assert (small_disk / "results" / "augment.part-1.jsonl").read_bytes().endswith(b"\n")  # whole lines


def test_a_training_on_a_read_only_disk(reviews, train, one_line_error, read_only_disk):
    done = train(reviews.folder, read_only_disk / "ck", "--max-update", 3, check=False)
    one_line_error(done, str(read_only_disk / "ck"), "Read-only file system")


def test_a_generation_on_a_read_only_disk(generate, one_line_error, read_only_disk):
    done = generate(read_only_disk / "results", check=False)
    one_line_error(done, str(read_only_disk / "results"), "Read-only file system")
