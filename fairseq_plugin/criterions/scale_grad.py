"""``--criterion scale_grad``: ScaleGrad for any fairseq model that returns logits.

Legend: B batch, T time, D width, V vocabulary.

A model with the attribute ``supports_fused_loss`` answers ``forward(..., for_loss=True)`` with ``(hidden_BTD,
extra)``, where ``extra`` holds ``head_weight`` (rows >= V x D), ``num_columns`` (V), optionally ``banned``
(columns without probability) and ``compute_dtype`` (type of the products). The loss then never sees
B x T x V. Calling the model's ``forward``, not its parts, keeps distributed wrappers and their gradient hooks
in the path.
"""

import logging
import math
from dataclasses import dataclass, field

import torch
from fairseq import utils
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.logging import metrics
from omegaconf import II

from fairseq_plugin.core.distributed import refuse_lonely_worker
from fairseq_plugin.core.scale_grad import fused_scale_grad_loss, scale_grad_loss
from fairseq_plugin.core.scale_grad_rows import check_settings
from fairseq_plugin.errors import UserError, addressed_to_the_user, plain_errors

logger = logging.getLogger(__name__)


@dataclass
class ScaleGradCriterionConfig(FairseqDataclass):
    gamma: float = field(
        default=0.5,
        metadata={
            "help": "weight of tokens not yet seen in the sample before normalising, in (0, 1]; "
            "1 = maximum likelihood, smaller = fewer repetitions"
        },
    )
    prompt_seen: bool = field(
        default=False,
        metadata={"help": "prompt tokens (label, separator) count as seen; off: only the sentence's own do"},
    )
    parity_eps: float = field(
        default=0.0,
        metadata={
            "help": "probability added to each vocabulary entry before normalising, >= 0; 0 = exact, "
            "1e-8 = as the published code computes"
        },
    )
    fused: ChoiceEnum(["auto", "on", "off"]) = field(
        default="auto",
        metadata={
            "help": "from hidden states to loss in chunks, without B x T x V logits: "
            "auto = where the model offers it, on = refuse other models, off = never"
        },
    )
    sentence_avg: bool = II("optimization.sentence_avg")


