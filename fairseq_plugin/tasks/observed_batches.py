"""Batches for ``fairseq-eval-lm`` whose logits are looked at on the way, so that nothing is computed twice.

The stock command adds up one number over all batches. This iterable hands it the batches and sees the model's
own output for each of them through a forward hook.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from fairseq_plugin.errors import plain_errors
from fairseq_plugin.files import atomic_write


class ObservedBatches:
    """Args:
    batches: iterable of batches with ``target``.
    model: the model that the command evaluates.
    names: of what is told apart.
    pad: index of ``<pad>``.
    folder: where the report goes, or ``None``.
    """

    file_name: str  # of the report

    def __init__(
        self,
        batches: Any,
        model: torch.nn.Module,
        names: Sequence[str],
        pad: int,
        folder: str | Path | None = None,
    ) -> None:
        self.batches, self.model, self.names, self.pad, self.folder = batches, model, names, pad, folder
        self._batch: Mapping[str, Any] = {}

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        hook = self.model.register_forward_hook(self._look)
        try:
            for batch in self.batches:
                self._batch = batch
                yield batch
        finally:
            hook.remove()
        stated = self.report()
        if self.folder:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
            with atomic_write(Path(self.folder) / self.file_name) as stream:
                json.dump(stated, stream, indent=1, ensure_ascii=False)

    @plain_errors()
    def _look(self, _model: torch.nn.Module, _inputs: Any, output: Any) -> Any:
        logits_BTV = self.see(self._batch, output[0].detach())
        return None if logits_BTV is None else (logits_BTV, *output[1:])

    def see(self, batch: Mapping[str, Any], logits_BTV: torch.Tensor) -> torch.Tensor | None:
        """Add a batch up; the logits that the command shall see instead, or None."""
        raise NotImplementedError

    def report(self) -> Mapping[str, Any]:
        """Tell a person what was added up, and return it for the file."""
        raise NotImplementedError
