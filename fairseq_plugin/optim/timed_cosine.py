"""``--lr-scheduler timed_cosine``: a rate that is zero when a training stops, by updates or the clock.

fairseq's cosine follows the updates alone: a training that ``--stop-time-hours`` ends stops at a high rate.
At update u of U with w of warmup, and second t of T with the warmup's end at t_w,

    progress = max((u - w) / (U - w), (t - t_w) / (T - t_w))
    rate     = lr * (1 + cos(pi * progress)) / 2;    lr * u / w during warmup

Seconds count what fairseq counts, validations and samples included, over all runs of a training. A training
by the clock is not the same twice: where bits matter, leave ``--stop-time-hours`` out, and this is fairseq's
cosine that ends at zero. One process alone: clocks of several differ, and so would their weights.
"""

import math
import time
from dataclasses import dataclass, field
from typing import Any, List

from fairseq.dataclass import FairseqDataclass
from fairseq.distributed import utils as distributed_utils
from fairseq.optim.lr_scheduler import FairseqLRScheduler, register_lr_scheduler
from omegaconf import II

from fairseq_plugin.errors import UserError, plain_errors


@dataclass
class TimedCosineConfig(FairseqDataclass):
    warmup_updates: int = field(
        default=0, metadata={"help": "updates over which the rate rises from 0 to --lr, >= 0"}
    )
    max_update: int = II("optimization.max_update")
    stop_time_hours: float = II("optimization.stop_time_hours")
    lr: List[float] = field(default=II("optimization.lr"))


@register_lr_scheduler("timed_cosine", dataclass=TimedCosineConfig)
class TimedCosine(FairseqLRScheduler):
    """The module's formula.

    Args:
        cfg: a :class:`TimedCosineConfig`.
        optimizer: whose rate it sets.

    Raises:
        SystemExit: flags without an end to fall to, or several processes.
    """

    @plain_errors()
    def __init__(self, cfg: Any, optimizer: Any) -> None:
        super().__init__(cfg, optimizer)
        if cfg.max_update <= cfg.warmup_updates or cfg.warmup_updates < 0:
            raise UserError(
                f"--lr-scheduler timed_cosine falls to zero at --max-update, which must be more than "
                f"--warmup-updates {cfg.warmup_updates}, not {cfg.max_update}"
            )
        if distributed_utils.get_data_parallel_world_size() > 1:
            raise UserError(
                "--lr-scheduler timed_cosine follows one clock, and several processes have several: use "
                "--lr-scheduler cosine with them"
            )
        self._limit = cfg.stop_time_hours * 3600
        self._start = time.monotonic()
        self._before = 0.0  # seconds of earlier runs
        self._warm: float | None = None  # second at which the warmup ended
        self._progress = 0.0
        self.step_update(0)

    def seconds(self) -> float:
        """Of training so far, over all its runs."""
        return self._before + time.monotonic() - self._start

    def step_update(self, num_updates: int) -> float:
        """Set the rate of the update that follows ``num_updates`` others."""
        peak, warmup = self.cfg.lr[0], self.cfg.warmup_updates
        if num_updates < warmup:
            rate = peak * num_updates / warmup
        else:
            now = self.seconds()
            self._warm = now if self._warm is None else self._warm
            done = [(num_updates - warmup) / (self.cfg.max_update - warmup)]
            if self._limit > 0:
                done.append((now - self._warm) / max(self._limit - self._warm, 1e-9))
            self._progress = min(max(self._progress, *done), 1.0)  # a clock set back does not heat again
            rate = peak * (1.0 + math.cos(math.pi * self._progress)) / 2.0
        assert self.optimizer is not None  # the trainer gives it
        self.optimizer.set_lr(rate)
        return rate

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "best": self.best, "seconds": self.seconds(), "warm": self._warm, "progress": self._progress
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint; another schedule's state has no seconds and begins the clock anew."""
        self.best = state_dict.get("best")
        self._start, self._before = time.monotonic(), float(state_dict.get("seconds", 0.0))
        self._warm, self._progress = state_dict.get("warm"), float(state_dict.get("progress", 0.0))
