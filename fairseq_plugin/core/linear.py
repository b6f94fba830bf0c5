"""Linear layers in the dtype of their input, with the CPU's faster float32 products in both directions.

Legend: N rows (any number of leading dimensions), I width in, O width out.

    y_NO = x_NI @ weight_OI.T + bias_O
    dx_NI = dy_NO @ weight_OI;  dweight_OI = dy_NO.T @ x_NI;  dbias_O = dy_NO.sum(0)
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from fairseq_plugin.core.cpu_products import fast_fp32_available, fast_fp32_products


class Linear(nn.Linear):
    """``nn.Linear`` in the dtype of its input, whatever the dtype of its weights."""

    def __init__(self, num_in, num_out):
        super().__init__(num_in, num_out)
        self._weight_cast, self._bias_cast = Cast(), Cast()

    def reset_parameters(self):
        """Leave the weights as allocated: the network fills them all."""

    def forward(self, x):
        return linear(x, self._weight_cast(self.weight, x.dtype), self._bias_cast(self.bias, x.dtype))


def linear(x, weight_OI, bias_O=None):
    """``F.linear``, by :func:`~fairseq_plugin.core.cpu_products.fast_fp32_products` where they exist."""
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
    def forward(ctx, x, weight_OI, bias_O):
        ctx.save_for_backward(x, weight_OI)
        with fast_fp32_products():
            return F.linear(x, weight_OI, bias_O)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, dy):
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
    """

    def __init__(self):
        self._of = self._copy = None

    def __call__(self, parameter, dtype):
        if parameter.dtype == dtype:
            return parameter
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            self._of = self._copy = None
            return parameter.to(dtype)
        of = (parameter.data_ptr(), parameter._version, dtype)
        if self._of != of:
            self._of, self._copy = of, parameter.detach().to(dtype)
        return self._copy
