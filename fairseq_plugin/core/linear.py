"""Linear layers in the dtype of their input, with the CPU's faster float32 products in both directions.

Legend: N positions (any number of leading dimensions), I width in, O width out.

    y_NO = x_NI @ weight_OI.T + bias_O
    dx_NI = dy_NO @ weight_OI;  dweight_OI = dy_NO.T @ x_NI;  dbias_O = dy_NO.sum(0)
"""

from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F

from fairseq_plugin.core.cpu_products import fast_fp32_available, fast_fp32_products
from fairseq_plugin.core.int8 import int8_linear, quantize
from fairseq_plugin.core.kept import Kept
from fairseq_plugin.core.packed import pack, packed_linear, packs_bf16, wants_packed


class Linear(nn.Linear):
    """``nn.Linear`` in the dtype of its input, whatever the dtype of its weights.

    Args:
        num_in, num_out: widths.
        gelu: GELU, in its tanh form, follows.

    Attributes:
        int8: multiply in 8 bits, without gradients (:mod:`~fairseq_plugin.core.int8`).
    """

    def __init__(self, num_in: int, num_out: int, gelu: bool = False) -> None:
        super().__init__(num_in, num_out)
        self._gelu, self.int8 = gelu, False
        self._weight_cast, self._bias_cast, self._kept_int8 = Cast(packed=True), Cast(), Kept()

    def reset_parameters(self) -> None:
        """Leave the weights as allocated: the network fills them all."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.int8:
            weight = self._kept_int8.get(self.weight, "int8", quantize)
            return int8_linear(x, weight, self.bias, self._gelu)
        weight_OI, bias_O = self._weight_cast(self.weight, x.dtype), self._bias_cast(self.bias, x.dtype)
        if self._gelu and (weight_OI.is_mkldnn or _fuses_gelu(x)):
            return packed_linear(x, weight_OI, bias_O, gelu=True)
        y = linear(x, weight_OI, bias_O)
        return F.gelu(y, approximate="tanh") if self._gelu else y


def _fuses_gelu(x: torch.Tensor) -> bool:
    """Whether oneDNN, which can apply GELU while it writes a product, is the library for this product."""
    plain = x.device.type == "cpu" and not torch.is_grad_enabled() and not torch.compiler.is_compiling()
    if not plain or torch.is_autocast_enabled("cpu"):
        return False
    return fast_fp32_available() if x.dtype == torch.float32 else x.dtype == torch.bfloat16 and packs_bf16()


def linear(x: torch.Tensor, weight_OI: torch.Tensor, bias_O: torch.Tensor | None = None) -> torch.Tensor:
    """``F.linear``, by :func:`~fairseq_plugin.core.cpu_products.fast_fp32_products` where they exist.

    ``weight_OI`` may also be what a :class:`Cast` has packed.
    """
    if weight_OI.is_mkldnn:
        return packed_linear(x, weight_OI, bias_O)
    special = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.compiler.is_compiling()
    # Under autocast the product is one of bfloat16, cast and differentiated by torch itself.
    if not special or torch.is_autocast_enabled("cpu") or not fast_fp32_available():
        return F.linear(x, weight_OI, bias_O)
    if torch.is_grad_enabled():
        return _FastLinear.apply(x, weight_OI, bias_O)
    with fast_fp32_products():
        return F.linear(x, weight_OI, bias_O)


class _FastLinear(torch.autograd.Function):
    """The choice of library is one of the process, so the backward pass has to make it again."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight_OI: torch.Tensor, bias_O: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight_OI)
        with fast_fp32_products():
            return F.linear(x, weight_OI, bias_O)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight_OI = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        dy_NO = dy.flatten(0, -2)
        with fast_fp32_products():
            dx = (dy_NO @ weight_OI).view_as(x) if wants_x else None
            dweight_OI = dy_NO.t() @ x.flatten(0, -2) if wants_weight else None
        return dx, dweight_OI, dy_NO.sum(0) if wants_bias else None


class Cast:
    """A parameter in another dtype; outside of training the copy is kept until the parameter changes.

    Without it every decoded token would convert all weights again, which takes longer than using them.

    Args:
        packed: keep the copy of a matrix in the layout in which oneDNN multiplies, where
            :func:`~fairseq_plugin.core.packed.wants_packed` says so. Only :func:`linear` can use such a copy.
    """

    def __init__(self, packed: bool = False) -> None:
        self._packed, self._kept = packed, Kept()

    def __call__(self, parameter: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            self.forget()
            return parameter.to(dtype)
        packs = self._packed and wants_packed(parameter, dtype)
        if parameter.dtype == dtype and not packs:
            return parameter
        return self._kept.get(
            parameter, (dtype, packs), lambda one: pack(one.to(dtype)) if packs else one.to(dtype)
        )

    def forget(self) -> None:
        """See :meth:`~fairseq_plugin.core.kept.Kept.forget`."""
        self._kept.forget()
