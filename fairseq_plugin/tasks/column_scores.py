"""Nats by column, observed while the stock ``fairseq-eval-lm`` scores rows of a table."""

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch

from fairseq_plugin.core.allowed_symbols import AllowedSymbols
from fairseq_plugin.errors import UserError
from fairseq_plugin.reports.display import visible
from fairseq_plugin.tasks.observed_batches import ObservedBatches

logger = logging.getLogger(__name__)


class ColumnScores(ObservedBatches):
    """What each column costs; batches have ``allowed`` and ``columns`` too, ``names`` are the columns'.

    The stock command knows nothing of allowed symbols: the others' logits are put to -inf before it looks at
    them.
    """

    file_name = "nats.json"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.nats_C = torch.zeros(len(self.names) + 1, dtype=torch.float64)  # last: ends, which cost nothing
        self.num_rows = 0

    def see(self, batch: Mapping[str, Any], logits_BTV: torch.Tensor) -> torch.Tensor:
        logits_BTV = logits_BTV.float()
        target_BT = batch["target"].to(logits_BTV.device)
        flat_NV = logits_BTV.view(-1, logits_BTV.shape[-1])
        positions_N = torch.arange(len(flat_NV), device=flat_NV.device)
        AllowedSymbols(*batch["allowed"].to(flat_NV.device)).forbid(flat_NV, positions_N)
        logp_BT = logits_BTV.gather(2, target_BT.unsqueeze(2)).squeeze(2) - logits_BTV.logsumexp(2)
        is_scored_BT = target_BT.ne(self.pad)
        nats_N = -logp_BT[is_scored_BT].double()
        if not torch.isfinite(nats_N).all():
            wrong_B = (~torch.isfinite(logp_BT) & is_scored_BT).any(1)
            bad = batch["id"][wrong_B.cpu()].tolist()
            raise UserError(f"the model gives NaN or no probability at all to symbols of rows {bad[:10]}")
        column_N = batch["columns"].to(target_BT.device)[is_scored_BT]
        self.nats_C.index_add_(0, column_N.cpu(), nats_N.cpu())
        self.num_rows += len(target_BT)
        return logits_BTV

    def report(self) -> Mapping[str, Any]:
        rows = max(self.num_rows, 1)
        by_column = {name: nats / rows for name, nats in zip(self.names, self.nats_C.tolist())}
        total = float(self.nats_C.sum()) / rows
        for name, nats in [*by_column.items(), ("all columns", total)]:
            logger.info("Nats per row | %s | %.4f | %.4f bits", visible(name), nats, nats / math.log(2))
        return {"rows": self.num_rows, "nats_per_row": total, "columns": by_column}
