"""Tables from a GPT-2's weights through the stock commands: prepare, train, go on, evaluate, draw."""

import csv
import json
from types import SimpleNamespace

import pytest
import torch

from fairseq_plugin.pretrained.checkpoint_weights import NETWORK_PREFIX
from fairseq_plugin.pretrained.tensor_files import SAFETENSORS
from fairseq_plugin.tables.manifest import TableManifest, load_code
from fairseq_plugin.tables.writing import write_table
from tests.pipeline.open_ended import in_process
from tests.reference.gpt2_reference import TRANSPOSED
from tests.tables.made_gpt2 import made_gpt2
from tests.tables.made_tables import MIXED, mixed_rows

MODEL = (
    "--task table_rows --arch gpt2 --criterion scale_grad --gamma 1 --optimizer fused_adamw "
    "--lr-scheduler fixed --clip-norm 1 --batch-size 32 --seed 3 --cpu --num-workers 0 --log-format json "
    "--no-progress-bar"
).split()
DRAW = ("--sampling", "--beam", 1, "--nbest", 1)


@pytest.fixture(scope="module")
def started(tmp_path_factory, run_script, run_stock):
    """A table and a model that is its GPT-2 still: nothing has been learnt."""
    folder = tmp_path_factory.mktemp("table")
    made_gpt2(folder / "gpt2")
    write_table(folder / "table.csv", MIXED, mixed_rows(100), "csv")
    told = run_script(
        "prepare_table.py", folder / "table.csv", "--to", folder / "data", "--target", "count", "--rare", 2,
        "--order", "random", "--from", folder / "gpt2",
    )  # fmt: skip
    assert "tokens" in told.stdout
    words = ("--max-epoch", 1, "--lr", 0, "--save-dir", folder / "model")
    start = ("--pretrained-model", folder / "gpt2")
    done = run_stock("fairseq-train", folder / "data", *MODEL, *words, *start)
    path = folder / "model" / "checkpoint_best.pt"
    return SimpleNamespace(folder=folder, data=folder / "data", path=path, told=done.stdout + done.stderr)


def call(started, command, *words):
    given = ("--task", "table_rows", "--path", started.path, "--cpu", *words)
    return in_process(command, started.data, *given)


def test_training_starts_from_the_weights_and_the_means_of_what_symbols_stand_for(started):
    theirs = safe_tensors(started.folder / "gpt2")
    ours = torch.load(started.path, weights_only=True)["model"]
    wte = theirs["wte.weight"]
    for name, value in theirs.items():
        if name != "wte.weight":
            value = value.t() if name.endswith(TRANSPOSED) else value
            assert torch.equal(ours[NETWORK_PREFIX + name], value), name
    code = load_code(started.data, TableManifest.load(started.data))
    found = ours[NETWORK_PREFIX + "wte.weight"]
    grade = code.names.index("grade")
    for cell, text in (("a", " a"), ("a,b", " a,b"), ("d", " d")):
        symbol = code.encode_cell(grade, cell)[-1]
        expected = torch.stack([wte[token] for token in code.codec.encode(text)]).mean(0)
        torch.testing.assert_close(found[symbol], expected)
    note = code.encode_cell(code.names.index("note"), "good and")[1:]
    tokens = [*code.codec.encode("good and"), code.codec.end_id]
    assert torch.equal(found[note], wte[tokens])
    assert torch.equal(found[2], wte[code.codec.end_id]) and (found[[0, 1, 3]] == 0).all()
    assert "symbols begin at a token's embedding" in started.told


def safe_tensors(folder):
    from safetensors.torch import load_file

    return {name.removeprefix("transformer."): one for name, one in load_file(folder / SAFETENSORS).items()}


def test_rows_of_it_are_rows_whatever_the_batch(started, tmp_path):
    found = {}
    for size in (8, 64):
        words = ("--gen-subset", "rows", "--num-rows", 20, "--batch-size", size, *DRAW, "--seed", 5)
        call(started, "generate", *words, "--results-path", tmp_path / str(size))
        with open(tmp_path / str(size) / "rows.csv", newline="", encoding="utf-8") as stream:
            found[size] = list(csv.reader(stream))
    assert found[8] == found[64] and len(found[8]) == 21
    code = load_code(started.data, TableManifest.load(started.data))
    assert all(code.encode(row) for row in found[8][1:])
    call(started, "eval_lm", "--gen-subset", "valid", "--batch-size", 8, "--results-path", tmp_path)
    stated = json.loads((tmp_path / "nats.json").read_text())
    assert stated["nats_per_row"] == pytest.approx(sum(stated["columns"].values()))
    assert "note" in stated["columns"]


def test_what_was_interrupted_ends_as_what_was_not(started, run_stock, tmp_path):
    """The folder of the GPT-2 is not read again: a checkpoint has it all."""

    def train(to, epochs, *words):
        given = ("--lr", 0.001, "--max-epoch", epochs, "--save-dir", tmp_path / to, "--no-epoch-checkpoints")
        run_stock("fairseq-train", started.data, *MODEL, *given, *words)
        return torch.load(tmp_path / to / "checkpoint_last.pt", weights_only=True)["model"]

    start = ("--pretrained-model", started.folder / "gpt2")
    whole = train("whole", 2, *start)
    train("parts", 1, *start)
    parts = train("parts", 2, *start)
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


def test_vocabularies_that_do_not_go_together_are_refused(
    started, run_script, run_stock, one_line_error, tmp_path
):
    table, gpt2 = started.folder / "table.csv", started.folder / "gpt2"
    run_script("prepare_table.py", table, "--to", tmp_path / "own", "--rare", 2)
    words = ("--lr", 0, "--save-dir", tmp_path / "m", "--max-epoch", 1)
    start = ("--pretrained-model", gpt2)
    done = run_stock("fairseq-train", tmp_path / "own", *MODEL, *words, *start, check=False)
    one_line_error(done, "--pretrained-model", "vocabulary of its own", f"prepare_table.py --from {gpt2}")
    done = run_script("prepare_table.py", table, "--to", tmp_path / "x", "--from", tmp_path, check=False)
    one_line_error(done, "config.json", "name a complete Hugging Face GPT-2 folder")
    # Without weights the same vocabulary is learnt from nothing.
    sizes = ("--n-layer", 1, "--n-embd", 16, "--n-head", 2)
    run_stock("fairseq-train", started.data, *MODEL, *words, *sizes)
