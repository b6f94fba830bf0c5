"""A mistyped flag, a kill, a second process: what a finished ``fairseq-generate`` left stays as it was."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairseq_plugin.augment.augmented_set import Options
from fairseq_plugin.augment.generations.collect import collect
from fairseq_plugin.augment.generations.record import generation_lock
from fairseq_plugin.errors import UserError
from tests.augment.made_generation import ANY_WORDS
from tests.conftest import child_environment
from tests.pipeline.open_ended import in_process

SAMPLE = ("--sampling", "--beam", 1, "--nbest", 1, "--seed", 5, "--cpu", "--num-workers", 0)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(command, words, *parts):
    """The command ends with one line that holds the parts."""
    with pytest.raises(SystemExit) as raised:
        in_process(command, *words)
    message = str(raised.value)
    assert message.startswith("error: ") and "\n" not in message
    for part in parts:
        assert part in message, message


@pytest.fixture(scope="module")
def augment(reviews, trained):
    """Words of a generation of ten samples, and what replaces some of them."""
    given = {
        "--path": trained.checkpoint,
        "--samples-per-label": 5,
        "--max-len-b": 40,
        "--gen-subset": "augment",
    }

    def words(results, data=reviews.folder, more=(), **changed):
        flags = given | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
        pairs = [word for pair in flags.items() if pair[1] is not None for word in pair]
        task = ("--task", "conditional_augmentation", "--results-path", results)
        return [data, *task, *SAMPLE, *pairs, *more]

    return words


@pytest.fixture(scope="module")
def finished(augment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    in_process("generate", *augment(folder))
    assert {"augment.json", "augment.samples.jsonl", "generate-augment.txt"} == set(contents(folder))
    return folder


@pytest.mark.parametrize(
    ("slip", "parts"),
    [
        ({"samples_per_label": "many"}, ["--samples-per-label many"]),
        ({"samples_per_label": "nobody=3"}, ["--samples-per-label", "negative, positive"]),
        ({"samples_per_label": 10**9}, ["--samples-per-label", "--first-sample"]),
        ({"first_sample": -1}, ["--first-sample -1"]),
        ({"first_sample": 10**12}, ["--first-sample 1000000000000"]),
        ({"path": None}, ["--path"]),
        ({"path": "none.pt"}, ["none.pt"]),
        ({"sampling_topp": 2}, ["--sampling-topp"]),
        ({"temperature": -1}, ["--temperature"]),
        ({"min_len": 40}, ["--min-len 40"]),
        ({"max_len_b": 0}, ["--max-len-b 0"]),
        ({"max_len_a": 1}, ["--max-len-a"]),
        ({"nbest": 3}, ["--nbest"]),
        ({"data": "nowhere"}, ["nowhere"]),
        ({"max_tokens": 20}, ["--max-tokens 20", "give at least"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_slip_destroys_nothing(slip, parts, augment, finished):
    before = contents(finished)
    refused("generate", augment(finished, **slip), *parts)
    assert contents(finished) == before


def test_a_negative_seed_destroys_nothing(augment, finished, capsys):
    before = contents(finished)
    with pytest.raises(SystemExit):
        in_process("generate", *augment(finished, seed=-1))
    assert "--seed -1" in capsys.readouterr().err
    assert contents(finished) == before


def test_a_slip_destroys_nothing_of_completions(complete, tmp_path):
    words = ("--gen-subset", "valid", "--num-samples", 4, "--sampling", "--beam", 1)
    complete(tmp_path, *words)
    before = contents(tmp_path)
    assert len(before) == 4
    for slip in (
        ("--sampling-topp", 2),
        ("--num-samples", 0),
        ("--min-len", 5),
        ("--prefix-tokens", 0),
        ("--max-tokens", 19),
    ):
        with pytest.raises(SystemExit, match=f"error: .*{slip[0]}"):
            complete(tmp_path, *words, *slip)
        assert contents(tmp_path) == before


def test_a_second_process_does_not_write_where_one_is_at_work(augment, finished):
    before = contents(finished)
    with generation_lock(finished, "augment"):
        refused("generate", augment(finished), "--results-path", "in use by process")
    assert contents(finished) == before


def test_what_an_error_after_the_check_leaves_is_still_collected(
    augment, finished, reviews, tmp_path, monkeypatch
):
    """fairseq has emptied its own print by then; the samples are in our file."""
    from fairseq_plugin.models.gpt2 import GPT2LanguageModel

    def broken(*_, **__):
        raise RuntimeError("out of memory, say")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="out of memory"):
        patched.setattr(GPT2LanguageModel, "forward", broken)
        patched.setattr(GPT2LanguageModel, "prepare_for_inference_", broken)
        in_process("generate", *augment(finished))
    plain = Options(**ANY_WORDS, report=False, binary=False)
    counts = collect([finished], reviews.folder, tmp_path / "out", plain).to_json()["counts"]
    assert counts["generated"] == 10
    in_process("generate", *augment(finished))


def test_a_killed_generation_is_counted_sample_by_sample(augment, reviews, tmp_path):
    words = augment(tmp_path / "r", samples_per_label=5000, more=("--batch-size", 8))
    stock = [Path(sys.executable).parent / "fairseq-generate", "--user-dir", "fairseq_plugin", *words]
    part = tmp_path / "r" / "augment.part-1.jsonl"
    child = subprocess.Popen(
        [str(word) for word in stock],
        env=child_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(1200):
            if part.is_file() and part.read_bytes().count(b"\n") > 100:
                break
            time.sleep(0.05)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    written = part.read_bytes().count(b"\n") - 1
    assert written >= 100
    with pytest.raises(UserError, match=f"augment.part-1.jsonl holds {written:,} of 10,000 samples"):
        collect([tmp_path / "r"], reviews.folder, tmp_path / "out")
