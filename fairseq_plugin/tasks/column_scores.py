"""Nats by column, observed while the stock ``fairseq-eval-lm`` scores rows of a table."""

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from fairseq_plugin.core.allowed_symbols import AllowedSymbols
from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.files import atomic_write
from fairseq_plugin.reports.display import visible

logger = logging.getLogger(__name__)
FILE_NAME = "nats.json"


class ColumnScores:
    """Batches for ``fairseq-eval-lm``; the softmax that it sees is over the allowed symbols.

    The stock command knows nothing of allowed symbols: through a forward hook the others' logits are put to
    -inf before it looks at them, and what each column costs is added up on the way.

    Args:
        batches: iterable of batches with ``target``, ``allowed`` and ``columns``.
        model: the model that the command evaluates.
        names: of the columns in the code's order.
        pad: index of ``<pad>``.
        folder: where ``nats.json`` goes, or ``None``.
    """

    def __init__(
        self,
        batches: Any,
        model: torch.nn.Module,
        names: Sequence[str],
        pad: int,
        folder: str | Path | None = None,
    ) -> None:
        self.batches, self.model, self.names, self.pad, self.folder = batches, model, names, pad, folder
        self.nats_C = torch.zeros(len(names) + 1, dtype=torch.float64)  # the last: ends, which cost nothing
        self.num_rows = 0
        self._batch: Mapping[str, Any] = {}

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        hook = self.model.register_forward_hook(self._mask_and_add)
        try:
            for batch in self.batches:
                self._batch = batch
                yield batch
        finally:
            hook.remove()
        self._report()

    @plain_errors()
    def _mask_and_add(self, _model: torch.nn.Module, _inputs: Any, output: Any) -> Any:
        logits_BTV = output[0].detach().float()
        target_BT = self._batch["target"].to(logits_BTV.device)
        flat_NV = logits_BTV.view(-1, logits_BTV.shape[-1])
        positions_N = torch.arange(len(flat_NV), device=flat_NV.device)
        AllowedSymbols(*self._batch["allowed"].to(flat_NV.device)).forbid(flat_NV, positions_N)
        logp_BT = logits_BTV.gather(2, target_BT.unsqueeze(2)).squeeze(2) - logits_BTV.logsumexp(2)
        is_scored_BT = target_BT.ne(self.pad)
        nats_N = -logp_BT[is_scored_BT].double()
        if not torch.isfinite(nats_N).all():
            wrong_B = (~torch.isfinite(logp_BT) & is_scored_BT).any(1)
            bad = self._batch["id"][wrong_B.cpu()].tolist()
            raise UserError(f"the model gives NaN or no probability at all to symbols of rows {bad[:10]}")
        column_N = self._batch["columns"].to(target_BT.device)[is_scored_BT]
        self.nats_C.index_add_(0, column_N.cpu(), nats_N.cpu())
        self.num_rows += len(target_BT)
        return (logits_BTV, *output[1:])

    def _report(self) -> None:
        rows = max(self.num_rows, 1)
        by_column = {name: nats / rows for name, nats in zip(self.names, self.nats_C.tolist())}
        total = float(self.nats_C.sum()) / rows
        for name, nats in [*by_column.items(), ("all columns", total)]:
            logger.info("Nats per row | %s | %.4f | %.4f bits", visible(name), nats, nats / math.log(2))
        if self.folder:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
            with atomic_write(Path(self.folder) / FILE_NAME) as stream:
                stated = {"rows": self.num_rows, "nats_per_row": total, "columns": by_column}
                json.dump(stated, stream, indent=1, ensure_ascii=False)
