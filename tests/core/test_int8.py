"""What int8 weights promise: exact sums, a token's bits whatever the others are, a perplexity within 1 %."""

import math

import pytest
import torch
import torch.nn.functional as F

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.core.int8 import _most, int8_linear, quantize, why_not_int8
from tests.reference.int8_oracle import literal_int8_product

pytestmark = pytest.mark.skipif(why_not_int8("cpu") is not None, reason="no int8 products here")


@pytest.fixture(autouse=True)
def inference():
    with torch.no_grad():
        yield


def made(num_tokens, num_in, num_out, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = ((num_tokens, num_in), (num_out, num_in), (num_out,))
    return [torch.randn(*size, generator=generator) for size in sizes]


@pytest.mark.parametrize("gelu", [False, True])
def test_a_product_is_the_literal_one(gelu):
    x_NI, weight_OI, bias_O = made(8, 48, 24)
    found_NO = int8_linear(x_NI, quantize(weight_OI), bias_O, gelu)
    literal = [
        literal_int8_product(token, weight_OI.tolist(), bias_O.tolist(), _most()) for token in x_NI.tolist()
    ]
    expected_NO = torch.tensor(literal)
    expected_NO = F.gelu(expected_NO, approximate="tanh") if gelu else expected_NO
    # A number halfway between two whole ones may be rounded either way by float32: one unit of one entry.
    torch.testing.assert_close(found_NO, expected_NO, atol=0.1, rtol=0)
    assert ((found_NO - expected_NO).abs() < 1e-4).float().mean() > 0.9


@pytest.mark.parametrize("sizes", [(768, 2304), (3072, 768), (48, 97)])
def test_sums_are_exact_where_all_numbers_are_the_greatest(sizes):
    num_in, num_out = sizes
    x_NI, weight_OI = torch.full((8, num_in), 3.0), torch.full((num_out, num_in), -0.5)
    found_NO = int8_linear(x_NI, quantize(weight_OI))
    torch.testing.assert_close(found_NO, torch.full((8, num_out), -1.5 * num_in), rtol=1e-5, atol=0)


@pytest.mark.parametrize("num_tokens", [1, 3, 8, 40, 64, 200])
def test_a_tokens_bits_do_not_depend_on_the_others(num_tokens):
    x_NI, weight_OI, bias_O = made(256, 768, 800)
    weight = quantize(weight_OI)
    whole_NO = int8_linear(x_NI, weight, bias_O)
    assert torch.equal(int8_linear(x_NI[:num_tokens], weight, bias_O), whole_NO[:num_tokens])
    x_NI[num_tokens:] *= 1000  # others with a greater range
    assert torch.equal(int8_linear(x_NI, weight, bias_O)[:num_tokens], whole_NO[:num_tokens])


def test_any_leading_sizes_and_tokens_of_zeros():
    x_NI, weight_OI, bias_O = made(6, 32, 16)
    x_NI[2] = 0
    whole_NO = int8_linear(x_NI, quantize(weight_OI), bias_O)
    assert torch.equal(whole_NO[2], bias_O)
    assert torch.equal(int8_linear(x_NI.view(2, 3, 32), quantize(weight_OI), bias_O), whole_NO.view(2, 3, 16))
    assert torch.equal(int8_linear(x_NI[0], quantize(weight_OI), bias_O), whole_NO[0])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_damage_is_not_hidden(bad):
    x_NI, weight_OI, bias_O = made(4, 32, 16)
    x_NI[1, 5] = bad
    found_NO = int8_linear(x_NI, quantize(weight_OI), bias_O)
    assert not found_NO[1].isfinite().any() and found_NO[[0, 2, 3]].isfinite().all()


def trained(width=64, num_updates=60):
    """A small network that has learned a text of repeating patterns."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=60, n_positions=32, n_embd=width, n_layer=2, n_head=4, dropout=0.0)
    model, start_BT = GPT2(config), torch.randint(60, (32, 4))
    text_BT = torch.cat([start_BT, start_BT.flip(1), start_BT, (start_BT + 7) % 60], dim=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    with torch.enable_grad():
        for _ in range(num_updates):
            loss = cross_entropy(model, text_BT)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval(), text_BT


def cross_entropy(model, text_BT):
    logits_BTV = model.logits(model(text_BT[:, :-1]))
    return F.cross_entropy(logits_BTV.flatten(0, 1), text_BT[:, 1:].flatten())


def test_perplexity_is_within_one_percent_and_weights_stay():
    model, text_BT = trained()
    assert cross_entropy(model, text_BT) < 3.5  # it has learned something
    eight = GPT2(model.config, torch.int8).eval()
    eight.load_state_dict(model.state_dict())
    assert abs(float(cross_entropy(eight, text_BT) - cross_entropy(model, text_BT))) < math.log(1.01)
    assert eight.compute_dtype == torch.float32
    for name, value in eight.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_the_copy_follows_the_weights():
    model, text_BT = trained(num_updates=1)
    eight = GPT2(model.config, torch.int8).eval()
    before = cross_entropy(eight, text_BT)
    eight.load_state_dict(model.state_dict())
    assert cross_entropy(eight, text_BT) != before


def test_int8_refuses_to_be_trained_and_other_devices():
    with torch.enable_grad(), pytest.raises(AssertionError, match="inference"):
        GPT2(GPT2Config(60, 32, 64, 1, 4), torch.int8)(torch.zeros(1, 4, dtype=torch.int64))
    assert "CPU" in (why_not_int8("cuda") or "")
