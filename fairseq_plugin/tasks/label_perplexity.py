"""Perplexity by label, observed while the stock ``fairseq-eval-lm`` scores a split."""

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.files import atomic_write
from fairseq_plugin.reports.display import visible

logger = logging.getLogger(__name__)


class LabelPerplexity:
    """Batches for ``fairseq-eval-lm`` that also keep the score by label.

    The stock command adds up one number over all batches. This iterable hands it the batches and reads
    the model's own output for each of them through a forward hook, so nothing is computed twice.

    Args:
        batches: iterable of batches with ``target``, ``labels`` and ``start_indices``.
        model: the model that the command evaluates.
        names: label names.
        pad: index of ``<pad>``.
        folder: where ``perplexity.json`` goes, or ``None``.
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
        self.nll_L = torch.zeros(len(names), dtype=torch.float64)
        self.tokens_L = torch.zeros(len(names), dtype=torch.int64)
        self._logits: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        hook = self.model.register_forward_hook(self._keep_logits)
        try:
            for batch in self.batches:
                yield batch
                if batch:
                    self._add(batch)
        finally:
            hook.remove()
        self._report()

    def _keep_logits(self, _model: torch.nn.Module, _inputs: Any, output: Any) -> None:
        self._logits = output[0].detach()

    @plain_errors()
    def _add(self, batch: Mapping[str, Any]) -> None:
        assert self._logits is not None, "the command evaluates each batch before it asks for the next"
        target_BT = batch["target"].to(self._logits.device)
        starts_B1 = torch.tensor(batch["start_indices"], device=target_BT.device).unsqueeze(1)
        scored_BT = target_BT.ne(self.pad) & (
            torch.arange(target_BT.shape[1], device=target_BT.device) >= starts_B1
        )
        examples, positions = scored_BT.nonzero(as_tuple=True)
        logits_NV = self._logits[examples, positions].float()
        nll_N = logits_NV.logsumexp(-1) - logits_NV.gather(
            1, target_BT[examples, positions].unsqueeze(1)
        ).squeeze(1)
        if not torch.isfinite(nll_N).all():
            bad = batch["id"][examples[~torch.isfinite(nll_N)].unique().cpu()].tolist()
            raise UserError(f"the model gives NaN or no probability at all to tokens of samples {bad[:10]}")
        labels_N = batch["labels"][examples.cpu()]
        self.nll_L.index_add_(0, labels_N, nll_N.double().cpu())
        self.tokens_L += torch.bincount(labels_N, minlength=len(self.names))
        self._logits = None

    def _report(self) -> None:
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
        if self.folder:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
            with atomic_write(Path(self.folder) / "perplexity.json") as stream:
                json.dump({"all": overall, "labels": report}, stream, indent=1, ensure_ascii=False)


def _entry(nll: float, tokens: int) -> dict[str, float]:
    mean = nll / tokens if tokens else float("nan")
    return {"tokens": tokens, "nll": mean, "ppl": math.exp(mean) if tokens else float("nan")}
