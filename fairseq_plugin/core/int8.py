"""Matrix products with weights and tokens in 8 bits, on a CPU, for decoding.

Legend: N tokens, I width in, O width out.

    s_O = max |w_OI| / 127;    w8_OI = round(w_OI / s_O)         once, a scale for each output
    s_N = max |x_NI| / most;   x8_NI = round(x_NI / s_N)         in each product, a scale for each token
    y_NO = (x8_NI @ w8_OI.T) * s_O * s_N + bias_O

The scheme is that of "LLM.int8()" (Dettmers et al. 2022, section 2.1, vector-wise), without its outlier
columns. The sums are of integers, so they are exact: a token's bits do not depend on how many others there
are, whatever kernel the machine has.

``most`` is 127. Processors without VNNI add two products of 8 bits in 16 bits, where 2 x 255 x 127 has no
room: there ``most`` is 63, and the sums are exact again.
"""

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F

_MOST_OF_WEIGHTS = 127
_TINY = 1e-30  # least scale: a token of zeros stays zeros


@dataclass(frozen=True)
class Int8Weight:
    """A weight in 8 bits.

    Args:
        packed: in oneDNN's layout.
        scales_O: float32.
        zeros_O: int32, all 0.
    """

    packed: torch.Tensor
    scales_O: torch.Tensor
    zeros_O: torch.Tensor


def why_not_int8(device_type: str) -> str | None:
    """Say what speaks against int8.

    Args:
        device_type: ``"cpu"`` or ``"cuda"``.

    Returns:
        A reason, or ``None`` if int8 products work here.
    """
    if device_type != "cpu":
        return "int8 products are for CPUs; a GPU has bf16"
    return None if _most() else "this build of PyTorch has no int8 products of oneDNN"


def quantize(weight_OI: torch.Tensor) -> Int8Weight:
    """A weight in 8 bits, each output with a scale of its own."""
    scales_O = (weight_OI.abs().amax(1).float() / _MOST_OF_WEIGHTS).clamp_(min=_TINY)
    w8_OI = (weight_OI / scales_O.unsqueeze(1)).round_().to(torch.int8)
    zeros_O = torch.zeros(len(w8_OI), dtype=torch.int32)
    return Int8Weight(torch.ops.onednn.qlinear_prepack(w8_OI, None), scales_O, zeros_O)


def int8_linear(
    x: torch.Tensor, weight: Int8Weight, bias_O: torch.Tensor | None = None, gelu: bool = False
) -> torch.Tensor:
    """``F.linear`` in 8 bits, then GELU in its tanh form if asked for.

    Args:
        x: float32 ``(..., I)``. A token with NaN or infinities comes out without any finite number.
        weight: from :func:`quantize`.

    Returns:
        float32 ``(..., O)``.
    """
    assert not torch.is_grad_enabled(), "int8 weights are for inference"
    most = _most()
    assert most, "ask why_not_int8 first"
    x_NI = x.reshape(-1, x.shape[-1])
    # Two passes, which torch vectorises, take a tenth of the time of the one norm, which it does not.
    largest_N1 = torch.maximum(x_NI.amax(1, keepdim=True), x_NI.amin(1, keepdim=True).neg_())
    scales_N1 = largest_N1.div_(most).clamp_(min=_TINY)
    x8_NI = (x_NI / scales_N1).round_().add_(most + 1).to(torch.uint8)
    y_NO = _product(x8_NI, most + 1, weight)
    y_NO = y_NO.mul_(scales_N1) if bias_O is None else torch.addcmul(bias_O, y_NO, scales_N1, out=y_NO)
    y_NO = F.gelu(y_NO, approximate="tanh") if gelu else y_NO
    return y_NO.view(*x.shape[:-1], -1)


def _product(x8_NI: torch.Tensor, zero: int, weight: Int8Weight) -> torch.Tensor:
    return torch.ops.onednn.qlinear_pointwise(
        x8_NI, 1.0, zero, weight.packed, weight.scales_O, weight.zeros_O, None, 1.0, 0, torch.float32,
        "none", [], "",
    )  # fmt: skip


@functools.cache
def _most() -> int:
    """The greatest number of a token in 8 bits with which sums are exact here; 0 where there are none."""
    names = ("qlinear_prepack", "qlinear_pointwise")
    if not torch.backends.mkldnn.is_available() or not all(hasattr(torch.ops.onednn, name) for name in names):
        return 0
    width = 768
    greatest_OI = torch.full((16, width), _MOST_OF_WEIGHTS, dtype=torch.int8)
    try:
        with torch.no_grad():
            packed = torch.ops.onednn.qlinear_prepack(greatest_OI, None)
            weight = Int8Weight(packed, torch.ones(16), torch.zeros(16, dtype=torch.int32))
            for most in (127, 63):
                x8_NI = torch.full((8, width), 2 * most + 1, dtype=torch.uint8)
                if (_product(x8_NI, 0, weight) == (2 * most + 1) * _MOST_OF_WEIGHTS * width).all():
                    return most
    except RuntimeError:  # a build that knows the names and not the work
        pass
    return 0
