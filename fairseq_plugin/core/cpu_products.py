"""Full-speed float32 matrix products on AMD processors with AVX-512.

PyTorch's float32 products go through Intel MKL, which gives its AVX-512 kernels to Intel processors only.
oneDNN, which PyTorch carries too, has no such rule, but is asked for float32 products only when reduced
precision was allowed (``torch.backends.mkldnn.matmul.fp32_precision = "bf16"``). Where the processor has no
AMX tile unit, oneDNN has no reduced-precision kernel for float32 operands either and computes in true
float32. Measured on 2 Zen 5 cores, 2,048 x 2,048 x 2,048: 223 GFLOP/s by MKL, 441-485 by oneDNN, both with
float32 rounding errors.

So on exactly these processors (AMD or Hygon, AVX-512, no AMX), and only after a check of the rounding error
on real products, :func:`fast_fp32_products` lends the products inside its block to oneDNN. The choice depends
on the processor alone, never on a timing, so two runs on one machine use the same kernels. Everywhere else it
does nothing.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


@contextmanager
def fast_fp32_products(device_type: str = "cpu") -> Iterator[None]:
    """Compute float32 products in the block by the faster of PyTorch's two libraries, in true float32.

    The setting is one of the process, restored at the end of the block. Also usable as a decorator.

    Args:
        device_type: where the products run; anything but ``"cpu"`` leaves all as it is.
    """
    if device_type != "cpu" or not fast_fp32_available():
        yield
        return
    with _onednn():
        yield


@contextmanager
def _onednn() -> Iterator[None]:
    matmul: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # torch's own types miss it
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


@functools.cache
def fast_fp32_available() -> bool:
    """Whether this machine is one where oneDNN's float32 products are both faster and true float32."""
    if not torch.backends.mkldnn.is_available() or "AVX512" not in torch.backends.cpu.get_cpu_capability():
        return False
    vendor, flags = _processor()
    if vendor not in ("AuthenticAMD", "HygonGenuine") or any(flag.startswith("amx") for flag in flags):
        return False
    return _rounds_like_fp32()


def _processor() -> tuple[str, frozenset[str]]:
    # Linux only; elsewhere the answer "unknown" leaves PyTorch as it is.
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown", frozenset()
    fields = {}
    for line in text.split("\n\n", 1)[0].split("\n"):  # of the first processor
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()
    return fields.get("vendor_id", "unknown"), frozenset(fields.get("flags", "").split())


def _rounds_like_fp32() -> bool:
    """Compare one product of each orientation with float64; bfloat16 arithmetic would be about 1,000 times
    worse."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(160, 160, generator=generator) for _ in range(2))
    for left, right in ((a, b), (a, b.t()), (a.t(), b), (a.t(), b.t())):
        true = left.double() @ right.double()
        plain_error = (left @ right - true).abs().max()
        with _onednn():
            error = (left @ right - true).abs().max()
        if error > 8 * plain_error:
            return False
    return True
