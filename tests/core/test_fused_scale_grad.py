"""Hidden states to loss in chunks: memory, precision, frozen parts, columns without probability, refusals."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.core.losses import fused_scale_grad_loss, scale_grad_loss

PAD = 1
HALF = [torch.bfloat16, torch.float16]


def batch(rows=3, steps=11, vocabulary=13, width=5, dtype=torch.float64, seed=0):
    """Hidden, weight, target; the first row ends in padding."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, steps, width, dtype=torch.float64, generator=generator)
    weight = torch.randn(vocabulary, width, dtype=torch.float64, generator=generator)
    target = torch.randint(2, vocabulary, (rows, steps), generator=generator)
    target[0, -3:] = PAD
    return hidden.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_(), target


def fused(hidden, weight, target, seen=None, **options):
    options = {"gamma": 0.3, "ignore_index": PAD} | options
    return fused_scale_grad_loss(hidden, weight, target, seen, **options)


def gradients(loss, *inputs):
    return torch.autograd.grad(loss, inputs, retain_graph=True)


# -- equal to the logits path, whatever the chunks ----------------------------------------------------------


@pytest.mark.parametrize("eps", [0.0, 1e-4])
@pytest.mark.parametrize("chunk_size", [1, 2, 7, 29, 30, 31, 1000, None])
def test_chunk_size_does_not_matter(chunk_size, eps):
    hidden, weight, target = batch()
    parts = fused(hidden, weight, target, chunk_size=chunk_size, eps=eps)
    truth = scale_grad_loss(hidden @ weight.t(), target, gamma=0.3, ignore_index=PAD, eps=eps)
    for a, b in zip(parts, truth):
        assert torch.allclose(a.double(), b.double(), rtol=1e-13)
    for a, b in zip(gradients(parts.loss, hidden, weight), gradients(truth.loss, hidden, weight)):
        assert torch.allclose(a, b, rtol=1e-11, atol=1e-12)


def test_the_gradient_scales_with_what_comes_from_above_and_may_be_asked_twice():
    hidden, weight, target = batch()
    loss = fused(hidden, weight, target).loss
    once, again, scaled = (gradients(factor * loss, hidden, weight) for factor in (1.0, 1.0, 128.0))
    for a, b, c in zip(once, again, scaled):
        assert torch.equal(a, b) and torch.allclose(128.0 * a, c, rtol=1e-14)


def test_gradients_accumulate_into_a_weight_that_is_tied():
    _, weight, target = batch()
    tokens = torch.randint(0, 13, (3, 11))

    def run(loss_of):
        weight.grad = None
        embedded = F.embedding(tokens, weight)
        loss_of(embedded).loss.backward()
        return weight.grad

    ours = run(lambda h: fused(h, weight, target))
    plain = run(lambda h: scale_grad_loss(h @ weight.t(), target, gamma=0.3, ignore_index=PAD))
    assert torch.allclose(ours, plain, rtol=1e-11, atol=1e-12)


# -- memory -------------------------------------------------------------------------------------------------


class LargestTensor(TorchDispatchMode):
    """Remember the largest number of elements that any operation gave."""

    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.untyped_storage().nbytes() // tensor.element_size())
        return out


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_tensor_of_batch_by_time_by_vocabulary_is_ever_made(dtype):
    rows, steps, vocabulary, width, chunk_size = 4, 32, 640, 8, 16
    hidden, weight, target = batch(rows, steps, vocabulary, width, dtype)
    with LargestTensor() as ours:
        fused(hidden, weight, target, chunk_size=chunk_size).loss.backward()
    with LargestTensor() as plain:
        scale_grad_loss(hidden @ weight.t(), target, gamma=0.3, ignore_index=PAD).loss.backward()
    assert plain.numel >= rows * steps * vocabulary  # the watch sees what it should
    assert ours.numel <= max(chunk_size * vocabulary, vocabulary * width)


def test_seen_tokens_take_no_more_than_the_vocabulary_allows():
    hidden, weight, target = batch(rows=1, steps=1024, vocabulary=16, width=4)
    with LargestTensor() as watch:
        fused(hidden, weight, target, chunk_size=64).loss.backward()
    assert watch.numel <= 1024 * 16


# -- precision ----------------------------------------------------------------------------------------------


def dense_autograd(hidden, weight, target, product_dtype):
    logits = F.linear(hidden.to(product_dtype), weight.to(product_dtype)).float()
    loss = scale_grad_loss(logits, target, gamma=0.3, ignore_index=PAD).loss
    return loss, *gradients(loss, hidden, weight)


