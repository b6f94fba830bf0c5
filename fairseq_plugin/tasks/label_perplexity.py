"""Perplexity by label, observed while the stock ``fairseq-eval-lm`` scores a split."""

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.reports.display import visible
from fairseq_plugin.tasks.observed_batches import ObservedBatches

logger = logging.getLogger(__name__)


class LabelPerplexity(ObservedBatches):
    """The score by label; batches have ``labels`` and ``start_indices`` too, ``names`` are the labels'."""

    file_name = "perplexity.json"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.nll_L = torch.zeros(len(self.names), dtype=torch.float64)
        self.tokens_L = torch.zeros(len(self.names), dtype=torch.int64)

    def see(self, batch: Mapping[str, Any], logits_BTV: torch.Tensor) -> None:
        target_BT = batch["target"].to(logits_BTV.device)
        starts_B1 = torch.tensor(batch["start_indices"], device=target_BT.device).unsqueeze(1)
        scored_BT = target_BT.ne(self.pad) & (
            torch.arange(target_BT.shape[1], device=target_BT.device) >= starts_B1
        )
        examples, positions = scored_BT.nonzero(as_tuple=True)
        logits_NV = logits_BTV[examples, positions].float()
        nll_N = logits_NV.logsumexp(-1) - logits_NV.gather(
            1, target_BT[examples, positions].unsqueeze(1)
        ).squeeze(1)
        if not torch.isfinite(nll_N).all():
            bad = batch["id"][examples[~torch.isfinite(nll_N)].unique().cpu()].tolist()
            raise UserError(f"the model gives NaN or no probability at all to tokens of samples {bad[:10]}")
        labels_N = batch["labels"][examples.cpu()]
        self.nll_L.index_add_(0, labels_N, nll_N.double().cpu())
        self.tokens_L += torch.bincount(labels_N, minlength=len(self.names))

    def report(self) -> Mapping[str, Any]:
        tokens, nll = self.tokens_L.tolist(), self.nll_L.tolist()
        report = {name: _entry(nll[i], tokens[i]) for i, name in enumerate(self.names) if tokens[i]}
        overall = _entry(sum(nll), sum(tokens))
        for name, entry in [*report.items(), ("all labels", overall)]:
            logger.info(
                "Perplexity of the sentences given their label | %s | %d tokens | nll %.8f nats | ppl %.8g",
                visible(name),
                entry["tokens"],
                entry["nll"],
                entry["ppl"],
            )
        return {"all": overall, "labels": report}


def _entry(nll: float, tokens: int) -> dict[str, float]:
    mean = nll / tokens if tokens else float("nan")
    return {"tokens": tokens, "nll": mean, "ppl": math.exp(mean) if tokens else float("nan")}
