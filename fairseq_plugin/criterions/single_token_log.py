"""Single-token metrics in validation: fairseq's logs around :mod:`fairseq_plugin.core.single_token`.

Logged per token: ``rep_l``, ``wrep_l``, ``human_rep_l`` for l in 16, 32, 128, 512, ``hits10``, ``rank``
(mean); over the whole split: ``uniq`` and ``human_uniq``, the number of distinct predicted tokens and of
distinct targets. They are counted in one process; where several share a split, the two are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from fairseq.logging import metrics
from fairseq.logging.meters import MetersDict

from fairseq_plugin.core.position_rules import Predictions
from fairseq_plugin.core.single_token import WINDOWS, single_token_counts

_SHARES = [f"{kind}_{window}" for window in WINDOWS for kind in ("rep", "wrep", "human_rep")] + ["hits10"]


@dataclass(frozen=True)
class DistinctTokens:
    """The distinct tokens of a batch, which fairseq's progress bars show as their number."""

    tokens: frozenset[int]

    def __str__(self) -> str:
        return str(len(self.tokens))


class _DistinctMeter(MetersDict._DerivedMeter):
    """Counts the tokens it was ever told. Derived meters stay out of checkpoints."""

    def __init__(self) -> None:
        super().__init__(lambda _: len(self.tokens))
        self.tokens: set[int] = set()

    def update(self, distinct: DistinctTokens) -> None:
        self.tokens |= distinct.tokens


def single_token_log(predictions: Predictions, target_BT: torch.Tensor, ignore_index: int) -> dict[str, Any]:
    """Logging values of one batch.

    Args:
        predictions: what the model says at every position.
        target_BT: int64 ``(B, T)``.
        ignore_index: the padding index.

    Returns:
        Sums; in a single process also two :class:`DistinctTokens`.
    """
    predicted_BT, rank_BT = predictions
    counts = single_token_counts(predicted_BT, target_BT, rank_BT, ignore_index=ignore_index)
    log: dict[str, Any] = {key: counts[key] for key in (*_SHARES, "rank_sum")}
    if _one_process():
        scored_BT = target_BT != ignore_index
        log["predicted_types"] = DistinctTokens(frozenset(predicted_BT[scored_BT].unique().tolist()))
        log["target_types"] = DistinctTokens(frozenset(target_BT[scored_BT].unique().tolist()))
    return log


def log_single_token(logging_outputs: Sequence[Mapping[str, Any]], num_scored: Any, weight: Any) -> None:
    """Put the values of :func:`single_token_log` into fairseq's meters; nothing where there are none.

    Args:
        logging_outputs: of all batches and workers.
        num_scored: their scored positions, at least 1.
        weight: of the averages, tokens.
    """
    if not any("rank_sum" in log for log in logging_outputs):
        return
    for key in _SHARES:
        share = sum(log.get(key, 0) for log in logging_outputs) / num_scored
        metrics.log_scalar(key, share, weight, round=4)
    rank = sum(log.get("rank_sum", 0) for log in logging_outputs) / num_scored
    metrics.log_scalar("rank", rank, weight, round=2)
    for key, name in (("predicted_types", "uniq"), ("target_types", "human_uniq")):
        for log in logging_outputs:
            if isinstance(log.get(key), DistinctTokens):
                metrics.log_custom(_DistinctMeter, name, log[key])


def _one_process() -> bool:
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not distributed or torch.distributed.get_world_size() == 1
