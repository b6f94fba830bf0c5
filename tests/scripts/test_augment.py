"""augment.py: one command from a labelled file to a new set and the verdict on it; again, to go on."""

import json
import subprocess
import sys

import pytest
import torch

from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.prepare import Request, prepare
from tests.augment.made_job import train_model
from tests.conftest import ROOT

VERDICTS = {0: ("Use this", "Not checked"), 3: ("Do not use this",), 4: ("No gain",)}


def augment(*words):
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "augment.py", *map(str, words)],
        capture_output=True, text=True, timeout=500,
    )  # fmt: skip


@pytest.fixture
def source(tmp_path):
    """A small labelled file, and a function that writes it anew with other rows."""
    path = tmp_path / "my.tsv"

    def write(word):
        rows = [f"{word} {n} of a kind\tgood\nno {n} of any {word}\tbad\n" for n in range(60)]
        path.write_text("sentence\tlabel\n" + "".join(rows))
        return path

    write("one")
    return write


@pytest.mark.slow
def test_the_same_command_goes_on_and_a_changed_file_is_named_or_starts_again(source, tmp_path):
    path, out = source("one"), tmp_path / "out"
    words = (path, "--to", out, "--per-label", 6, "--epochs", 30, "--gamma", 1, "--allow-fewer")
    first = augment(*words)
    assert first.returncode in VERDICTS, first.stdout[-2000:] + first.stderr[-2000:]
    ending = first.stdout[first.stdout.rindex("== ") :].split("\n")
    said = next(line for line in ending if line.split(":")[0] in VERDICTS[first.returncode])
    after = [line for line in ending[ending.index(said) + 1 :] if "fell short" not in line]
    assert after[0].startswith("Done in")  # the verdict comes before success
    assert "WARNING: a typical label has" in first.stdout
    assert "already done" not in first.stdout
    checkpoint = out / "gamma-1-seed-1" / "checkpoints" / "checkpoint_best.pt"
    trained = checkpoint.read_bytes()

    again = augment(*words)
    assert again.returncode == first.returncode
    assert again.stdout.count("already done, with the same settings and files") == 1  # the training
    assert "they were there already" in again.stdout and "they were there" not in first.stdout
    assert checkpoint.read_bytes() == trained

    source("two")
    refused = augment(*words)
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().split("\n")
    assert line.startswith(f"error: {path} has changed since") and "--overwrite" in line
    assert checkpoint.read_bytes() == trained

    anew = augment(*words, "--overwrite")
    assert anew.returncode in VERDICTS, anew.stderr
    assert checkpoint.read_bytes() != trained

    data, other = out / "data", tmp_path / "other"
    own = augment("--data", data, "--path", checkpoint, "--to", other, *words[3:], "--format", "jsonl")
    assert own.returncode in VERDICTS, own.stderr
    assert (other / "gamma-1-seed-1" / "augmented" / "train.jsonl").is_file()
    assert "fairseq-train" not in own.stdout and "prepare_labelled.py" not in own.stdout


@pytest.mark.slow
def test_one_label_ends_with_a_report_and_says_what_cannot_be_checked(tmp_path):
    path = tmp_path / "my.tsv"
    rows = [f"row {n % 30} of one kind, {n}\tall\n" for n in range(120)]
    path.write_text("sentence\tlabel\n" + "".join(rows))
    done = augment(path, "--to", tmp_path / "out", "--per-label", 2, "--epochs", 20, "--most-tries", 200,
                   "--allow-fewer")  # fmt: skip
    assert done.returncode in (0, 3), done.stdout[-2000:] + done.stderr[-2000:]
    assert "judge_agreement.py" not in done.stdout
    assert "there is only one label" in done.stdout or "Do not use this" in done.stdout
    assert list((tmp_path / "out").glob("gamma-*/augmented/report.html"))


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((), "give a labelled file or folder"),
        (("{missing}",), "{missing}: there is no such file or folder"),
        (("{path}", "--gamma", "2"), "--gamma 2.0 must be in (0, 1]"),
        (("{path}", "--from", "{missing}"), "--from {missing} is not a folder"),
    ],
)
def test_a_mistake_is_one_line(source, tmp_path, words, error):
    names = {"path": source("one"), "missing": tmp_path / "none"}
    done = augment(*(word.format(**names) for word in words), "--to", tmp_path / "out")
    assert done.returncode == 1
    (line,) = done.stderr.strip().split("\n")
    assert line.startswith("error: " + error.format(**names))


def test_without_a_place_to_write_the_path_is_named(source, tmp_path):
    (tmp_path / "file").write_text("")
    done = augment(source("one"), "--to", tmp_path / "file" / "out")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: --to {tmp_path / 'file' / 'out'}: ")


@pytest.mark.slow
def test_a_gpt2_in_hugging_faces_form_is_where_the_training_starts_and_the_verdict_is_reached(
    tmp_path, run_script
):
    path = tmp_path / "my.tsv"
    rows = [f"row {n} is {word} of a kind\t{word}\n" for n in range(40) for word in ("one", "two")]
    path.write_text("sentence\tlabel\n" + "".join(rows))
    prepare(Request(str(path), str(tmp_path / "known"), codec="bytes", vocab_size=300))
    checkpoint = train_model(tmp_path / "known", tmp_path / "known.pt", num_updates=80)
    gpt2 = tmp_path / "small"
    run_script("convert_gpt2.py", "export", checkpoint, "--data", tmp_path / "known", "--to", gpt2)

    to = tmp_path / "out"
    done = augment(path, "--from", gpt2, "--to", to, "--per-label", 3, "--epochs", 2, "--max-len", 30,
                   "--near-duplicates", "off", "--invented-words", "off", "--keep-copies", "train", "valid",
                   "--most-tries", 200, "--allow-fewer")  # fmt: skip
    assert done.returncode in VERDICTS, done.stdout[-2000:] + done.stderr[-2000:]
    assert any(line.startswith(VERDICTS[done.returncode]) for line in done.stdout.split("\n"))
    assert "WARNING: a typical label" not in done.stdout  # that is of models from scratch
    assert Manifest.load(to / "data-from-small").codec == "gpt2"
    (run,) = to.glob("gamma-*-from-small")
    trained = torch.load(run / "checkpoints" / "checkpoint_best.pt", weights_only=True)
    assert trained["cfg"]["model"]["n_embd"] == json.loads((gpt2 / "config.json").read_text())["n_embd"]
    assert (run / "augmented" / "train.tsv").is_file() and (run / "augmented" / "report.html").is_file()
    log = (run / "checkpoints" / "train.log").read_text()
    assert '"valid_best_loss"' in log  # what the line of a validation goes by after a kill
