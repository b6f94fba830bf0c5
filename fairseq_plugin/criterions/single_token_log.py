"""Single-token metrics in validation: fairseq's logs around :mod:`fairseq_plugin.core.single_token`.

Logged per token: ``rep_l``, ``wrep_l``, ``human_rep_l`` for l in 16, 32, 128, 512, ``hits10``, ``rank``
(mean); over the whole split: ``uniq`` and ``human_uniq``, the number of distinct predicted tokens and of
distinct targets. They are counted in one process; where several share a split, the two are left out.
"""

import torch
from fairseq.logging import metrics
from fairseq.logging.meters import MetersDict

from fairseq_plugin.core.single_token import WINDOWS, single_token_counts

_SHARES = [f"{kind}_{window}" for window in WINDOWS for kind in ("rep", "wrep", "human_rep")] + ["hits10"]


class Distinct(int):
    """The number of distinct tokens of a batch, which remembers the tokens: logs print a number."""

    def __new__(cls, tokens):
        """``tokens``: int64 of any shape."""
        types = torch.unique(tokens).tolist()
        number = super().__new__(cls, len(types))
        number.types = types
        return number


class _DistinctMeter(MetersDict._DerivedMeter):
    """Counts the tokens it was ever told. Derived meters stay out of checkpoints."""

    def __init__(self):
        super().__init__(lambda _: len(self.types))
        self.types = set()

    def update(self, distinct):
        self.types.update(distinct.types)


def single_token_log(predictions, target_BT, ignore_index):
    """Logging values of one batch.

    Args:
        predictions: :class:`~fairseq_plugin.core.position_rules.Predictions`.
        target_BT: int64 ``(B, T)``.
        ignore_index: the padding index.

    Returns:
        dict of sums; in a single process also two :class:`Distinct`.
    """
    predicted_BT, rank_BT = predictions
    counts = single_token_counts(predicted_BT, target_BT, rank_BT, ignore_index=ignore_index)
    log = {key: counts[key] for key in (*_SHARES, "rank_sum")}
    if _one_process():
        scored_BT = target_BT != ignore_index
        log["predicted_types"] = Distinct(predicted_BT[scored_BT])
        log["target_types"] = Distinct(target_BT[scored_BT])
    return log


def log_single_token(logging_outputs, num_scored, weight):
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
            if isinstance(log.get(key), Distinct):
                metrics.log_custom(_DistinctMeter, name, log[key])


def _one_process():
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not distributed or torch.distributed.get_world_size() == 1
