"""Calls of a function that only moves numbers between tensors of its own, recorded once as a CUDA graph.

A step of a small network is a few hundred kernels; launching them one by one takes the host longer than the
device needs for them. A graph is launched at once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

# Calls before recording: libraries choose their kernels and copies of weights are made.
_WARM_UP = 2


class Captured:
    """On CUDA a recorded function; elsewhere the plain one, so that the same code runs without a GPU.

    Args:
        function: called with the numbers of a key, under ``no_grad``. It reads and writes tensors that stay
            where they are, in shapes that follow from the key alone, and never asks for a value of a tensor.
        state: all that it changes and a second call would feel; recording leaves it as it was.
        device: of the tensors.
    """

    def __init__(
        self, function: Callable[..., None], state: Sequence[torch.Tensor], device: torch.device
    ) -> None:
        self._function, self._state, self._on_cuda = function, tuple(state), device.type == "cuda"
        self._device = device
        self._graphs: dict[tuple[int, ...], torch.cuda.CUDAGraph] = {}
        self._memory: Any = None  # one pool for all graphs: they never run side by side

    @torch.no_grad()
    def __call__(self, *key: int) -> None:
        """What ``function(*key)`` does."""
        if not self._on_cuda:
            self._function(*key)
            return
        if key not in self._graphs:
            with torch.cuda.device(self._device):
                self._graphs[key] = self._record(key)
        self._graphs[key].replay()

    def _record(self, key: tuple[int, ...]) -> torch.cuda.CUDAGraph:
        before = [tensor.clone() for tensor in self._state]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                self._function(*key)
                self._restore(before)
        torch.cuda.current_stream().wait_stream(side)
        self._memory = self._memory or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._memory):
            self._function(*key)
        return graph

    def _restore(self, before: Sequence[torch.Tensor]) -> None:
        for tensor, value in zip(self._state, before, strict=True):
            tensor.copy_(value)
