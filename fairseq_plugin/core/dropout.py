"""Dropout that spends a quarter of the random numbers on the CPU, where drawing them is what it costs.

A 64-bit draw of torch's generator decides about four elements, 16 bits each: drop where the 16-bit number is
below ``p`` x 65,536. The probability is exact to 1 / 131,072, and the scale is that of the probability used.
On other devices, and while compiling, torch's own dropout is the faster one and is used.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F

_VALUES = 1 << 16


class Dropout(nn.Module):
    """``nn.Dropout`` with :func:`dropout`."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return dropout(x, self.p) if self.training and self.p > 0 else x

    def extra_repr(self) -> str:
        return f"p={self.p}"


def dropout(x: torch.Tensor, p: float) -> torch.Tensor:
    """Zero each element with probability ``p`` in (0, 1) and scale the others by 1 / (1 - p)."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, p)
    return _Dropout.apply(x, p)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, p: float) -> torch.Tensor:
        ctx.keep, ctx.scale = draw_keep(x.shape, p)
        return (x * ctx.keep).mul_(ctx.scale)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, None]:
        return (dy * ctx.keep).mul_(ctx.scale), None


def draw_keep(shape: Sequence[int], p: float) -> tuple[torch.Tensor, float]:
    """Decide for each element, with torch's CPU generator.

    Args:
        shape: of the decisions.
        p: probability in (0, 1) of dropping.

    Returns:
        ``(keep, scale)``: bool of that shape, and what to multiply the kept ones by.
    """
    num_dropped = min(round(p * _VALUES), _VALUES - 1)
    num_elements = torch.Size(shape).numel()
    draws = torch.empty(-(-num_elements // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = draws.view(torch.int16)[:num_elements].view(shape)  # uniform in [-32768, 32767]
    return bits >= num_dropped - _VALUES // 2, _VALUES / (_VALUES - num_dropped)
