"""Tables through the stock commands: train, nats by column, rows that are rows, whatever the batch."""

import csv
import json
import re
from types import SimpleNamespace

import pytest

from fairseq_plugin.tables.model import TableModel
from fairseq_plugin.tables.prepare import prepare_table
from fairseq_plugin.tables.request import TableRequest
from fairseq_plugin.tables.writing import write_table
from tests.pipeline.open_ended import in_process
from tests.tables.made_rare_texts import num_rare_cells, prepared_in
from tests.tables.made_tables import MIXED, mixed_rows

MODEL = (
    "--task table_rows --arch gpt2_tiny --n-layer 1 --n-embd 32 --n-head 2 --n-positions 256 --place-bumps 4 "
    "--value-bumps 2 --no-own-rows --marginal-bias --criterion scale_grad --gamma 1 --optimizer fused_adamw "
    "--lr 0.003 --lr-scheduler inverse_sqrt --warmup-updates 20 --clip-norm 1 --batch-size 32 --seed 3 --cpu "
    "--num-workers 0 --log-format json --no-progress-bar --no-epoch-checkpoints"
).split()
DRAW = ("--sampling", "--beam", 1, "--nbest", 1)


@pytest.fixture(scope="module", params=["fixed", "random"])
def learnt(request, tmp_path_factory, run_stock):
    """A table and a model that has seen it once: its rows must be rows all the same."""
    folder = tmp_path_factory.mktemp("table")
    write_table(folder / "table.csv", MIXED, mixed_rows(300), "csv")
    wanted = TableRequest(
        str(folder / "table.csv"), str(folder / "data"), target="count", rare=2, order=request.param
    )
    prepare_table(wanted)
    run_stock("fairseq-train", folder / "data", *MODEL, "--max-epoch", 1, "--save-dir", folder / "model")
    path = folder / "model" / "checkpoint_best.pt"
    return SimpleNamespace(data=folder / "data", path=path, order=request.param)


def call(learnt, command, *words, **options):
    given = ("--task", "table_rows", "--path", learnt.path, "--cpu", *words)
    return in_process(command, learnt.data, *given, **options)


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_rows_are_rows_whatever_the_batch(learnt, tmp_path):
    found = {}
    for size in (8, 64):
        call(
            learnt, "generate", "--gen-subset", "rows", "--num-rows", 40, "--batch-size", size, *DRAW,
            "--results-path", tmp_path / str(size), "--seed", 5,
        )  # fmt: skip
        found[size] = read_rows(tmp_path / str(size) / "rows.csv")
    assert found[8] == found[64]
    header, *rows = found[8]
    assert header == list(MIXED) and len(rows) == 40
    for number, row in enumerate(rows):
        assert row[0] == f"u{number + 300:04d}"
        assert row[1] in ("a", "b", "c", "d", "a,b") and row[6] in ("yes", "no") and row[7] == "EU"
        assert row[2] == "" or 1 <= float(row[2]) <= 1000
        assert 10 <= int(row[3]) <= 34


@pytest.mark.slow
def test_shards_and_later_runs_give_the_rows_of_one_run(learnt, tmp_path):
    def drawn(file, *words):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        given = ("--gen-subset", "rows", "--batch-size", 8, *DRAW, "--results-path", folder, "--seed", 5)
        call(learnt, "generate", *given, *words)
        header, *rows = read_rows(folder / file)
        assert header == list(MIXED)
        return rows

    rows = drawn("rows.csv", "--num-rows", 20)
    assert drawn("rows.csv", "--num-rows", 13, "--first-row", 7) == rows[7:]
    shards = ("--num-rows", 20, "--distributed-world-size", 2, "--distributed-rank")
    parts = [drawn(f"rows-{rank}-of-2.csv", *shards, rank) for rank in (0, 1)]
    assert all(parts) and sorted(parts[0] + parts[1]) == sorted(rows)


def test_no_rare_text_is_written_and_rows_are_those_of_python(run_stock, tmp_path):
    data, _ = prepared_in(tmp_path)
    path = tmp_path / "model" / "checkpoint_best.pt"
    run_stock("fairseq-train", data, *MODEL, "--max-epoch", 1, "--save-dir", path.parent)
    drawn = TableModel.load(path, data).sample(40, seed=5)
    assert drawn.num_redrawn > 0 and num_rare_cells(drawn.rows) == [0, 0, 0]
    for size in (8, 64):
        call(
            SimpleNamespace(data=data, path=path), "generate", "--gen-subset", "rows", "--num-rows", 40,
            "--batch-size", size, *DRAW, "--results-path", tmp_path / str(size), "--seed", 5,
        )  # fmt: skip
        assert read_rows(tmp_path / str(size) / "rows.csv")[1:] == drawn.rows


def test_nats_are_told_by_column(learnt, tmp_path):
    words = ("--gen-subset", "valid", "--batch-size", 16, "--results-path", tmp_path)
    told = call(learnt, "eval_lm", *words)
    stated = json.loads((tmp_path / "nats.json").read_text())
    assert next(iter(stated["columns"])) == "count" and stated["rows"] == 30
    assert stated["nats_per_row"] == pytest.approx(sum(stated["columns"].values()))
    assert "Nats per row | count" in told
    # The stock command's own number is that of the allowed symbols, too: bits per token.
    tokens = json.loads((learnt.data / "manifest.json").read_text())["splits"]["valid"]["tokens"]
    (line,) = [line for line in told.split("\n") if "Loss (base 2)" in line]
    bits = float(line.split("Loss (base 2): ")[1].split(",")[0])
    assert bits == pytest.approx(stated["nats_per_row"] * 30 / 0.6931472 / tokens, abs=2e-4)


def test_given_cells_stay(learnt, capfd):
    printed = call(learnt, "interactive", *DRAW, stdin="count=21\n\ncount=12\n")
    lines = [line.split("\t", 2)[2] for line in printed.split("\n") if line[:2] == "D-"]
    rows = [next(csv.reader([line])) for line in lines]
    assert [rows[0][3], rows[2][3]] == ["21", "12"]
    if learnt.order == "random":
        assert ",yes,EU" in call(learnt, "interactive", *DRAW, stdin="member=yes\n")
    else:
        call(learnt, "interactive", *DRAW, stdin="member=yes\n")
        assert "'count'; prepare the table with --order random" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("count=x", "column 'count'.*'x'"),
        ("size=1", "no column 'size'"),
        ("same=EU", "constant"),
        ("count", "NAME=CELL"),
    ],
)
def test_what_cannot_be_given_is_named_and_the_session_goes_on(learnt, line, words, capfd):
    printed = call(learnt, "interactive", *DRAW, stdin=f"{line}\n\n")
    assert re.search(f"error: line 0 .*{words}", capfd.readouterr().err)
    assert re.findall(r"^D-(\d)", printed, re.M) == ["1"]


def test_what_makes_no_sense_is_refused(learnt, run_stock, one_line_error, tmp_path):
    with pytest.raises(SystemExit, match="--sampling"):
        call(learnt, "generate", "--gen-subset", "rows")
    with pytest.raises(SystemExit, match="--num-rows 0"):
        call(learnt, "generate", "--gen-subset", "rows", *DRAW, "--num-rows", 0)
    if learnt.order == "fixed":
        small = ("--n-positions", 8, "--save-dir", tmp_path)
        one_line_error(run_stock("fairseq-train", learnt.data, *MODEL, *small, check=False), "--n-positions")