@pytest.mark.parametrize("product_dtype", HALF)
@pytest.mark.parametrize("weight_dtype", ["float32", "half"])
def test_half_precision_errs_no_more_than_the_plain_version(product_dtype, weight_dtype):
    """Against float32 truth on the same rounded inputs; epsilon: half a rounding step of the result."""
    hidden, weight, target = batch(rows=4, steps=33, vocabulary=300, width=64, dtype=product_dtype)
    hidden, weight = (0.3 * hidden.detach()).requires_grad_(), weight.detach()
    weight = (weight if weight_dtype == "half" else weight.float()).requires_grad_()
    exact = [x.detach().float().requires_grad_() for x in (hidden, weight)]
    true = dense_autograd(*exact, target, torch.float32)
    plain = dense_autograd(hidden, weight, target, product_dtype)
    loss = fused(hidden, weight, target, chunk_size=40).loss
    ours = (loss, *gradients(loss, hidden, weight))
    assert ours[0].dtype == torch.float32 and ours[2].dtype == weight.dtype
    for a, b, t in zip(ours, plain, true):
        epsilon = 0.5 * torch.finfo(product_dtype).eps * t.abs().max()
        assert (a.float() - t).abs().max() <= (b.float() - t).abs().max() + epsilon


def test_float32_errs_no_more_than_the_plain_version():
    hidden, weight, target = batch(rows=4, steps=64, vocabulary=2000, width=64, dtype=torch.float32)
    doubles = [x.detach().double().requires_grad_() for x in (hidden, weight)]
    truth = scale_grad_loss(doubles[0] @ doubles[1].t(), target, gamma=0.3, ignore_index=PAD).loss
    plain = scale_grad_loss(hidden @ weight.t(), target, gamma=0.3, ignore_index=PAD).loss
    ours = fused(hidden, weight, target, chunk_size=100).loss
    true_all = (truth, *gradients(truth, *doubles))
    ours_all = (ours, *gradients(ours, hidden, weight))
    plain_all = (plain, *gradients(plain, hidden, weight))
    for a, b, t in zip(ours_all, plain_all, true_all):
        epsilon = 4 * torch.finfo(torch.float32).eps * t.abs().max()
        assert (a - t).abs().max() <= (b - t).abs().max() + epsilon