@register_criterion("scale_grad", dataclass=ScaleGradCriterionConfig)
class ScaleGradCriterion(FairseqCriterion):
    """ScaleGrad loss in training; in validation the true negative log-likelihood, which chooses checkpoints.

    Logged, losses in bits: ``loss`` (what is minimised, per token or with ``--sentence-avg`` per sentence; in
    validation the negative log-likelihood), ``nll_loss`` and ``ppl`` (true, per token), ``scale_grad_loss``
    (per token), ``accuracy`` (share of scored tokens that were the most probable), ``novel`` (share whose
    target had not been seen in its sample).

    Args:
        task: the fairseq task; its target dictionary names the padding.
        cfg: a :class:`ScaleGradCriterionConfig`.

    Raises:
        SystemExit: a flag out of range, or a worker that a launcher left alone.
    """

    @plain_errors()
    def __init__(self, task, cfg: ScaleGradCriterionConfig):
        super().__init__(task)
        self.cfg = cfg
        self._told = False
        with addressed_to_the_user(RuntimeError):
            refuse_lonely_worker()
        with addressed_to_the_user(ValueError):
            check_settings(cfg.gamma, cfg.parity_eps)

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
            FloatingPointError: the loss is NaN or infinite (on CUDA the trainer's own check of the gradients,
                which needs no wait for the device, stops the update instead).
        """
        if not reduce:
            raise NotImplementedError("scale_grad gives the loss of the whole batch only")
        parts = self._loss_parts(model, sample)
        loss = parts.loss if self.training else parts.nll
        if loss.device.type == "cpu":
            self._require_finite(parts, sample)
        num_sentences = sample["target"].size(0)
        sample_size = num_sentences if self.cfg.sentence_avg else sample["ntokens"]
        logging_output = {
            "loss": loss.detach(),
            "nll_loss": parts.nll,
            "scale_grad_loss": parts.loss.detach(),
            "num_correct": parts.num_correct,
            "num_novel": parts.num_novel,
            "num_scored": parts.num_scored,
            "ntokens": sample["ntokens"],
            "nsentences": num_sentences,
            "sample_size": sample_size,
        }
        return loss, sample_size, logging_output

    def _loss_parts(self, model, sample):
        settings = {"gamma": self.cfg.gamma, "eps": self.cfg.parity_eps, "ignore_index": self.padding_idx}
        # Distributed wrappers pass the attribute through (fairseq's ModuleProxyWrapper).
        fused = getattr(model, "supports_fused_loss", False) and str(self.cfg.fused) != "off"
        if not fused and str(self.cfg.fused) == "on":
            raise UserError("--fused on: this model returns logits only; use --fused auto, or --arch gpt2")
        output, extra = model(**sample["net_input"], **({"for_loss": True} if fused else {}))[:2]
        target_BT = model.get_targets(sample, (output, extra))
        seen_BT = self._seen(sample, target_BT)
        if not fused:
            self._require_logits(model, output)
        with addressed_to_the_user(ValueError):
            if not fused:
                return scale_grad_loss(output, target_BT, seen_BT, **settings)
            return fused_scale_grad_loss(
                output,
                extra["head_weight"],
                target_BT,
                seen_BT,
                num_columns=extra["num_columns"],
                banned=extra.get("banned"),
                product_dtype=extra.get("compute_dtype"),
                **settings,
            )

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
                "--criterion scale_grad needs one logit per dictionary symbol, but this model has an "
                f"adaptive softmax ({output.size(-1)} outputs for {num_symbols} symbols): leave out "
                "--adaptive-softmax-cutoff, or use --criterion adaptive_loss"
            )

    def _require_finite(self, parts, sample):
        loss, nll = parts.loss.item(), parts.nll.item()  # called on the CPU only: no device to wait for
        if not (math.isfinite(loss) and math.isfinite(nll)):
            meter = metrics.get_meter("default", "num_updates")
            num_updates = 0 if meter is None or meter.val is None else int(meter.val)
            ids = sample["id"].tolist() if "id" in sample else "unknown"
            raise FloatingPointError(
                f"loss {loss}, true NLL {nll} in update {num_updates + 1}, sample ids {ids}: stopped before "
                "the weights change. Use a smaller --lr, set --clip-norm, or look at these samples"
            )

    @staticmethod
    def reduce_metrics(logging_outputs) -> None:
        """Combine the logging values of all batches and workers into the meters of the class's docstring."""

        def total(key):
            return sum(log.get(key, 0) for log in logging_outputs)

        # Weights of the averages are host numbers wherever fairseq has them, so that no meter waits for the
        # device.
        sample_size, num_tokens = total("sample_size"), total("ntokens")
        num_scored = _at_least_one(total("num_scored"))  # a batch of padding alone must not divide by zero
        loss = total("loss") / _at_least_one(sample_size) / math.log(2)
        metrics.log_scalar("loss", loss, sample_size, round=3)
        metrics.log_scalar("nll_loss", total("nll_loss") / num_scored / math.log(2), num_tokens, round=3)
        metrics.log_derived("ppl", lambda meters: utils.get_perplexity(meters["nll_loss"].avg))
        scale_grad_loss_sum = total("scale_grad_loss") / math.log(2)
        metrics.log_scalar("scale_grad_loss", scale_grad_loss_sum / num_scored, num_tokens, round=3)
        metrics.log_scalar("accuracy", total("num_correct") / num_scored, num_tokens, round=4)
        metrics.log_scalar("novel", total("num_novel") / num_scored, num_tokens, round=4)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """All values are sums, so workers exchange one row of numbers."""
        return True


def _at_least_one(count):
    return count.clamp(min=1) if torch.is_tensor(count) else max(count, 1)
