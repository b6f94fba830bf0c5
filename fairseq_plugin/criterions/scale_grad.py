"""``--criterion scale_grad``: ScaleGrad for any fairseq model that returns logits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import ChoiceEnum
from fairseq.logging import metrics

from fairseq_plugin.core.gamma_schedule import SCHEDULES, GammaSchedule
from fairseq_plugin.core.scale_grad_rule import ScaleGradRule, check_settings
from fairseq_plugin.criterions.position_loss import PositionLossConfig, PositionLossCriterion, at_least_one


@dataclass
class ScaleGradCriterionConfig(PositionLossConfig):
    gamma: float = field(
        default=0.2,
        metadata={
            "help": "weight of tokens not yet seen in the sample before normalising, in (0, 1]; "
            "1 = maximum likelihood, smaller = fewer repetitions"
        },
    )
    gamma_schedule: ChoiceEnum(list(SCHEDULES)) = field(  # pyright: ignore[reportInvalidTypeForm]
        default="constant",
        metadata={
            "help": "how gamma changes over the updates: constant = --gamma throughout, linear = from "
            "--gamma-start to --gamma over --gamma-updates, warmup = --gamma-start for --gamma-updates, "
            "then --gamma"
        },
    )
    gamma_start: float = field(
        default=1.0,
        metadata={
            "help": "gamma of the first update under linear and warmup, in (0, 1]; 1 = maximum likelihood"
        },
    )
    gamma_updates: int = field(
        default=0,
        metadata={"help": "updates until --gamma is reached under linear and warmup, >= 1"},
    )
    parity_eps: float = field(
        default=0.0,
        metadata={
            "help": "probability added to each vocabulary entry before normalising, >= 0; 0 = exact, "
            "1e-8 = as the published code computes"
        },
    )


@register_criterion("scale_grad", dataclass=ScaleGradCriterionConfig)
class ScaleGradCriterion(PositionLossCriterion):
    """ScaleGrad loss in training, the true negative log-likelihood in validation.

    Logged besides what :class:`~fairseq_plugin.criterions.position_loss.PositionLossCriterion` says:
    ``scale_grad_loss`` (bits per token; in validation always under the final ``--gamma``, so that validations
    compare) and, in training under a schedule, ``gamma`` (of the latest update).

    Args:
        task: the fairseq task; its target dictionary names the padding.
        cfg: its settings.

    Raises:
        SystemExit: a flag out of range or without effect, or a worker that a launcher left alone.
    """

    rule_loss = "scale_grad_loss"

    def __init__(self, task: Any, cfg: Any) -> None:
        super().__init__(task, cfg)
        self.schedule = _schedule(cfg)

    def check_flags(self) -> None:
        cfg = self.cfg
        check_settings(cfg.gamma, cfg.parity_eps)
        _schedule(cfg)

    def gamma(self) -> float:
        """Of the update at work; in validation the final one."""
        if self.schedule.is_constant or not self.training:
            return self.cfg.gamma
        return self.schedule.at(self.updates.require(f"--gamma-schedule {self.cfg.gamma_schedule}"))

    def rule(self) -> ScaleGradRule:
        return ScaleGradRule(self.gamma(), self.cfg.parity_eps)

    def batch_loss(
        self, model: torch.nn.Module, sample: Mapping[str, Any]
    ) -> tuple[torch.Tensor, int, dict[str, Any]]:
        loss, sample_size, log = super().batch_loss(model, sample)
        if self.training and not self.schedule.is_constant:
            log |= {"gamma_sum": self.gamma(), "num_batches": 1}
        return loss, sample_size, log

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Combine the logging values of all batches and workers into the meters of the class's docstring."""
        super().reduce_metrics(logging_outputs)
        if any("gamma_sum" in log for log in logging_outputs):
            batches = at_least_one(sum(log.get("num_batches", 0) for log in logging_outputs))
            gamma = sum(log.get("gamma_sum", 0) for log in logging_outputs) / batches
            metrics.log_scalar("gamma", gamma, weight=0, round=4)


def _schedule(cfg: Any) -> GammaSchedule:
    return GammaSchedule(cfg.gamma, str(cfg.gamma_schedule), cfg.gamma_start, cfg.gamma_updates)
