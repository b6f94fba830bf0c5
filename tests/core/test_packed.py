"""What packed products promise: the same numbers as plain ones, and bits that depend on the token alone."""

import copy

import pytest
import torch
import torch.nn.functional as F

from fairseq_plugin.core.linear import Linear
from fairseq_plugin.core.packed import packed_products, packs_fp32

pytestmark = pytest.mark.skipif(not packs_fp32(), reason="float32 weights are not packed here")


def layer(num_in=96, num_out=200, gelu=False):
    torch.manual_seed(0)
    one = Linear(num_in, num_out, gelu)
    with torch.no_grad():
        one.weight.normal_()
        one.bias.normal_()
    return one


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("leading", [(1,), (8,), (3, 5)])
def test_packed_products_equal_plain_ones(gelu, leading):
    one, x = layer(gelu=gelu), torch.randn(*leading, 96)
    with torch.no_grad():
        plain = F.linear(x, one.weight, one.bias)
        with packed_products():
            found = one(x)
    plain = F.gelu(plain, approximate="tanh") if gelu else plain
    torch.testing.assert_close(found, plain, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("num_tokens", [8, 24, 64, 136])
@pytest.mark.parametrize("sizes", [(768, 800), (3072, 768), (48, 97)])
def test_a_tokens_bits_do_not_depend_on_how_many_there_are(num_tokens, sizes):
    one, x = layer(*sizes), torch.randn(256, sizes[0])
    with torch.no_grad(), packed_products():
        assert torch.equal(one(x[-num_tokens:]), one(x)[-num_tokens:])


def test_the_copy_follows_the_weights_and_is_no_part_of_a_copied_layer():
    one, x = layer(), torch.randn(8, 96)
    with torch.no_grad(), packed_products():
        before = one(x)
        one.weight.mul_(2)
        one.bias.mul_(2)
        torch.testing.assert_close(one(x), 2 * before, atol=1e-4, rtol=1e-5)
        assert torch.equal(copy.deepcopy(one)(x), one(x))


def test_training_is_not_touched_and_drops_the_copy():
    one, x = layer(), torch.randn(8, 96)
    with packed_products():
        with torch.no_grad():
            one(x)
        one(x).sum().backward()
        assert one.weight.grad is not None
        one.weight.data.mul_(2)  # as an optimizer that leaves no trace
        with torch.no_grad():
            torch.testing.assert_close(one(x), F.linear(x, one.weight, one.bias), atol=1e-4, rtol=1e-5)
