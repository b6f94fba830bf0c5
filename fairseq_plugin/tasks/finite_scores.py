"""Batches for ``fairseq-eval-lm`` that stop it at NaN."""

from collections.abc import Iterator
from typing import Any

import torch

from fairseq_plugin.errors import UserError, plain_errors


class FiniteScores:
    """Hands out batches and looks at the model's output for each.

    The stock command leaves infinite scores out of the perplexity, and prints ``nan`` with status 0. It asks
    the task for batches and for nothing else; what the model made of them it keeps to itself. So the output
    is read by torch's forward hook, which is there while batches are handed out and no longer.

    Args:
        batches: batches with ``id``, of known number.
        model: the model that the command evaluates; what it returns first are logits ``(B, T, V)``.
    """

    def __init__(self, batches: Any, model: torch.nn.Module) -> None:
        self.batches, self.model = batches, model
        self._is_finite: torch.Tensor | None = None  # of the latest output

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        hook = self.model.register_forward_hook(self._look)
        try:
            for batch in self.batches:
                yield batch
                if batch:
                    self._require(batch)
        finally:
            hook.remove()

    def _look(self, _model: torch.nn.Module, _inputs: object, output: Any) -> None:
        # Padding may give anything, but amax of real logits is finite: -inf only forbids single tokens.
        self._is_finite = torch.isfinite(output[0].detach().amax(-1)).all()

    @plain_errors()
    def _require(self, batch: dict[str, Any]) -> None:
        if self._is_finite is not None and not self._is_finite:
            raise UserError(
                f"the model gives NaN or infinite outputs for the samples {batch['id'].tolist()[:10]}: its "
                "weights are damaged or its training diverged; use an earlier checkpoint"
            )
