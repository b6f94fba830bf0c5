"""Does this machine compute in bfloat16, or only pretend to?"""

import time
from collections.abc import Callable, Sequence

import torch

Product = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# Emulated products are 20 to 50 times slower than float32, native ones 2 to 5 times faster.
_TOO_SLOW = 4.0


def why_not_bf16(device_type: str) -> str | None:
    """Say what speaks against bfloat16.

    Args:
        device_type: ``"cpu"`` or ``"cuda"``.

    Returns:
        A reason, or ``None`` if bfloat16 is worth using.
    """
    if device_type == "cuda":
        return None if torch.cuda.is_bf16_supported(including_emulation=False) else "this GPU has no bfloat16"
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return "this CPU has no bfloat16 instructions"
    slowest = max(slowdowns())
    return (
        f"bfloat16 products are {slowest:.0f} times slower than float32 here" if slowest > _TOO_SLOW else None
    )


def writes_in_bf16(device: str) -> bool:
    """Whether texts are written in bfloat16 where nobody says: on a GPU that has it.

    A CPU keeps to what is in the files: the same texts on any machine.
    """
    return device.startswith("cuda") and why_not_bf16("cuda") is None


def slowdowns(num_positions: int = 128, width: int = 512) -> list[float]:
    """Time of bfloat16 over float32 for the three products of a linear layer (about 10 ms in all).

    Some CPUs have fast kernels for one orientation and emulate another, so each is tried. One thread's
    processor time is measured, not the clock: a busy machine must not decide differently from an idle one.
    """
    products = (
        lambda x, w: x @ w.t(),  # forward
        lambda x, w: x @ w,  # gradient of the input
        lambda x, w: x.t() @ x,  # gradient of the weights
    )
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = {
            dtype: _seconds(products, num_positions, width, dtype)
            for dtype in (torch.float32, torch.bfloat16)
        }
    finally:
        torch.set_num_threads(num_threads)
    return [half / full for half, full in zip(seconds[torch.bfloat16], seconds[torch.float32], strict=True)]


def _seconds(products: Sequence[Product], num_positions: int, width: int, dtype: torch.dtype) -> list[float]:
    x, w = torch.ones(num_positions, width, dtype=dtype), torch.ones(width, width, dtype=dtype)
    return [min(_time(product, x, w) for _ in range(4)) for product in products]  # the first one warms up


def _time(product: Product, x: torch.Tensor, w: torch.Tensor) -> float:
    start = time.thread_time()
    product(x, w)
    return time.thread_time() - start
