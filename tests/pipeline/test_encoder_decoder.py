"""Directed generation: a stock encoder-decoder learns to summarise by the stock commands and our losses."""

import json
import random

import pytest

TINY = (
    "--task translation --arch transformer --encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 32 "
    "--decoder-embed-dim 32 --encoder-ffn-embed-dim 64 --decoder-ffn-embed-dim 64 "
    "--encoder-attention-heads 2 --decoder-attention-heads 2 --dropout 0 --source-lang text "
    "--target-lang summary --optimizer adam --lr 0.01 --clip-norm 1.0 --max-tokens 1000 --max-epoch 6 "
    "--seed 1 --cpu --num-workers 0 --no-epoch-checkpoints --log-format json --log-interval 1000 "
    "--no-progress-bar"
).split()


def write_pairs(folder, split, num_rows, seed):
    """Texts of words and fillers; the summary names the first, the most frequent and the last word."""
    numbers = random.Random(seed)
    texts, summaries = [], []
    for _ in range(num_rows):
        words = [f"w{numbers.randrange(12)}" for _ in range(numbers.randint(5, 9))]
        often = max(sorted(set(words)), key=words.count)
        summaries.append(f"first {words[0]} often {often} last {words[-1]}")
        texts.append(" ".join(word + " of" * numbers.randrange(2) for word in words))
    (folder / f"{split}.text").write_text("\n".join(texts) + "\n", "utf-8")
    (folder / f"{split}.summary").write_text("\n".join(summaries) + "\n", "utf-8")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, run_stock):
    """Texts and summaries, made into data by ``fairseq-preprocess``."""
    folder = tmp_path_factory.mktemp("pairs")
    for seed, (split, num_rows) in enumerate({"train": 400, "valid": 60, "test": 20}.items()):
        write_pairs(folder, split, num_rows, seed)
    prefixes = [word for split in ("train", "valid", "test") for word in (f"--{split}pref", folder / split)]
    run_stock(
        "fairseq-preprocess", "--source-lang", "text", "--target-lang", "summary", *prefixes,
        "--destdir", folder / "data", "--workers", 1, user_dir=None,
    )  # fmt: skip
    return folder / "data"


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [("scale_grad", "--gamma", 0.5), ("unlikelihood", "--alpha", 0.5), ("contrastive_token",)],
    ids=["scale_grad", "unlikelihood", "contrastive_token"],
)
def test_a_stock_transformer_learns_to_summarise(pairs, run_stock, tmp_path, words):
    done = run_stock("fairseq-train", pairs, *TINY, "--save-dir", tmp_path, "--criterion", *words)
    lines = [line.partition("| INFO | valid | ")[2] for line in (done.stdout + done.stderr).split("\n")]
    valid = [json.loads(line) for line in lines if line]
    losses = [float(epoch["valid_loss"]) for epoch in valid]
    assert len(losses) == 6 and losses[-1] < 0.6 * losses[0]
    assert float(valid[-1]["valid_accuracy"]) > 0.6  # three of seven tokens are given away by their place
    assert {"valid_rep_16", "valid_human_rep_16", "valid_rank", "valid_uniq"} <= valid[-1].keys()
    # fairseq keeps this architecture's settings as an argparse.Namespace: the stock command reads it back.
    done = run_stock(
        "fairseq-generate", pairs, "--task", "translation", "--source-lang", "text", "--target-lang",
        "summary", "--path", tmp_path / "checkpoint_best.pt", "--beam", 2, "--required-batch-size-multiple",
        1, "--cpu", "--num-workers", 0,
    )  # fmt: skip
    summaries = [line.split("\t")[2] for line in done.stdout.split("\n") if line.startswith("H-")]
    assert len(summaries) == 20 and all(summary.startswith("first ") for summary in summaries)


@pytest.mark.slow
def test_sequence_level_unlikelihood_refuses_it_with_one_line(pairs, run_stock, tmp_path, one_line_error):
    words = ("--criterion", "unlikelihood", "--sequence-share", 0.5, "--save-dir", tmp_path)
    done = run_stock("fairseq-train", pairs, *TINY, *words, check=False)
    one_line_error(done, "--sequence-share 0.5", "encoder", "--sequence-share 0")
    assert not list(tmp_path.glob("checkpoint*.pt"))
