"""What our criterions share: models with and without a fused loss, prompts, checks, meters.

Legend: B batch, T time, D width, V vocabulary.

A model with the attribute ``supports_fused_loss`` answers ``forward(..., for_loss=True)`` with ``(hidden_BTD,
extra)``, where ``extra["output_layer"]`` is an :class:`~fairseq_plugin.core.chunked_loss.OutputLayer`. The loss then
never sees B x T x V. Calling the model's ``forward``, not its parts, keeps distributed wrappers and their gradient hooks
in the path.
"""

import logging
import math
from dataclasses import dataclass, field

import torch
from fairseq import utils
from fairseq.criterions import FairseqCriterion
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.logging import metrics
from omegaconf import II

from fairseq_plugin.core.chunked_loss import loss_from_hidden
from fairseq_plugin.core.distributed import refuse_lonely_worker
from fairseq_plugin.core.logits_loss import loss_from_logits
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
    fused: ChoiceEnum(["auto", "on", "off"]) = field(
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
        cfg: a :class:`PositionLossConfig`.

    Attributes:
        rule_loss: name of the rule's own loss in the logs, and of the criterion in messages.
        updates: the :class:`~fairseq_plugin.criterions.update_number.UpdateNumber`.

    Raises:
        SystemExit: a flag out of range, or a worker that a launcher left alone.
    """

    rule_loss = None

    @plain_errors()
    def __init__(self, task, cfg):
        super().__init__(task)
        self.cfg = cfg
        self.updates = UpdateNumber(task)
        self._told = False
        with addressed_to_the_user(RuntimeError):
            refuse_lonely_worker()
        with addressed_to_the_user(ValueError):
            self.check_flags()

    def check_flags(self):
        """Raise ``ValueError`` for flags that make no sense; called once, before anything else."""

    def rule(self):
        """The :class:`~fairseq_plugin.core.position_rules.Rule` of the update at work, or of validation."""
        raise NotImplementedError

    @plain_errors()
    def forward(self, model, sample, reduce=True):
        """Compute the loss of a batch.

        Args:
            model: the fairseq model or its distributed wrapper.
            sample: batch with ``net_input``, ``target`` ``(B, T)``, ``ntokens`` and, for prompts,
                ``prompt_target`` ``(B, T)``.
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

    def batch_loss(self, model, sample):
        """:meth:`forward` without the checks of its arguments."""
        fused, output, extra = self.read(model, sample["net_input"])
        target_BT = model.get_targets(sample, (output, extra))
        settings = {
            "rule": self.rule(),
            "want_predictions": not self.training,
            "ignore_index": self.padding_idx,
        }
        seen_BT = self._seen(sample, target_BT)
        parts, predictions = self.apply(fused, output, extra, target_BT, seen_BT, **settings)
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
            log |= single_token_log(predictions, target_BT, self.padding_idx)
        return loss, sample_size, log

    def read(self, model, net_input):
        """``(fused, output, extra)`` of the model's forward: hidden states where fused, else logits."""
        # Distributed wrappers pass the attribute through (fairseq's ModuleProxyWrapper).
        fused = getattr(model, "supports_fused_loss", False) and str(self.cfg.fused) != "off"
        if not fused and str(self.cfg.fused) == "on":
            raise UserError("--fused on: this model returns logits only; use --fused auto, or --arch gpt2")
        output, extra = model(**net_input, **({"for_loss": True} if fused else {}))[:2]
        if not fused:
            self._require_logits(model, output)
        return fused, output, extra

    def apply(self, fused, output, extra, target_BT, seen_BT, **settings):
        """A rule on what :meth:`read` gave: ``(parts, predictions)``."""
        with addressed_to_the_user(ValueError):
            if not fused:
                return loss_from_logits(output, target_BT, seen_BT, **settings)
            return loss_from_hidden(output, extra["output_layer"], target_BT, seen_BT, **settings)

    def _seen(self, sample, target_BT):
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

    def _require_logits(self, model, output):
        decoder = getattr(model, "decoder", None)
        num_symbols = len(self.task.target_dictionary)
        if getattr(decoder, "adaptive_softmax", None) is not None or output.size(-1) < num_symbols:
            raise UserError(
                f"--criterion {self.cfg._name} needs one logit per dictionary symbol, but this model has an "
                f"adaptive softmax ({output.size(-1)} outputs for {num_symbols} symbols): leave out "
                "--adaptive-softmax-cutoff, or use --criterion adaptive_loss"
            )

    def require_finite(self, sample, *losses):
        """Stop at a loss that is NaN or infinite, before the weights change, and name the samples.

        Raises:
            FloatingPointError: naming losses, update and sample ids.
        """
        if self.training and losses[0].device.type != "cpu":
            return  # not to wait for the device: the trainer looks at the gradients
        values = [loss.item() for loss in losses]
        if all(map(math.isfinite, values)):
            return
        ids = sample["id"].tolist() if "id" in sample else "unknown"
        where = self.updates.in_words() if self.training else "validation"
        raise FloatingPointError(
            f"loss {', true NLL '.join(map(str, values))} in {where}, sample ids {ids}: stopped before the "
            "weights change. Use a smaller --lr, set --clip-norm, or look at these samples"
        )

    @classmethod
    def reduce_metrics(cls, logging_outputs) -> None:
        """Combine the logging values of all batches and workers into the meters of the class's docstring."""

        def total(key):
            return sum(log.get(key, 0) for log in logging_outputs)

        # Weights of the averages are host numbers wherever fairseq has them, so that no meter waits for the
        # device.
        sample_size, num_tokens = total("sample_size"), total("ntokens")
        loss = total("loss") / at_least_one(sample_size) / math.log(2)
        metrics.log_scalar("loss", loss, sample_size, round=3)
        cls.log_tokens(logging_outputs, total, num_tokens)

    @classmethod
    def log_tokens(cls, logging_outputs, total, num_tokens):
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
        """All values are sums, so workers exchange one row of numbers."""
        return True


def _perplexity(meters):
    """2^nll_loss; None where nothing was scored since the last line of the log (fairseq would show 0)."""
    nll = meters["nll_loss"].avg
    return None if nll is None else utils.get_perplexity(nll)


def at_least_one(count):
    """A divisor that is never 0."""
    return count.clamp(min=1) if torch.is_tensor(count) else max(count, 1)