def test_autocast_decides_the_type_of_the_products():
    hidden, weight, target = batch(rows=2, steps=8, vocabulary=50, width=16, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        inside = fused(hidden, weight, target).loss
    explicit = fused(hidden, weight, target, product_dtype=torch.bfloat16).loss
    outside = fused(hidden, weight, target).loss
    assert torch.equal(inside, explicit) and not torch.equal(inside, outside)
    for a, b in zip(gradients(inside, hidden, weight), (hidden, weight)):
        assert a.dtype == b.dtype == torch.float32


# -- gradients only where they are wanted -------------------------------------------------------------------


class Products(TorchDispatchMode):
    """Count matrix products."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.__name__.split(".")[0] in ("mm", "addmm", "addmm_")
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("hidden_wants", "weight_wants", "num_products"),
    [(True, True, 3), (True, False, 2), (False, True, 2), (False, False, 1)],
)
def test_frozen_parts_cost_nothing(hidden_wants, weight_wants, num_products):
    hidden, weight, target = batch()
    full = fused(hidden, weight, target)
    wanted = dict(zip(("hidden", "weight"), gradients(full.loss, hidden, weight)))
    hidden = hidden.detach().requires_grad_(hidden_wants)
    weight = weight.detach().requires_grad_(weight_wants)
    with Products() as products:
        loss = fused(hidden, weight, target).loss
    assert products.count == num_products and loss.requires_grad == (hidden_wants or weight_wants)
    assert torch.equal(loss, full.loss)
    if loss.requires_grad:
        loss.backward()
    assert (hidden.grad is None) != hidden_wants and (weight.grad is None) != weight_wants
    assert hidden.grad is None or torch.equal(hidden.grad, wanted["hidden"])
    assert weight.grad is None or torch.equal(weight.grad, wanted["weight"])


def test_no_grad_does_no_gradient_work():
    hidden, weight, target = batch()
    with torch.no_grad(), Products() as products:
        parts = fused(hidden, weight, target)
    assert products.count == 1 and not parts.loss.requires_grad
    assert torch.equal(parts.loss, fused(hidden, weight, target).loss)


def test_only_the_loss_is_differentiable():
    parts = fused(*batch())
    assert [part.requires_grad for part in parts] == [True, False, False, False, False]


# -- columns without probability ----------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [0.0, 1e-3])
def test_banned_columns_and_padding_rows_get_no_probability_and_no_gradient(eps):
    hidden, weight, target = batch(vocabulary=20)
    target = target.clamp(max=13)
    banned = torch.tensor([0, 14])
    parts = fused(hidden, weight, target, num_symbols=16, banned=banned, eps=eps, chunk_size=8)
    logits = (hidden @ weight.t())[..., :16].index_fill(-1, banned, -torch.inf)
    truth = scale_grad_loss(logits, target, gamma=0.3, ignore_index=PAD, eps=eps)
    for a, b in zip(parts, truth):
        assert torch.allclose(a.double(), b.double(), rtol=1e-13)
    ours, plain = gradients(parts.loss, hidden, weight), gradients(truth.loss, hidden, weight)
    for a, b in zip(ours, plain):
        assert torch.allclose(a, b, rtol=1e-11, atol=1e-12)
    assert (ours[1][[0, 14, 16, 17, 18, 19]] == 0).all()


def test_a_target_without_probability_is_refused_by_name():
    hidden, weight, target = batch()
    target[1, 2] = 7
    with pytest.raises(ValueError, match="target token 7 has probability 0"):
        fused(hidden, weight, target, banned=torch.tensor([7]))
    logits = (hidden @ weight.t()).index_fill(-1, torch.tensor(7), -torch.inf)
    with pytest.raises(ValueError, match="target token 7 has probability 0"):
        scale_grad_loss(logits, target, gamma=0.3, ignore_index=PAD)


@pytest.mark.parametrize("eps", [0.0, 1e-8])
@pytest.mark.parametrize("path", ["logits", "fused"])
def test_where_it_cannot_be_named_its_gradient_is_nan(path, eps, monkeypatch):
    """On a device the check is not made; the trainer's gradient check must then see the target."""
    for module in ("position_rules", "logits_loss"):
        monkeypatch.setattr(f"fairseq_plugin.core.{module}.refuse_impossible_targets", lambda *args: None)
    hidden, weight, target = batch()
    target[:], target[1, 2] = 3, 7
    if path == "fused":
        loss = fused(hidden, weight, target, banned=torch.tensor([7]), eps=eps).loss
    else:
        logits = (hidden @ weight.t()).index_fill(-1, torch.tensor(7), -torch.inf)
        loss = scale_grad_loss(logits, target, gamma=0.3, ignore_index=PAD, eps=eps).loss
    assert not loss.isfinite()
    assert all(gradient.isnan().any() for gradient in gradients(loss, hidden, weight))


# -- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [0.0, -0.5, 1.0000001, float("nan"), float("inf")])
def test_gamma_outside_its_range_is_refused_by_flag(gamma):
    hidden, weight, target = batch()
    with pytest.raises(ValueError, match=r"--gamma .*\(0, 1\]"):
        fused(hidden, weight, target, gamma=gamma)
    with pytest.raises(ValueError, match=r"--gamma .*\(0, 1\]"):
        scale_grad_loss(hidden @ weight.t(), target, gamma=gamma, ignore_index=PAD)


def test_a_gamma_that_float32_cannot_hold_is_refused_and_the_smallest_allowed_one_is_exact():
    hidden, weight, target = batch()
    for gamma in (1e-31, 1e-45, 5e-324):
        with pytest.raises(ValueError, match=r"--gamma .* at least 1e-30"):
            fused(hidden, weight, target, gamma=gamma)
    truth = fused(hidden, weight, target, gamma=1e-30).loss
    floats = [x.detach().float().requires_grad_() for x in (hidden, weight)]
    loss = fused(*floats, target, gamma=1e-30).loss
    assert torch.allclose(loss.double(), truth, rtol=1e-5)
    assert all(gradient.isfinite().all() for gradient in gradients(loss, *floats))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"eps": -1e-8}, "--parity-eps"),
        ({"eps": 1e300}, "--parity-eps"),
        ({"eps": float("nan")}, "--parity-eps"),
        ({"num_symbols": 14}, "num_symbols 14"),
        ({"num_symbols": 0}, "num_symbols 0"),
        ({"chunk_size": 0}, "chunk_size 0"),
        ({"num_symbols": 5}, "target token .* outside the vocabulary"),
        ({"seen": torch.full((3, 11), 13)}, "seen token 13 is outside the vocabulary"),
        ({"seen": torch.full((3, 11), -7)}, "seen token -7 is outside the vocabulary"),
    ],
)
def test_what_cannot_be_is_refused_by_name(options, words):
    with pytest.raises(ValueError, match=words):
        fused(*batch(), **options)


def test_shapes_that_do_not_agree_are_refused():
    hidden, weight, target = batch()
    with pytest.raises(ValueError, match="does not fit"):
        fused(hidden, weight, target[:, :-1])
    with pytest.raises(ValueError, match="does not fit"):
        fused(hidden, weight[:, :-1], target)
    with pytest.raises(ValueError, match="do not fit"):
        scale_grad_loss(hidden @ weight.t(), target[:, :-1], gamma=0.3, ignore_index=PAD)
