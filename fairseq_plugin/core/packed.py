"""Weights in the layout in which oneDNN multiplies them: no rearranging in each product.

Decoding multiplies all weights with a few hundred tokens at most, and there the rearranging costs up to as
much as the product. Measured on a Zen 3 core in float32, 768 -> 50,304: 64 tokens 36 (plain), 60 (packed)
GFLOP/s, 256 tokens 55 and 62; other sizes alike. The copy takes as much memory as the weights, so it is made
inside of :func:`packed_products` only. In bfloat16 it is made always, instead of the plain copy.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_wanted: ContextVar[bool] = ContextVar("packed products", default=False)
# Texts at once that the layout is made for. It may serve any number.
_TOKENS = 64
# A product whose bits are compared over numbers of tokens, one weight with the sizes of a small layer.
_TRIED = (8, 16, 40, 64, 128, 200)


@contextmanager
def packed_products() -> Iterator[None]:
    """Pack float32 weights too, for the products of the block; inference on a CPU only."""
    token = _wanted.set(True)
    try:
        yield
    finally:
        _wanted.reset(token)


def wants_packed(weight: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether a weight is to be multiplied in oneDNN's layout, in this dtype, here and now."""
    if weight.device.type != "cpu" or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
        return False
    if torch.compiler.is_compiling():
        return False
    return (
        packs_bf16() if dtype == torch.bfloat16 else dtype == torch.float32 and _wanted.get() and packs_fp32()
    )


def pack(weight_OI: torch.Tensor) -> torch.Tensor:
    """A copy that only :func:`packed_linear` can use."""
    return torch.ops.mkldnn._reorder_linear_weight(weight_OI, _TOKENS)


def packed_linear(
    x: torch.Tensor, packed: torch.Tensor, bias_O: torch.Tensor | None, gelu: bool = False
) -> torch.Tensor:
    """``F.linear`` with a packed weight (a plain one will do), then GELU in its tanh form if asked for."""
    post = ("gelu", [], "tanh") if gelu else ("none", [], "")
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias_O, *post)


@functools.cache
def packs_bf16() -> bool:
    """Whether bfloat16 weights can be packed here."""
    if not _has_ops() or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    try:
        x = torch.ones(8, 64, dtype=torch.bfloat16)
        return bool((packed_linear(x, pack(x), None) == 64).all())
    except RuntimeError:  # a build that knows the names and not the work
        return False


@functools.cache
def packs_fp32() -> bool:
    """Whether float32 weights can be packed here, and a token's bits do not depend on how many there are."""
    if not _has_ops():
        return False
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(num, 768, generator=generator) for num in (max(_TRIED), 768))
    try:
        with torch.no_grad():
            packed = pack(weight)
            whole = packed_linear(x, packed, None)
            parts = [packed_linear(x[-num:], packed, None) for num in _TRIED]
    except RuntimeError:
        return False
    close = torch.allclose(whole, torch.nn.functional.linear(x, weight), atol=1e-3)
    return close and all(torch.equal(part, whole[-num:]) for num, part in zip(_TRIED, parts, strict=True))


def _has_ops() -> bool:
    names = ("_linear_pointwise", "_reorder_linear_weight")
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in names)
