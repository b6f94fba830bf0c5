"""Attention and dropout written out for the CPU are those of torch."""

import pytest
import torch
import torch.nn.functional as F

from fairseq_plugin.core import attention
from fairseq_plugin.core.attention import causal_attention
from fairseq_plugin.core.dropout import Dropout, draw_keep, dropout


def inputs(batch=2, heads=3, time=17, width=8, dtype=torch.float64):
    torch.manual_seed(0)
    return [torch.randn(batch, heads, time, width, dtype=dtype, requires_grad=True) for _ in range(3)]


def by_the_book(q, k, v, keep, scale):
    """softmax(q k^T / sqrt(K)) over the past and present, thinned and scaled, times v."""
    time, width = q.shape[-2:]
    scores = (q @ k.transpose(-1, -2) / width**0.5).masked_fill(
        torch.ones(time, time).triu(1) > 0, -torch.inf
    )
    return (scores.softmax(-1) * keep * scale) @ v


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_attention_with_dropout_is_the_formula_in_value_and_gradient(p, monkeypatch):
    tensors = inputs()
    keep, scale = draw_keep((6, 17, 17), p)
    monkeypatch.setattr(attention, "draw_keep", lambda shape, p: (keep.view(shape), scale))
    results = []
    for function in (
        lambda *x: causal_attention(*x, p),
        lambda *x: by_the_book(*x, keep.view(2, 3, 17, 17), scale),
    ):
        y = function(*tensors)
        results.append(
            (y, *torch.autograd.grad(y, tensors, torch.arange(y.numel(), dtype=y.dtype).view_as(y).sin()))
        )
    for mine, expected in zip(*results, strict=True):
        torch.testing.assert_close(mine, expected, atol=1e-12, rtol=1e-10)


def test_attention_takes_heads_that_lie_across_each_other():
    x = torch.randn(2, 9, 3 * 12, dtype=torch.float64, requires_grad=True)
    q, k, v = (one.view(2, 9, 3, 4).transpose(1, 2) for one in x.split(12, dim=2))

    def attend(*tensors):
        torch.manual_seed(1)
        return causal_attention(*tensors, 0.3)

    (crossed,) = torch.autograd.grad(attend(q, k, v).square().sum(), x)
    (straight,) = torch.autograd.grad(attend(*(one.contiguous() for one in (q, k, v))).square().sum(), x)
    torch.testing.assert_close(crossed, straight)


def test_attention_without_dropout_equals_torch():
    q, k, v = inputs(dtype=torch.float32)
    torch.testing.assert_close(
        causal_attention(q, k, v), F.scaled_dot_product_attention(q, k, v, is_causal=True)
    )


def test_dropped_attention_is_right_on_average():
    q, k, v = (tensor.detach().float() for tensor in inputs(time=6))
    torch.manual_seed(0)
    mean = torch.stack([causal_attention(q, k, v, 0.2) for _ in range(4000)]).mean(0)
    torch.testing.assert_close(mean, causal_attention(q, k, v), atol=0.06, rtol=0)


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.99])
def test_dropout_drops_the_given_share_and_keeps_the_mean(p):
    torch.manual_seed(0)
    x = torch.ones(1_000_003, requires_grad=True)  # no multiple of four
    y = dropout(x, p)
    dropped = (y == 0).double().mean().item()
    assert dropped == pytest.approx(p, abs=5 * (p * (1 - p) / len(x)) ** 0.5 + 1 / 131_072)
    assert y.unique().tolist() == pytest.approx([0, 1 / (1 - p)], rel=1e-2 if p > 0.9 else 1e-4)
    y.sum().backward()
    assert torch.equal(x.grad, y)


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    keep, _ = draw_keep((250_000, 4), 0.3)  # the four that share a draw
    share = (~keep).double()
    correlation = torch.corrcoef(share.t())
    assert (correlation - torch.eye(4)).abs().max() < 0.01
    assert share.mean(0).tolist() == pytest.approx([0.3] * 4, abs=0.005)


def test_dropout_repeats_with_the_seed_and_leaves_evaluation_alone():
    module, x = Dropout(0.4), torch.randn(5, 7)
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(module(x))
    assert torch.equal(*draws) and not torch.equal(module(x), draws[0])
    assert module.eval()(x) is x


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_dropout_keeps_the_dtype(dtype):
    assert dropout(torch.ones(3, dtype=dtype), 0.5).dtype == dtype


def test_full_dropout_probability_never_divides_by_zero():
    assert torch.isfinite(dropout(torch.ones(1000), 1 - 1e-9)).all()
