"""Criterions that give another loss than the token-level one at a share of the updates."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from fairseq.logging import metrics

from fairseq_plugin.criterions.position_loss import PositionLossCriterion
from fairseq_plugin.sampling.keyed_random import keyed_uniform

# The random number with this key decides of which kind an update is; subclasses take keys from 1 on.
_COIN = 0


class MixedUpdates(PositionLossCriterion):
    """Token-level updates, and at a share of the updates a loss of the subclass's.

    A batch for which the subclass has none gives its token-level loss instead, which is counted. Logged
    besides what :class:`~fairseq_plugin.criterions.position_loss.PositionLossCriterion` says, where the share
    is not 0: ``KIND_loss`` (bits per token of that loss) and ``KIND_fallbacks``; token-level values are
    averaged over token-level updates.

    Attributes:
        kind: the first word of what is logged; the flag of the share is ``--KIND-share``.
        kind_tensors, kind_numbers: further values of a batch, sums. One worker may give its token-level loss
            where another does not, and fairseq sums the workers' values *by place*, tensors and numbers
            apart: every batch logs the same keys, in one order, of the same kinds.
    """

    kind: str
    kind_tensors: tuple[str, ...] = ()
    kind_numbers: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        return getattr(self.cfg, f"{self.kind}_share")

    def check_flags(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"--{self.kind}-share {self.share}: must be in [0, 1], a share of the updates")

    def check_model(self, model: Any) -> None:
        """Raise ``UserError`` for a model that the other loss cannot be computed for."""

    def other_loss(
        self, model: Any, sample: Mapping[str, Any], update: int
    ) -> tuple[torch.Tensor, int, dict[str, Any]] | None:
        """As :meth:`batch_loss`, its log made by :meth:`other_log`; None: this batch has no such loss."""
        raise NotImplementedError

    def batch_loss(self, model: Any, sample: Mapping[str, Any]) -> tuple[torch.Tensor, int, dict[str, Any]]:
        if not self.training or self.share == 0.0:
            return super().batch_loss(model, sample)
        self.check_model(model)
        update = self.updates.require(f"--{self.kind}-share")
        fallbacks = 0
        if self.is_other_update(update):
            found = self.other_loss(model, sample, update)
            if found is not None:
                return found
            fallbacks = 1
        loss, sample_size, log = super().batch_loss(model, sample)
        log |= dict.fromkeys(self._keys(("loss", *self.kind_tensors)), torch.zeros_like(log["loss"]))
        log |= dict.fromkeys(self._keys(("tokens", *self.kind_numbers)), 0)
        return loss, sample_size, log | {f"{self.kind}_fallbacks": fallbacks}

    def is_other_update(self, update: int) -> bool:
        """Whether the update after ``update`` others is one of the share: a matter of (seed, update)."""
        return self.uniform([_COIN], update).item() < self.share

    def uniform(self, keys: Iterable[int], update: int) -> torch.Tensor:
        """A random number for each key, by (seed, update); float64."""
        keys_K = torch.tensor(list(keys), dtype=torch.int64)
        return keyed_uniform(self.cfg.seed, keys_K, torch.full_like(keys_K, update))

    def other_log(
        self, loss: torch.Tensor, sample_size: int, sizes: tuple[int, int], values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The log of a batch with the other loss, in the order of a token-level one.

        Args:
            loss: summed, nats.
            sample_size: its divisor.
            sizes: tokens and sentences of the loss.
            values: of ``kind_tensors`` and ``kind_numbers``.
        """
        log: dict[str, Any] = {"loss": loss.detach()}
        scored = ("nll_loss", self.rule_loss, "num_correct", "num_novel", "num_scored")
        log |= dict.fromkeys(scored, torch.zeros_like(loss, dtype=torch.int64))
        log |= {"ntokens": sizes[0], "nsentences": sizes[1], "sample_size": sample_size}
        log |= {f"{self.kind}_loss": loss.detach()}
        log |= {f"{self.kind}_{name}": values[name] for name in self.kind_tensors}
        log |= {f"{self.kind}_tokens": sizes[0]}
        log |= {f"{self.kind}_{name}": values[name] for name in self.kind_numbers}
        return log | {f"{self.kind}_fallbacks": 0}

    def _keys(self, names: Sequence[str]) -> list[str]:
        return [f"{self.kind}_{name}" for name in names]

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Combine the logging values of all batches and workers into the meters of the class's docstring."""
        super().reduce_metrics(logging_outputs)
        if not any(f"{cls.kind}_tokens" in log for log in logging_outputs):
            return

        def total(name: str) -> Any:  # a tensor, or a number of the host
            return sum(log.get(f"{cls.kind}_{name}", 0) for log in logging_outputs)

        num_tokens = total("tokens")
        if num_tokens:
            loss = total("loss") / num_tokens / math.log(2)
            metrics.log_scalar(f"{cls.kind}_loss", loss, num_tokens, round=4)
            cls.log_kind(total, num_tokens)
        metrics.log_scalar_sum(f"{cls.kind}_fallbacks", total("fallbacks"))

    @classmethod
    def log_kind(cls, total: Callable[[str], Any], num_tokens: int) -> None:
        """Log what the subclass adds; ``total`` sums a value of its own by name."""

    @classmethod
    def log_tokens(
        cls, logging_outputs: Sequence[Mapping[str, Any]], total: Callable[[str], Any], num_tokens: Any
    ) -> None:
        """Updates of the other loss scored no token: they must not weigh in, nor show a 0."""
        num_tokens = num_tokens - total(f"{cls.kind}_tokens")
        if num_tokens or not total(f"{cls.kind}_tokens"):
            super().log_tokens(logging_outputs, total, num_tokens)
