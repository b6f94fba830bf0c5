"""Contrastive token learning against its literal definition; see its oracle in ``tests/reference``."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.core.contrastive_token_rule import ContrastiveTokenRule
from tests.core.losses import contrastive_loss, fused_contrastive_loss
from tests.core.test_fused_scale_grad import LargestTensor
from tests.core.test_scale_grad import batches, example, gradient
from tests.reference.contrastive_token_oracle import dense_loss, literal_loss

PAD = 1
SETTINGS = st.fixed_dictionaries(
    {
        "weight": st.sampled_from([0.0, 0.3, 1.0, 4.0]),
        "length": st.sampled_from([0.25, 0.5, 1.0, 3.0]),
        "negatives": st.sampled_from([0.3, 0.5, 1.0, 2.0, 50.0]),
        "each_occurrence": st.booleans(),
    }
)
WHOLE = {"length": 1.0, "negatives": 1.0}


def from_logits(hidden, weight, target, seen=None, **ct):
    return contrastive_loss(hidden @ weight.t(), target, seen, ignore_index=PAD, **WHOLE | ct)


def fused(hidden, weight, target, seen=None, **ct):
    chunk_size = ct.pop("chunk_size", 3)
    return fused_contrastive_loss(
        hidden, weight, target, seen, ct=WHOLE | ct, ignore_index=PAD, chunk_size=chunk_size
    )


PATHS = pytest.mark.parametrize("path", [from_logits, fused])


# -- the definition -----------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(batches(), SETTINGS)
def test_loss_and_gradient_equal_the_literal_definition(batch, ct):
    logits, target, seen = batch
    truth = literal_loss(logits.tolist(), target.tolist(), seen.tolist(), PAD, **ct)
    ours, dense = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    parts = contrastive_loss(ours, target, seen, ignore_index=PAD, **ct)
    assert abs(parts.loss.item() - truth["loss"]) <= 1e-12 * max(1.0, truth["loss"])
    assert abs(parts.nll.item() - truth["nll"]) <= 1e-12 * max(1.0, truth["nll"])
    (true_grad,) = gradient(dense_loss(dense, target, seen, PAD, **ct), dense)
    assert (gradient(parts.loss, ours)[0] - true_grad).abs().max() <= 1e-12 * max(1.0, true_grad.abs().max())


@settings(max_examples=100, deadline=None)
@given(batches(), SETTINGS, st.integers(1, 8))
def test_the_fused_path_equals_the_literal_definition(batch, ct, chunk_size):
    hidden, target, seen = batch
    width = hidden.size(-1)
    weight = torch.randn(width + 3, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
    dense = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
    options = {"num_symbols": width, "chunk_size": chunk_size, "ignore_index": PAD}
    parts = fused_contrastive_loss(*ours, target, seen, ct=ct, **options)
    logits = (dense[0] @ dense[1].t())[..., :width]
    truth = literal_loss(logits.tolist(), target.tolist(), seen.tolist(), PAD, **ct)
    assert abs(parts.loss.item() - truth["loss"]) <= 1e-12 * max(1.0, truth["loss"])
    true_grads = gradient(dense_loss(logits, target, seen, PAD, **ct), *dense)
    for a, b in zip(gradient(parts.loss, *ours), true_grads):
        assert (a - b).abs().max() <= 1e-12 * max(1.0, b.abs().max().item())


def test_the_worked_example_of_the_docstring():
    parts = contrastive_loss(
        torch.zeros(1, 4, 5), torch.tensor([[2, 3, 2, 4]]), ignore_index=-100, length=1.0, negatives=2
    )
    true = 4 * math.log(5) + 2 * math.log(2) + math.log(3)
    assert math.isclose(parts.loss.item(), true, rel_tol=1e-6) and round(true, 4) == 8.9227


def test_the_defaults_are_the_published_ones():
    """Mean cross-entropy of 16 tokens plus the mean contrastive part of the first 4, 2 negatives each."""
    logits, target = torch.zeros(1, 16, 20), torch.arange(16)[None]
    parts = contrastive_loss(logits, target, ignore_index=-100)
    true = math.log(20) + (math.log(1) + math.log(2) + 2 * math.log(3)) / 4
    assert math.isclose(parts.loss.item() / 16, true, rel_tol=1e-6)


def test_a_token_that_came_back_counts_once_or_each_time():
    target = torch.tensor([[5, 5, 4]])
    once, each = (
        contrastive_loss(torch.zeros(1, 3, 7), target, ignore_index=PAD, each_occurrence=each, **WHOLE)
        for each in (False, True)
    )
    assert math.isclose((each.loss - once.loss).item(), math.log(3) - math.log(2), rel_tol=1e-5)


@PATHS
@pytest.mark.parametrize("each_occurrence", [False, True])
def test_gradients_pass_gradcheck(path, each_occurrence):
    hidden, weight, target = example(rows=2, steps=5, vocabulary=4)
    assert torch.autograd.gradcheck(
        lambda h, w: path(h, w, target, each_occurrence=each_occurrence).loss * 1.7, (hidden, weight)
    )


@pytest.mark.parametrize("chunk_size", [1, 2, 7, 29, 30, 31, 1000, None])
def test_chunk_size_does_not_matter(chunk_size):
    hidden, weight, target = example()
    parts, truth = fused(hidden, weight, target, chunk_size=chunk_size), from_logits(hidden, weight, target)
    for a, b in zip(parts, truth):
        assert torch.allclose(a.double(), b.double(), rtol=1e-13)
    for a, b in zip(gradient(parts.loss, hidden, weight), gradient(truth.loss, hidden, weight)):
        assert torch.allclose(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(1, 1, 5), (3, 11, 13), (2, 3, 50257)])
def test_weight_zero_is_bit_equal_to_cross_entropy(shape, dtype):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, dtype=dtype, generator=generator).mul_(3)
    target = torch.randint(0, shape[-1], shape[:2], generator=generator)
    target[0, -1] = PAD
    ours, plain = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = contrastive_loss(ours, target, weight=0.0, ignore_index=PAD).loss
    truth = F.cross_entropy(plain.flatten(0, 1), target.flatten(), reduction="sum", ignore_index=PAD)
    assert torch.equal(loss, truth) and torch.equal(gradient(loss, ours)[0], gradient(truth, plain)[0])


# -- precision, memory, padding -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_loss_keeps_its_digits_where_probabilities_have_rounded_to_zero(dtype):
    """Target and negative 200 nats below a third token: both p are 0 in float32, their margin is 3 nats."""
    logits = torch.zeros(1, 2, 5, dtype=dtype)
    logits[0, 1] = torch.tensor([200.0, -400.0, 3.0, 0.0, -400.0])
    parts = contrastive_loss(logits.requires_grad_(), torch.tensor([[2, 3]]), ignore_index=-1, **WHOLE)
    assert math.isclose(parts.loss.item(), math.log(5) + 200 + math.log1p(math.exp(3)), rel_tol=1e-6)
    (found,) = gradient(parts.loss, logits)
    pull = 1 / (1 + math.exp(-3))
    assert torch.allclose(found[0, 1].float(), torch.tensor([1, 0, pull, -1 - pull, 0]), rtol=1e-2)


@pytest.mark.parametrize("product_dtype", [torch.bfloat16, torch.float16])
def test_half_precision_products_change_the_rounding_alone(product_dtype):
    hidden, weight, target = example(rows=4, steps=33, vocabulary=30, width=16, dtype=torch.float32)
    options = {"ct": WHOLE, "ignore_index": PAD}
    exact = fused_contrastive_loss(hidden, weight, target, **options)
    half = fused_contrastive_loss(hidden, weight, target, product_dtype=product_dtype, **options)
    assert math.isclose(half.loss.item(), exact.loss.item(), rel_tol=1e-2)
    for a, b in zip(gradient(half.loss, hidden, weight), gradient(exact.loss, hidden, weight)):
        assert a.dtype == torch.float32 and (a - b).abs().max() <= 3e-2 * b.abs().max()


def test_no_tensor_of_batch_by_time_by_vocabulary_is_ever_made():
    rows, steps, vocabulary, width, chunk_size = 4, 32, 640, 8, 16
    hidden, weight, target = example(rows, steps, vocabulary, width, torch.float32)
    with LargestTensor() as ours:
        fused(hidden, weight, target, chunk_size=chunk_size).loss.backward()
    assert ours.numel <= max(chunk_size * vocabulary, vocabulary * width)


@PATHS
def test_texts_never_leak_into_each_other(path):
    hidden, weight, target = example()
    together = path(hidden, weight, target)
    alone = [path(hidden[[b]], weight, target[[b]]) for b in range(3)]
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
    assert (d_padded[:, 11:] == 0).all()


@PATHS
@pytest.mark.parametrize("shape", [(2, 3), (2, 0), (0, 3)])
def test_nothing_but_padding_gives_zero_with_a_graph(path, shape):
    hidden, weight = torch.randn(*shape, 5, requires_grad=True), torch.randn(7, 5, requires_grad=True)
    parts = path(hidden, weight, torch.full(shape, PAD))
    assert [part.item() for part in parts] == [0, 0, 0, 0, 0]
    for got in gradient(parts.loss, hidden, weight):
        assert (got == 0).all()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"weight": -0.1}, r"--ct-weight -0.1: must be in \[0, 1e6\]"),
        ({"weight": math.nan}, "--ct-weight nan"),
        ({"length": 0.0}, "--ct-length 0.0: must be a share of the sample"),
        ({"length": 2.5}, "--ct-length 2.5: .* whole number"),
        ({"negatives": -1.0}, "--ct-negatives -1.0: must be a share of --ct-length"),
    ],
)
def test_a_setting_outside_its_range_is_refused_by_flag(setting, words):
    with pytest.raises(ValueError, match=words):
        ContrastiveTokenRule(**setting)
