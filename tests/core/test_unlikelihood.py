"""Unlikelihood against its literal definition; see ``tests/reference/unlikelihood_oracle.py``."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.core.repeated_ngrams import mark_repeats, repeated_ngrams
from fairseq_plugin.core.unlikelihood_rule import SMALLEST_REST
from tests.core.losses import (
    fused_penalty_loss,
    fused_unlikelihood_loss,
    penalty_loss,
    unlikelihood_loss,
)
from tests.core.test_scale_grad import batches, example, gradient
from tests.reference.unlikelihood_oracle import dense_loss, literal_loss, literal_penalty, literal_repeats

PAD = 1
ALPHAS = st.sampled_from([0.0, 0.3, 1.0, 5.0])
MOST_NATS = -math.log(SMALLEST_REST)


def from_logits(hidden, weight, target, seen=None, **options):
    return unlikelihood_loss(
        hidden @ weight.t(), target, seen, **{"alpha": 0.7, "ignore_index": PAD} | options
    )


def fused(hidden, weight, target, seen=None, **options):
    options = {"alpha": 0.7, "ignore_index": PAD} | options
    return fused_unlikelihood_loss(hidden, weight, target, seen, **options)


def penalty(hidden, weight, target, seen=None, **options):
    return penalty_loss(hidden @ weight.t(), target, target != PAD)


def fused_penalty(hidden, weight, target, seen=None, **options):
    return fused_penalty_loss(hidden, weight, target, target != PAD, **options)


PATHS = pytest.mark.parametrize(
    "path", [from_logits, fused, penalty, fused_penalty], ids=["logits", "fused", "penalty", "fused_penalty"]
)
FUSED = pytest.mark.parametrize(("path", "plain"), [(fused, from_logits), (fused_penalty, penalty)])


# -- the definition -----------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(batches(), ALPHAS)
def test_loss_and_gradient_equal_the_literal_definition(batch, alpha):
    logits, target, seen = batch
    truth = literal_loss(logits.tolist(), target.tolist(), seen.tolist(), alpha, PAD)
    ours, dense = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    parts = unlikelihood_loss(ours, target, seen, alpha=alpha, ignore_index=PAD)
    assert abs(parts.loss.item() - truth["loss"]) <= 1e-12 * max(1.0, truth["loss"])
    assert abs(parts.nll.item() - truth["nll"]) <= 1e-12 * max(1.0, truth["nll"])
    assert (parts.num_scored.item(), parts.num_novel.item()) == (truth["num_scored"], truth["num_novel"])
    (true_grad,) = gradient(dense_loss(dense, target, seen, alpha, PAD), dense)
    # log1p(-p), which autograd differentiates, loses what stands between p and 1: by about 1 / (1 - p).
    lost = 1.0 / (1.0 - logits.softmax(-1).max().item()) if logits.numel() else 1.0
    assert (gradient(parts.loss, ours)[0] - true_grad).abs().max() <= 1e-12 * max(1.0, 1e-2 * lost)


@settings(max_examples=100, deadline=None)
@given(batches(), ALPHAS, st.integers(1, 8))
def test_the_fused_path_equals_the_literal_definition(batch, alpha, chunk_size):
    hidden, target, seen = batch
    width = hidden.size(-1)
    weight = torch.randn(width + 3, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
    plain = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
    options = {"alpha": alpha, "ignore_index": PAD}
    parts = fused_unlikelihood_loss(*ours, target, seen, num_symbols=width, chunk_size=chunk_size, **options)
    logits = (plain[0] @ plain[1].t())[..., :width]
    truth = literal_loss(logits.tolist(), target.tolist(), seen.tolist(), alpha, PAD)
    assert abs(parts.loss.item() - truth["loss"]) <= 1e-12 * max(1.0, truth["loss"])
    assert abs(parts.nll.item() - truth["nll"]) <= 1e-12 * max(1.0, truth["nll"])
    true_grads = gradient(unlikelihood_loss(logits, target, seen, **options).loss, *plain)
    for a, b in zip(gradient(parts.loss, *ours), true_grads):
        assert (a - b).abs().max() <= 1e-12 * max(1.0, b.abs().max().item())


@settings(max_examples=100, deadline=None)
@given(batches(), st.integers(0, 2**31))
def test_the_penalty_equals_the_literal_definition(batch, seed):
    logits, token, _ = batch
    marks = torch.rand(token.shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    truth = literal_penalty(logits.tolist(), token.tolist(), marks.tolist())
    eye = torch.eye(logits.size(-1), dtype=torch.float64)
    for parts in (penalty_loss(logits, token, marks), fused_penalty_loss(logits, eye, token, marks)):
        assert abs(parts.loss.item() - truth) <= 1e-12 * max(1.0, truth)
        assert parts.num_scored.item() == marks.sum()


def test_the_worked_example_of_the_docstring():
    parts = unlikelihood_loss(torch.zeros(1, 3, 4), torch.tensor([[2, 2, 3]]), ignore_index=-100)
    assert math.isclose(parts.loss.item(), 3 * math.log(4) - math.log(3 / 4), rel_tol=1e-6)


@PATHS
def test_gradients_pass_gradcheck(path):
    hidden, weight, target = example(rows=2, steps=4, vocabulary=6)
    options = {"chunk_size": 3} if path in (fused, fused_penalty) else {}
    assert torch.autograd.gradcheck(lambda h, w: path(h, w, target, **options).loss * 1.7, (hidden, weight))


@FUSED
@pytest.mark.parametrize("chunk_size", [1, 2, 7, 29, 30, 31, 1000, None])
def test_chunk_size_does_not_matter(path, plain, chunk_size):
    hidden, weight, target = example()
    parts, truth = path(hidden, weight, target, chunk_size=chunk_size), plain(hidden, weight, target)
    for a, b in zip(parts, truth):
        assert torch.allclose(a.double(), b.double(), rtol=1e-13)
    for a, b in zip(gradient(parts.loss, hidden, weight), gradient(truth.loss, hidden, weight)):
        assert torch.allclose(a, b, rtol=1e-11, atol=1e-12)


# -- alpha = 0 is maximum likelihood ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(1, 1, 5), (3, 11, 13), (4, 40, 1000), (2, 3, 50257)])
def test_alpha_zero_is_bit_equal_to_cross_entropy(shape, dtype):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, dtype=dtype, generator=generator).mul_(3)
    target = torch.randint(0, shape[-1], shape[:2], generator=generator)
    target[0, -1] = PAD
    ours, plain = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = unlikelihood_loss(ours, target, alpha=0.0, ignore_index=PAD).loss
    truth = F.cross_entropy(plain.flatten(0, 1), target.flatten(), reduction="sum", ignore_index=PAD)
    assert torch.equal(loss, truth)
    assert torch.equal(gradient(loss, ours)[0], gradient(truth, plain)[0])


# -- near p = 1 ---------------------------------------------------------------------------------------------


def certain(margin, dtype):
    """Token 3 leads by ``margin`` nats over four others and is a candidate at the second step; target 0."""
    logits = torch.zeros(1, 2, 5, dtype=dtype)
    logits[0, 1, 3] = margin
    logits[0, 1, 1] = -2.0
    return logits.requires_grad_(), torch.tensor([[3, 0]])


@pytest.mark.parametrize("margin", [0.0, 1.0, 5.0, 16.0, 17.5, 30.0, 60.0, 68.0])
def test_float32_keeps_its_digits_where_p_is_next_to_one(margin):
    """1 - p is 1e-27 at 60 nats: formed as 1 minus a float32, all from 17 nats on would be 1 - 1 = 0."""
    logits, target = certain(margin, torch.float32)
    parts = unlikelihood_loss(logits, target, ignore_index=-1)
    truth = literal_loss(logits.tolist(), target.tolist(), target.tolist(), 1.0, -1)
    assert math.isclose(parts.loss.item(), truth["loss"], rel_tol=1e-6)
    (found,) = gradient(parts.loss, logits)
    weights = [math.exp(z - margin) for z in logits[0, 1].tolist()]
    p = [weight / math.fsum(weights) for weight in weights]
    rest = math.fsum(p[:3] + p[4:])
    true = [p_v - p[3] / rest * p_v for p_v in p]
    true[0] -= 1.0
    true[3] = p[3] + p[3]
    assert torch.allclose(found[0, 1].double(), torch.tensor(true, dtype=torch.float64), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("margin", [80.0, 200.0, 1e4, 6e4])
def test_at_p_equal_to_one_loss_and_gradient_are_finite_and_push_the_token_down(margin, dtype):
    logits, target = certain(margin, dtype)
    penalised = penalty_loss(logits, torch.full_like(target, 3), torch.tensor([[False, True]])).loss
    assert math.isclose(penalised.item(), MOST_NATS, rel_tol=1e-6)
    (found,) = gradient(penalised, logits)
    assert found.isfinite().all() and found[0, 1, 3] == 1.0 and (found[0, 0] == 0).all()
    assert (found[0, 1, [0, 1, 2, 4]] <= 0).all()
    parts = unlikelihood_loss(logits, target, alpha=1e6, ignore_index=-1)
    assert parts.loss.isfinite()
    if dtype != torch.float16:  # 1e6 exceeds its range
        assert gradient(parts.loss, logits)[0].isfinite().all()


# -- what is a candidate ------------------------------------------------------------------------------------


def test_the_target_is_no_candidate_and_duplicates_count_once():
    logits = torch.randn(1, 4, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    parts = unlikelihood_loss(logits, torch.tensor([[5, 5, 4, 5]]), alpha=2.0, ignore_index=PAD)
    p = logits[0].softmax(-1)
    expected = -2.0 * (math.log(1 - p[2, 5]) + math.log(1 - p[3, 4]))
    assert math.isclose((parts.loss - parts.nll).item(), expected, rel_tol=1e-12)


def test_candidates_may_be_given_apart_from_the_targets():
    target, prompt = torch.tensor([[PAD, 2]]), torch.tensor([[3, 2]])
    zeros = torch.zeros(1, 2, 4, dtype=torch.float64)
    without = unlikelihood_loss(zeros, target, ignore_index=PAD).loss
    with_prompt = unlikelihood_loss(zeros, target, prompt, ignore_index=PAD).loss
    assert math.isclose((with_prompt - without).item(), -math.log(3 / 4), rel_tol=1e-12)


@PATHS
def test_rows_never_leak_into_each_other(path):
    hidden, weight, target = example()
    together = path(hidden, weight, target)
    alone = [path(hidden[[row]], weight, target[[row]]) for row in range(3)]
    for whole, parts in zip(together, zip(*alone)):
        assert torch.allclose(whole.double(), sum(parts).double(), rtol=1e-13)


@PATHS
def test_padding_changes_nothing_and_gets_no_gradient(path):
    hidden, weight, target = example(rows=2)
    padded_hidden = torch.cat([hidden.detach(), torch.full((2, 5, 5), 9.0)], dim=1).requires_grad_()
    padded_target = torch.cat([target, torch.full((2, 5), PAD)], dim=1)
    plain, padded = path(hidden, weight, target), path(padded_hidden, weight, padded_target)
    for a, b in zip(plain, padded):
        assert torch.allclose(a.double(), b.double(), rtol=1e-13)
    (d_padded,) = gradient(padded.loss, padded_hidden)
    assert torch.allclose(d_padded[:, :11], gradient(plain.loss, hidden)[0], rtol=1e-12)
    assert (d_padded[:, 11:] == 0).all() and (d_padded[0, 8:11] == 0).all()


@PATHS
@pytest.mark.parametrize("shape", [(2, 3), (2, 0), (0, 3)])
def test_nothing_but_padding_gives_zero_with_a_graph(path, shape):
    hidden, weight = torch.randn(*shape, 5, requires_grad=True), torch.randn(7, 5, requires_grad=True)
    parts = path(hidden, weight, torch.full(shape, PAD))
    assert [part.item() for part in parts] == [0, 0, 0, 0, 0]
    for got in gradient(parts.loss, hidden, weight):
        assert (got == 0).all()


@pytest.mark.parametrize("alpha", [-0.1, float("nan"), float("inf"), 1e7])
def test_alpha_outside_its_range_is_refused_by_flag(alpha):
    with pytest.raises(ValueError, match=r"--alpha .*\[0, 1e6\]"):
        fused(*example(), alpha=alpha)


# -- repeated n-grams ---------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 14), st.integers(1, 3), st.integers(0, 2**31))
def test_marks_equal_the_literal_definition(num_texts, n, length, vocabulary, seed):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, vocabulary, (num_texts, length), generator=generator)
    marks, repeats = mark_repeats(tokens, n), repeated_ngrams(tokens, n)
    for text, marked, repeated in zip(tokens.tolist(), marks.tolist(), repeats.tolist()):
        assert (marked, sum(repeated), len(repeated)) == literal_repeats(text, n)


def test_the_last_ngram_is_included_and_overlaps_count():
    assert mark_repeats(torch.tensor([[1, 2, 3, 1, 2, 3, 4]]), 2).int().tolist() == [[0, 0, 0, 1, 1, 1, 0]]
    assert mark_repeats(torch.tensor([[5, 6, 7, 5, 6]]), 2).int().tolist() == [[0, 0, 0, 1, 1]]
    assert mark_repeats(torch.tensor([[8, 8, 8]]), 2).int().tolist() == [[0, 1, 1]]
    with pytest.raises(ValueError, match="n 0"):
        mark_repeats(torch.tensor([[8]]), 0)
