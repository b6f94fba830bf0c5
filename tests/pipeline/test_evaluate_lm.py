"""``scripts/evaluate_lm.py`` on checkpoints of the stock commands: exact, and clear about what it refuses."""

import importlib.util
import json
import re

import pytest

from fairseq_plugin.evaluation.completion import Protocol
from fairseq_plugin.evaluation.run import Request, evaluate
from tests.evaluation.made_text import write_folder

MODEL = (
    "--task language_modeling --tokens-per-sample 64 --sample-break-mode none --arch gpt2_tiny --n-layer 2 "
    "--n-embd 32 --n-head 2 --n-positions 64 --criterion cross_entropy --optimizer adam --lr 0.003 "
    "--max-tokens 512 --seed 3 --cpu --num-workers 0 --no-progress-bar --log-format simple"
).split()
SHORT = ["--prefix-tokens", 16, "--new-tokens", 24, "--resamples", 100]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("text") / "made")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, made, run_stock):
    folder = tmp_path_factory.mktemp("run")
    run_stock("fairseq-train", made, *MODEL, "--save-dir", folder, "--max-update", 60)
    return folder / "checkpoint_best.pt"


@pytest.fixture(scope="module")
def script(repo_root):
    """``main`` of the script, in this process."""
    spec = importlib.util.spec_from_file_location("evaluate_lm", repo_root / "scripts" / "evaluate_lm.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *words: module.main([str(word) for word in words])


@pytest.mark.slow
@pytest.mark.parametrize(("window", "context"), [(64, 0), (48, 20)])
def test_perplexity_is_that_of_fairseq_eval_lm(made, checkpoint, run_stock, window, context):
    done = run_stock(
        "fairseq-eval-lm", made, "--path", checkpoint, "--gen-subset", "test", "--task", "language_modeling",
        "--sample-break-mode", "none", "--tokens-per-sample", window, "--context-window", context,
        "--batch-size", 4, "--cpu", "--num-workers", 0, "--no-progress-bar",
    )  # fmt: skip
    loss = float(
        re.search(r"Loss \(base 2\): ([0-9.]+)", done.stdout + done.stderr)[1]
    )  # four digits are printed
    request = Request(
        [str(checkpoint)], data=str(made), mode="single-token", window=window, context=context, resamples=0,
        batch_size=5,
    )  # fmt: skip
    found = evaluate(request).single_token.columns[0].values["ppl"]
    assert found == pytest.approx(2**loss, rel=1e-4)
    assert 5 < found < 250


@pytest.mark.slow
def test_continuations_are_those_of_fairseq_generate(made, checkpoint, run_stock, tmp_path):
    run_stock(
        "fairseq-generate", made, "--task", "open_ended_generation", "--path", checkpoint, "--gen-subset",
        "test", "--prefix-tokens", 16, "--max-len-b", 24, "--sampling", "--sampling-topk", 5, "--beam", 1,
        "--seed", 7, "--results-path", tmp_path, "--cpu", "--num-workers", 0, "--batch-size", 16,
    )  # fmt: skip
    request = Request(
        [str(checkpoint)], [f"stock={tmp_path / 'generate-test.txt'}"], str(made), mode="completion",
        decoding="top-k=5", protocol=Protocol(16, 24, seed=7), resamples=0,
    )  # fmt: skip
    ours, stock, human = evaluate(request).completion.columns
    assert ours.values == stock.values != human.values
    assert ours.values["tokens"] == human.values["tokens"] > 1000


@pytest.mark.slow
def test_two_checkpoints_in_one_table_and_again_from_what_is_saved(
    made, checkpoint, run_script, script, capsys, tmp_path
):  # fmt: skip
    last = checkpoint.with_name("checkpoint_last.pt")
    words = [
        f"best={checkpoint}",
        f"last={last}",
        "--data",
        made,
        "--to",
        tmp_path / "to",
        *SHORT,
        "--threads",
        1,
    ]
    words += ["--decoding", "greedy,beam=3:block=3", "--max-prefixes", 30]
    shown = run_script("evaluate_lm.py", *words).stdout
    for heading in ("best greedy", "last beam=3:block=3", "human", "last greedy - best greedy"):
        assert f" {heading} " in shown
    stated = json.loads((tmp_path / "to" / "results.json").read_text())
    assert stated["completion"]["systems"]["best beam=3:block=3"]["metrics"]["seq-rep-3"]["value"] == 0.0
    saved = {file: file.read_bytes() for file in (tmp_path / "to" / "completions").iterdir()}
    assert len(saved) == 4
    script(*words)
    assert capsys.readouterr().out == shown
    assert {file: file.read_bytes() for file in saved} == saved


@pytest.mark.slow
def test_bfloat16_says_nearly_the_same(made, checkpoint, script, capsys, tmp_path):
    found = {}
    for dtype in ("fp32", "bf16"):
        words = [checkpoint, "--data", made, "--modes", "single-token", "--compute-dtype", dtype]
        script(*words, "--to", tmp_path / dtype)
        stated = json.loads((tmp_path / dtype / "results.json").read_text())
        found[dtype] = stated["single_token"]["systems"]
    first, second = (next(iter(systems.values()))["metrics"]["ppl"]["value"] for systems in found.values())
    assert first == pytest.approx(second, rel=0.01) and first != second
    capsys.readouterr()


def test_files_of_continuations_need_no_model(made, script, capsys, tmp_path):
    (tmp_path / "theirs.txt").write_text("a dog sat on the mat and a dog sat on the mat\nthe cat ran\n")
    script("--continuations", tmp_path / "theirs.txt", "--codec-path", made)
    shown = capsys.readouterr().out
    assert "seq-rep-4 (words)" in shown and "theirs" in shown


@pytest.mark.slow
def test_what_is_wrong_is_said_in_one_line(made, checkpoint, script, run_script, one_line_error, tmp_path):
    one_line_error(run_script("evaluate_lm.py", check=False), "nothing to evaluate")
    for words, message in (
        ([checkpoint], "--data"),
        ([checkpoint, "--data", made, "--split", "dev"], "--split dev: .*train, valid, test"),
        ([checkpoint, "--data", made, "--modes", "completion"], "--prefix-tokens 50 .*64 positions"),
        ([tmp_path / "no.pt", "--data", made], "there is no checkpoint"),
        ([checkpoint, "--data", made, "--device", "cuda:99"], "--device cuda:99"),
        ([checkpoint, "--data", made, "--threads", 0], "--threads 0"),
        ([checkpoint, "--data", made, "--mauve", tmp_path / "none", *SHORT], "--mauve"),
    ):
        with pytest.raises(SystemExit, match=f"error: .*{message}"):
            script(*words)
