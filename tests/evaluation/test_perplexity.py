"""Perplexity is a plain loop's, and transformers', for every window; nothing damaged passes for a number."""

import math

import numpy as np
import pytest
import torch

from fairseq_plugin.core import logits_in_pieces
from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.perplexity import score_windows, stream_perplexity
from fairseq_plugin.evaluation.windows import cut
from tests.evaluation.made_text import tiny_gpt2
from tests.reference.language_model_metrics import teacher_forced

CUTS = [(64, 0), (17, 0), (32, 16), (24, 23), (64, 1)]


@pytest.fixture(scope="module")
def gpt2(text):
    return tiny_gpt2(text)


@pytest.mark.parametrize(("window", "context"), CUTS)
def test_it_is_what_a_plain_loop_gives(gpt2, text, window, context):
    stream = text.stream[:150]
    rows = teacher_forced(gpt2, stream.tolist(), window, context, end=2)
    nll, num_tokens = stream_perplexity(gpt2, stream, window, context, batch=3)
    assert num_tokens == len(rows) == 150
    assert nll == pytest.approx(sum(row[0] for row in rows), rel=1e-6)


@pytest.mark.parametrize(("window", "context"), CUTS[:3])
def test_every_position_has_the_loops_arg_max_and_rank(gpt2, text, window, context):
    stream = text.stream[:100]
    rows = teacher_forced(gpt2, stream.tolist(), window, context, end=2)
    scores = [
        one for batch in score_windows(gpt2, stream, cut(100, window, context), batch=4) for one in batch
    ]
    assert np.concatenate([one.predicted_N for one in scores]).tolist() == [row[1] for row in rows]
    assert np.concatenate([one.rank_N for one in scores]).tolist() == [row[2] for row in rows]
    assert np.concatenate([one.nll_N for one in scores]) == pytest.approx([row[0] for row in rows], rel=1e-4)


@pytest.mark.parametrize(("window", "context"), CUTS[:3])
def test_the_batch_does_not_matter(gpt2, text, window, context):
    sums = [stream_perplexity(gpt2, text.stream, window, context, batch=batch)[0] for batch in (1, 3, 8, 32)]
    assert sums == pytest.approx([sums[0]] * 4, rel=1e-6)


@pytest.mark.parametrize(("window", "context"), [(64, 0), (24, 8)])
def test_it_is_transformers_on_the_same_tokens_and_windows(text, window, context):
    """Windows after the sliding recipe of transformers' documentation, on the stream with its first end."""
    from tests.reference.gpt2_reference import pair

    ours, theirs = pair(seed=2, vocab_size=len(text.symbols), n_positions=64, n_layer=2)
    stream = text.stream[:400]
    source = torch.tensor([2, *stream.tolist()])
    total, end_before = 0.0, 0
    for begin in range(0, len(stream), window - context):
        end = min(begin + window - context, len(stream))
        first = max(0, begin - context)
        inputs = source[first : end + 1]
        labels = inputs.clone()
        labels[: begin - first + 1] = -100
        with torch.no_grad():
            loss = theirs(inputs[:-1].unsqueeze(0)).logits[0]
        picked = torch.nn.functional.cross_entropy(loss, labels[1:], ignore_index=-100, reduction="sum")
        total, end_before = total + picked.item(), end
    assert end_before == len(stream)
    nll, num_tokens = stream_perplexity(ours, stream, window, context)
    assert math.exp(nll / num_tokens) == pytest.approx(math.exp(total / len(stream)), rel=1e-4)


def test_a_model_that_knows_nothing_has_the_vocabulary_as_perplexity(text):
    gpt2 = tiny_gpt2(text, scale=0.0)
    nll, num_tokens = stream_perplexity(gpt2, text.stream, 64)
    assert math.exp(nll / num_tokens) == pytest.approx(
        len(text.symbols) - 3, rel=1e-6
    )  # <s> <pad> <unk> are banned


def test_bfloat16_is_near(text, gpt2):
    low = GPT2(gpt2.config, torch.bfloat16).eval()
    low.load_state_dict(gpt2.state_dict())
    low.banned = gpt2.banned
    assert stream_perplexity(low, text.stream, 64)[0] == pytest.approx(
        stream_perplexity(gpt2, text.stream, 64)[0], rel=0.02
    )
    assert stream_perplexity(low, text.stream, 64)[0] != stream_perplexity(gpt2, text.stream, 64)[0]


def test_nan_stops_and_names_the_window(text):
    gpt2 = tiny_gpt2(text)
    with torch.no_grad():
        gpt2.wpe.weight[10] = math.nan  # windows of 11 tokens and more reach it
    with pytest.raises(UserError, match=r"window 0 \(tokens 0 to 15\).*not finite"):
        stream_perplexity(gpt2, text.stream[:40], 16)
    windows = [*cut(20, 10), *cut(40, 16)[1:2]]
    with pytest.raises(UserError, match=r"window 2 \(tokens 16 to 31\).*not finite"):
        list(score_windows(gpt2, text.stream[:40], windows, batch=8))


@pytest.mark.parametrize(
    ("token", "words"),
    [(1, "never gets any probability"), (10**6, "do not belong together"), (-1, "do not belong")],
)
def test_tokens_that_the_model_cannot_score_are_refused(text, gpt2, token, words):
    stream = text.stream[:50].copy()
    stream[33] = token
    with pytest.raises(UserError, match=f"token 33 .*{words}"):
        stream_perplexity(gpt2, stream, 16)


def test_a_window_longer_than_the_model_is_refused(text, gpt2):
    with pytest.raises(UserError, match="--window 64 or less"):
        stream_perplexity(gpt2, text.stream, 65)


def test_no_windows_are_refused(text, gpt2):
    with pytest.raises(UserError, match="nothing to evaluate"):
        list(score_windows(gpt2, text.stream, [], batch=1))


def test_a_long_vocabulary_is_scored_in_pieces(monkeypatch, text, gpt2):
    whole = stream_perplexity(gpt2, text.stream[:200], 50)[0]
    monkeypatch.setitem(logits_in_pieces._LOGITS_AT_ONCE, "cpu", 7 * gpt2.config.vocab_size)
    assert stream_perplexity(gpt2, text.stream[:200], 50)[0] == pytest.approx(whole, rel=1e-6)
