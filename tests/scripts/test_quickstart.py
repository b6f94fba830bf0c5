"""quickstart.sh: one command from a labelled file to an augmented set; again, to go on."""

import csv
from collections import Counter

import pytest

THINGS = ("boxes", "lamps", "shoes", "chairs", "pens", "cards")


@pytest.fixture
def own_data(tmp_path):
    """Somebody's CSV, with its columns in another order and no validation file."""
    folder = tmp_path / "mine"
    folder.mkdir()
    with open(folder / "train.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["label", "sentence"])
        for number in range(120):
            thing, gift = THINGS[number % 6], THINGS[number // 6 % 6]
            writer.writerow(["spam", f"Buy {number} {thing}, and get {gift} free!"])
            writer.writerow(["ham", f"I left {thing} and {gift} at {number} Hill Road, she said."])
    return folder


@pytest.mark.slow
def test_quickstart_runs_on_own_data_and_again(ready, shell, own_data, tmp_path):
    words = ("--data", own_data, "--to", tmp_path / "out", "--epochs", 40, "--samples", 40, "--allow-fewer")
    done = shell("quickstart.sh", *words)
    assert done.returncode == 4, done.stdout[-3000:] + done.stderr[-3000:]
    run = tmp_path / "out" / "gamma-0.5-seed-1"
    before_the_end = done.stdout.split("\nDone in")[0]
    verdict = before_the_end.split("\n")[-1]  # before everything that looks like success
    assert verdict.startswith("No gain: ")  # the real rows alone are enough to tell spam from ham
    assert (run / "augmented" / "report.html").read_text("utf-8").startswith("<!")
    with open(run / "augmented" / "train.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["label", "sentence"]
    assert all(0 < count <= 40 for count in Counter(label for label, _ in rows[1:]).values())
    for command in (
        "prepare_labelled.py",
        "fairseq-train",
        "fairseq-eval-lm",
        "generate.py",
        "judge_agreement.py",
        "verdict.py",
        "report.py",
    ):
        assert f"{command} " in done.stdout  # each command is shown, for copying
    assert str(run / "augmented" / "report.html") in done.stdout
    checkpoint = (run / "checkpoints" / "checkpoint_best.pt").read_bytes()
    samples = (run / "augmented" / "train.csv").read_bytes()

    again = shell("quickstart.sh", *words)

    assert again.returncode == 4, again.stdout[-3000:] + again.stderr[-3000:]
    assert "epoch 41:" not in again.stdout
    assert (run / "checkpoints" / "checkpoint_best.pt").read_bytes() == checkpoint
    assert (run / "augmented" / "train.csv").read_bytes() == samples


@pytest.mark.slow
def test_an_error_of_a_stock_command_is_the_last_line(ready, shell, own_data, tmp_path):
    done = shell("quickstart.sh", "--data", own_data, "--to", tmp_path / "out", "--gamma", "1.5")
    assert done.returncode == 1
    assert done.stderr.rstrip("\n").split("\n")[-1].startswith("error: --gamma 1.5")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--data", "/no/such/folder"), "error: --data /no/such/folder is not a folder\n"),
        (("--data", "{empty}"), "error: --data {empty} holds no train.tsv, train.csv or train.jsonl\n"),
        (
            ("--data", "{two}"),
            "error: --data {two} holds {two}/train.tsv {two}/train.csv: keep one of them\n",
        ),
        (("--gamma",), "error: --gamma needs a value; see --help\n"),
        (("--samples", "many"), "error: --samples many must be a whole number, at least 1\n"),
        (("--epochs", "0"), "error: --epochs 0 must be a whole number, at least 1\n"),
        (("--seed", "-1"), "error: --seed -1 must be a whole number, at least 0\n"),
        (("--gamma", "half"), "error: --gamma half must be a number above 0\n"),
        (("--epoch", "3"), "error: unknown option '--epoch'; see bash scripts/quickstart.sh --help\n"),
    ],
)
def test_a_mistake_gives_one_line_before_anything_is_done(shell, tmp_path, words, error):
    folders = {name: tmp_path / name for name in ("empty", "two")}
    for folder in folders.values():
        folder.mkdir()
    for ending in ("tsv", "csv"):
        (folders["two"] / f"train.{ending}").write_text("")
    done = shell("quickstart.sh", *(word.format(**folders) for word in words))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", error.format(**folders))
