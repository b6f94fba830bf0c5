"""``--task open_ended_generation`` under ``fairseq-eval-lm`` and ``-validate``: fairseq's numbers."""

import math
import re

import pytest
import torch

from tests.pipeline.open_ended import in_process

pytestmark = pytest.mark.slow  # each starts trainings of its own


@pytest.fixture
def evaluate(text, learnt, monkeypatch):
    """``evaluate(words...)``: (loss in bits, tokens scored) of the stock ``fairseq-eval-lm``, unrounded."""
    import fairseq_cli.eval_lm as command

    real, kept = command.eval_lm, []

    def keep(**arguments):
        arguments["batch_iterator"] = counted(arguments["batch_iterator"])
        kept.append(float(real(**arguments)["loss"]))
        return {"loss": torch.tensor(kept[-1]), "perplexity": torch.tensor(2 ** kept[-1])}

    def counted(batches):
        for batch in batches:
            kept.append(batch.get("ntokens", 0))
            yield batch

    def run(*words):
        kept.clear()
        with monkeypatch.context() as patched:
            patched.setattr(command, "eval_lm", keep)
            in_process(
                "eval_lm", text.folder, "--path", learnt.checkpoint, "--gen-subset", "valid",
                "--tokens-per-sample", 32, "--cpu", *words,
            )  # fmt: skip
        return kept[-1], sum(kept[:-1])

    return run


OURS = ("--task", "open_ended_generation")
STOCK = ("--task", "language_modeling")


def test_perplexity_is_that_of_language_modeling(evaluate, text):
    """Same checkpoint, same text; workers and batch sizes change nothing."""
    from fairseq_plugin.corpus.folder import read_stream

    expected = evaluate(*STOCK, "--num-workers", 0)
    assert expected[1] == len(read_stream(text.folder, "valid"))
    for options in (["--batch-size", 1], ["--batch-size", 7, "--num-workers", 2]):
        loss, tokens = evaluate(*OURS, *options)
        assert tokens == expected[1] and loss == pytest.approx(expected[0], rel=1e-6)


def test_perplexity_equals_a_plain_loop(evaluate, text, learnt):
    from fairseq import checkpoint_utils

    from fairseq_plugin.corpus.folder import item_sizes, read_stream

    models, _, _ = checkpoint_utils.load_model_ensemble_and_task(
        [str(learnt.checkpoint)], arg_overrides={"data": str(text.folder)}
    )
    model, stream = models[0].eval().double(), read_stream(text.folder, "valid")
    starts = {0, *item_sizes(text.folder, "valid").cumsum().tolist()}  # fairseq begins with </s> there
    nll = 0.0
    for begin in range(0, len(stream), 32):
        block = stream[begin : begin + 32].tolist()
        before = 2 if begin in starts else int(stream[begin - 1])
        with torch.no_grad():
            logprobs = model(torch.tensor([[before, *block[:-1]]]))[0][0].log_softmax(-1)
        nll -= logprobs[torch.arange(len(block)), block].sum().item()
    assert evaluate(*OURS)[0] == pytest.approx(nll / len(stream) / math.log(2), rel=1e-6)


def test_a_sliding_window_gives_one_number_for_any_workers_and_shards(evaluate):
    """That of fairseq in a single process, which gives others with workers or shards."""
    window = ("--context-window", 12)
    expected, tokens = evaluate(*STOCK, *window, "--num-workers", 0)
    for options in (["--batch-size", 1], ["--batch-size", 5, "--num-workers", 2]):
        assert evaluate(*OURS, *window, *options) == pytest.approx((expected, tokens), rel=1e-6)
    parts = [
        evaluate(*OURS, *window, "--num-shards", 3, "--shard-id", shard, "--batch-size", 4)
        for shard in range(3)
    ]
    assert sum(count for _, count in parts) == tokens
    assert sum(loss * count for loss, count in parts) / tokens == pytest.approx(expected, rel=1e-6)


def test_validation_leaves_no_block_out(text, learnt):
    """fairseq drops what is left of a batch beyond a multiple of eight."""
    from fairseq_plugin.corpus.folder import read_stream

    printed = in_process(
        "validate", text.folder, *OURS, "--path", learnt.checkpoint, "--valid-subset", "valid", "--cpu",
        "--criterion", "scale_grad", "--batch-size", 16, "--log-format", "json",
    )  # fmt: skip
    num_blocks = math.ceil(len(read_stream(text.folder, "valid")) / 32)
    assert num_blocks % 16 % 8, "a multiple of eight would show nothing"
    counted = float(re.search(r"\"valid_bsz\": \"([\d.]+)", printed)[1])
    assert counted == num_blocks  # over all batches


@pytest.mark.parametrize("words", [("--tokens-per-sample", 65), ("--sample-break-mode", "eos")])
def test_a_block_beyond_the_positions_is_refused(evaluate, tmp_path, words):
    """eval-lm would leave it out and print a number over the rest."""
    with pytest.raises(SystemExit, match="left out.*--tokens-per-sample 64"):
        evaluate(*OURS, *words)


def test_a_window_that_leaves_no_block_is_refused(evaluate):
    with pytest.raises(SystemExit, match="--context-window"):
        evaluate(*OURS, "--context-window", 32)
