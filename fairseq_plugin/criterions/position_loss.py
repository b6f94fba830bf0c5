"""What our criterions share: models with and without a fused loss, prompts, checks, meters.

Legend: B batch, T time, D width, V vocabulary.

A model with the attribute ``supports_fused_loss`` answers ``forward(..., for_loss=True)`` with ``(hidden_BTD,
extra)``, where ``extra["output_layer"]`` is an ``OutputLayer`` (``core/chunked_loss.py``). The loss then
never sees B x T x V. Calling the model's ``forward``, not its parts, keeps distributed wrappers and their
gradient hooks in the path.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq import utils
from fairseq.criterions import FairseqCriterion
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.logging import metrics
from omegaconf import II

from fairseq_plugin.core.allowed_symbols import AllowedSymbols
from fairseq_plugin.core.chunked_loss import loss_from_hidden
from fairseq_plugin.core.distributed import refuse_lonely_worker
from fairseq_plugin.core.logits_loss import loss_from_logits
from fairseq_plugin.core.position_rules import LossParts, Predictions, Rule
from fairseq_plugin.criterions.single_token_log import log_single_token, single_token_log
from fairseq_plugin.criterions.update_number import UpdateNumber
from fairseq_plugin.errors import UserError, addressed_to_the_user, plain_errors

logger = logging.getLogger(__name__)


@dataclass
class PositionLossConfig(FairseqDataclass):
    prompt_seen: bool = field(
        default=False,
        metadata={"help": "prompt tokens (label, separator) count as seen; off: only the sentence's own do"},
    )
    fused: ChoiceEnum(["auto", "on", "off"]) = field(  # pyright: ignore[reportInvalidTypeForm]
        default="auto",
        metadata={
            "help": "from hidden states to loss in chunks, without B x T x V logits: "
            "auto = where the model offers it, on = refuse other models, off = never"
        },
    )
    sentence_avg: bool = II("optimization.sentence_avg")


class PositionLossCriterion(FairseqCriterion):
    """A rule's loss in training; in validation the true negative log-likelihood, which chooses checkpoints.

    Logged, losses in bits: ``loss`` (what is minimised, per token or with ``--sentence-avg`` per sentence; in
    validation the negative log-likelihood), ``nll_loss`` and ``ppl`` (true, per token), ``accuracy`` (share
    of scored tokens that were the most probable), ``novel`` (share whose target had not been seen in its
    sample), the rule's own loss per token under the subclass's name, and in validation the single-token
    metrics of :mod:`fairseq_plugin.criterions.single_token_log`.

    Args:
        task: the fairseq task; its target dictionary names the padding.
        cfg: its settings.

    Attributes:
        rule_loss: name of the rule's own loss in the logs, and of the criterion in messages.
        updates: which update is at work.

    Raises:
        SystemExit: a flag out of range, or a worker that a launcher left alone.
    """

    rule_loss: str

    @plain_errors()
    def __init__(self, task: Any, cfg: Any) -> None:
        super().__init__(task)
        self.cfg = cfg
        self.updates = UpdateNumber(task)
        self._told = False
        with addressed_to_the_user(RuntimeError):
            refuse_lonely_worker()
        with addressed_to_the_user(ValueError):
            self.check_flags()

    def check_flags(self) -> None:
        """Raise ``ValueError`` for flags that make no sense; called once, before anything else."""

    def rule(self) -> Rule:
        """The objective of the update at work, or of validation."""
        raise NotImplementedError

    @plain_errors()
    def forward(
        self, model: torch.nn.Module, sample: Mapping[str, Any], reduce: bool = True
    ) -> tuple[torch.Tensor, int, dict[str, Any]]:
        """Compute the loss of a batch.

        Args:
            model: the fairseq model or its distributed wrapper.
            sample: batch with ``net_input``, ``target`` ``(B, T)``, ``ntokens`` and, for prompts,
                ``prompt_target`` ``(B, T)``; with ``allowed`` ``(2, B, T)`` (rows of a table), the softmax
                is over the symbols from ``allowed[0]`` on, ``allowed[1]`` in number.
            reduce: must be true, the loss is a sum.

        Returns:
            ``(loss, sample_size, logging_output)``: loss in nats, summed; ``sample_size`` its divisor, tokens
            or with ``--sentence-avg`` sentences; logging values are tensors that were not read back.

        Raises:
            SystemExit: a model or batch the loss cannot be computed for.
            FloatingPointError: the loss is NaN or infinite (in training on CUDA the trainer's own check of
                the gradients, which needs no wait for the device, stops the update instead).
        """
        if not reduce:
            raise NotImplementedError("this criterion gives the loss of the whole batch only")
        return self.batch_loss(model, sample)

    def batch_loss(self, model: Any, sample: Mapping[str, Any]) -> tuple[torch.Tensor, int, dict[str, Any]]:
        """:meth:`forward` without the checks of its arguments."""
        fused, output, extra = self.read(model, sample["net_input"])
        target_BT = model.get_targets(sample, (output, extra))
        settings = {
            "rule": self.rule(),
            "want_predictions": not self.training,
            "ignore_index": self.padding_idx,
            "allowed": _allowed(sample),
        }
        seen_BT = self._seen(sample, target_BT)
        parts, predictions = self.loss_of(fused, output, extra, target_BT, seen_BT, **settings)
        loss = parts.loss if self.training else parts.nll
        self.require_finite(sample, parts.loss, parts.nll)
        num_sentences = sample["target"].size(0)
        sample_size = num_sentences if self.cfg.sentence_avg else sample["ntokens"]
        log = {
            "loss": loss.detach(),
            "nll_loss": parts.nll,
            self.rule_loss: parts.loss.detach(),
            "num_correct": parts.num_correct,
            "num_novel": parts.num_novel,
            "num_scored": parts.num_scored,
            "ntokens": sample["ntokens"],
            "nsentences": num_sentences,
            "sample_size": sample_size,
        }
        if not self.training:
            assert predictions is not None  # asked for above
            log |= single_token_log(predictions, target_BT, self.padding_idx)
        return loss, sample_size, log

    def read(self, model: Any, net_input: Mapping[str, torch.Tensor]) -> tuple[bool, torch.Tensor, Any]:
        """``(fused, output, extra)`` of the model's forward: hidden states where fused, else logits."""
        # Distributed wrappers pass the attribute through (fairseq's ModuleProxyWrapper).
        fused = getattr(model, "supports_fused_loss", False) and str(self.cfg.fused) != "off"
        if not fused and str(self.cfg.fused) == "on":
            raise UserError("--fused on: this model returns logits only; use --fused auto, or --arch gpt2")
        output, extra = model(**net_input, **({"for_loss": True} if fused else {}))[:2]
        if not fused:
            self._require_logits(model, output)
        return fused, output, extra

    def loss_of(
        self,
        fused: bool,
        output: torch.Tensor,
        extra: Any,
        target_BT: torch.Tensor,
        seen_BT: torch.Tensor,
        **settings: Any,
    ) -> tuple[LossParts, Predictions | None]:
        """A rule on what :meth:`read` gave: ``(parts, predictions)``."""
        with addressed_to_the_user(ValueError):
            if not fused:
                return loss_from_logits(output, target_BT, seen_BT, **settings)
            return loss_from_hidden(output, extra["output_layer"], target_BT, seen_BT, **settings)

    def _seen(self, sample: Mapping[str, Any], target_BT: torch.Tensor) -> torch.Tensor:
        """The token that becomes seen after each position: ``--prompt-seen`` alone decides over prompt
        positions."""
        prompt_BT = sample.get("prompt_target")
        if prompt_BT is None:
            if self.cfg.prompt_seen and not self._told:
                logger.warning("--prompt-seen changes nothing: the batches of this --task have no prompts")
                self._told = True
            return target_BT
        in_prompt_BT = prompt_BT != self.padding_idx
        return torch.where(in_prompt_BT, prompt_BT if self.cfg.prompt_seen else self.padding_idx, target_BT)

    def _require_logits(self, model: Any, output: torch.Tensor) -> None:
        decoder = getattr(model, "decoder", None)
        num_symbols = len(self.task.target_dictionary)
        if getattr(decoder, "adaptive_softmax", None) is not None or output.size(-1) < num_symbols:
            raise UserError(
                f"--criterion {self.cfg._name} needs one logit per dictionary symbol, but this model has an "
                f"adaptive softmax ({output.size(-1)} outputs for {num_symbols} symbols): leave out "
                "--adaptive-softmax-cutoff, or use --criterion adaptive_loss"
            )

    def require_finite(self, sample: Mapping[str, Any], *losses: torch.Tensor) -> None:
        """Stop at a loss that is NaN or infinite, and name the update and the samples.

        In training the update has not changed the weights yet: with ``--update-freq`` earlier batches have
            only added to the gradients. In validation it has.

        Raises:
            FloatingPointError: naming losses, update and sample ids.
        """
        if self.training and losses[0].device.type != "cpu":
            return  # not to wait for the device: the trainer looks at the gradients
        values = [loss.item() for loss in losses]
        if all(map(math.isfinite, values)):
            return
        ids = sample["id"].tolist() if "id" in sample else "unknown"
        found = f"loss {', true NLL '.join(map(str, values))} in"
        if self.training:
            raise FloatingPointError(
                f"{found} {self.updates.in_words()}, sample ids {ids}: stopped before this update changed "
                "the weights. Use a smaller --lr, set --clip-norm, or look at these samples"
            )
        raise FloatingPointError(
            f"{found} validation{self.updates.done_in_words()}, sample ids {ids}: the weights as they are "
            "now give it. Go on from an earlier checkpoint with a smaller --lr or with --clip-norm, or look "
            "at these samples"
        )

    @classmethod
    def reduce_metrics(cls, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Combine the logging values of all batches and workers into the meters of the class's docstring."""

        def total(key: str) -> Any:  # a tensor, or a number of the host
            return sum(log.get(key, 0) for log in logging_outputs)

        # Weights of the averages are host numbers wherever fairseq has them, so that no meter waits for the
        # device.
        sample_size, num_tokens = total("sample_size"), total("ntokens")
        loss = total("loss") / at_least_one(sample_size) / math.log(2)
        metrics.log_scalar("loss", loss, sample_size, round=3)
        cls.log_tokens(logging_outputs, total, num_tokens)

    @classmethod
    def log_tokens(
        cls, logging_outputs: Sequence[Mapping[str, Any]], total: Callable[[str], Any], num_tokens: Any
    ) -> None:
        """Log what is averaged over the scored tokens, ``num_tokens`` in number."""
        num_scored = at_least_one(total("num_scored"))  # a batch of padding alone must not divide by zero
        metrics.log_scalar("nll_loss", total("nll_loss") / num_scored / math.log(2), num_tokens, round=3)
        metrics.log_derived("ppl", _perplexity)
        rule_loss = total(cls.rule_loss) / num_scored / math.log(2)
        metrics.log_scalar(cls.rule_loss, rule_loss, num_tokens, round=3)
        metrics.log_scalar("accuracy", total("num_correct") / num_scored, num_tokens, round=4)
        metrics.log_scalar("novel", total("num_novel") / num_scored, num_tokens, round=4)
        log_single_token(logging_outputs, num_scored, num_tokens)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """All values are sums, so workers exchange one list of numbers."""
        return True


def _allowed(sample: Mapping[str, Any]) -> AllowedSymbols | None:
    low_and_count_2BT = sample.get("allowed")
    return None if low_and_count_2BT is None else AllowedSymbols(*low_and_count_2BT)


def _perplexity(meters: Mapping[str, Any]) -> Any:
    """2^nll_loss; None where nothing was scored since the last line of the log (fairseq would show 0)."""
    nll = meters["nll_loss"].avg
    return None if nll is None else utils.get_perplexity(nll)


def at_least_one(count: Any) -> Any:
    """A divisor that is never 0."""
    return count.clamp(min=1) if torch.is_tensor(count) else max(count, 1)
