"""Repetition dropout against its literal definition, mask and attention."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.core import attention
from fairseq_plugin.core.attention import causal_attention
from fairseq_plugin.core.dropout import draw_keep
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.core.repetition_dropout import check_repetition_dropout, masked_positions
from tests.core.test_attention import inputs
from tests.reference.repetition_dropout_oracle import literal_attention, literal_masked


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(0, 12),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.integers(0, 2**31),
)
def test_masked_positions_equal_the_literal_definition(num_texts, n, length, rate, seed):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 3, (num_texts, length), generator=generator)
    uniform = torch.rand(2, num_texts, max(length - n + 1, 0), generator=generator)
    found = masked_positions(tokens, n, rate, uniform)
    assert found.shape == (2, num_texts, length)
    for layer in range(2):
        for text in range(num_texts):
            truth = literal_masked(
                tokens[text].tolist(), n, (uniform[layer, text] < rate).tolist().__getitem__
            )
            assert found[layer, text].tolist() == truth


def test_the_worked_example_of_the_docstring():
    tokens = torch.tensor([[0, 1, 2, 0, 1, 3]])
    masked = masked_positions(tokens, 2, 1.0, torch.full((1, 1, 5), 0.5))
    assert masked[0, 0].int().tolist() == [1, 1, 0, 1, 1, 0]


def masks(batch=2, time=17):
    return torch.rand(batch, time, generator=torch.Generator().manual_seed(5)) < 0.4


def test_attention_with_masked_positions_equals_the_literal_definition():
    q, k, v = (tensor.detach() for tensor in inputs(time=7))
    masked = masks(time=7)
    y = causal_attention(q, k, v, 0.0, masked)
    for b in range(2):
        for h in range(3):
            truth = literal_attention(*(one[b, h].tolist() for one in (q, k, v)), masked[b].tolist())
            assert (y[b, h] - torch.tensor(truth, dtype=torch.float64)).abs().max() <= 1e-12


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_gradients_with_masked_positions_pass_gradcheck(p, monkeypatch):
    tensors = inputs(time=5, width=3)
    keep, scale = draw_keep((6, 5, 5), p or 0.3)
    monkeypatch.setattr(attention, "draw_keep", lambda shape, p: (keep.view(shape), scale))
    assert torch.autograd.gradcheck(lambda *x: causal_attention(*x, p, masks(time=5)), tensors)


def test_attention_with_dropout_masks_the_same_positions(monkeypatch):
    """Dropout of the written-out steps keeps all and scales by one: the result is that without dropout."""
    tensors, masked = inputs(), masks()
    monkeypatch.setattr(attention, "draw_keep", lambda shape, p: (torch.ones(shape), 1.0))
    torch.testing.assert_close(
        causal_attention(*tensors, 0.5, masked), causal_attention(*tensors, 0.0, masked), atol=1e-12, rtol=0
    )


def test_nothing_masked_is_attention_as_it_was():
    q, k, v = inputs(dtype=torch.float32)
    none = torch.zeros(2, 17, dtype=torch.bool)
    torch.testing.assert_close(causal_attention(q, k, v, 0.0, none), causal_attention(q, k, v))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_each_layer_of_the_network_has_its_own_mask_and_all_masked_is_finite(dtype):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=40, n_positions=12, n_embd=16, n_layer=2, n_head=2, dropout=0.0)
    gpt2 = GPT2(config, None if dtype == torch.float32 else dtype)
    with torch.no_grad():
        for parameter in gpt2.h.parameters():
            parameter.mul_(8)  # fresh weights attend evenly
    tokens = torch.randint(0, 40, (3, 12))
    masked = torch.zeros(2, 3, 12, dtype=torch.bool)
    plain = gpt2(tokens)
    outputs = []
    for layer in (0, 1, slice(0, 2)):
        some = masked.clone()
        some[layer] = True
        outputs.append(gpt2(tokens, masked_LBT=some))
    assert all(torch.isfinite(one).all() for one in outputs)
    for one in outputs:
        assert torch.allclose(one[:, 0], plain[:, 0], atol=1e-5) and not torch.allclose(one, plain, atol=1e-3)
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-3)


@pytest.mark.parametrize(("rate", "n"), [(-0.1, 2), (1.1, 2), (float("nan"), 2), (0.5, 0)])
def test_a_setting_outside_its_range_is_refused_by_flag(rate, n):
    with pytest.raises(ValueError, match="--repetition-(dropout|ngram) "):
        check_repetition_dropout(rate, n)
