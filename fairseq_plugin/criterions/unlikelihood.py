"""``--criterion unlikelihood``: token-level unlikelihood, and sequence-level at a share of the updates.

Welleck et al., "Neural Text Generation with Unlikelihood Training" (ICLR 2020, arXiv 1908.04319). Formulas:
:mod:`fairseq_plugin.core.unlikelihood_rule`.

Legend: K texts, N prefix tokens, L continuation tokens, S = N + L, V vocabulary.
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import register_criterion
from fairseq.logging import metrics
from omegaconf import II

from fairseq_plugin.core.repeated_ngrams import mark_repeats, repeated_ngrams
from fairseq_plugin.core.unlikelihood_rule import PenaltyRule, UnlikelihoodRule, check_alpha
from fairseq_plugin.criterions.greedy import continue_greedily, unwrapped
from fairseq_plugin.criterions.mixed_updates import MixedUpdates
from fairseq_plugin.criterions.position_loss import PositionLossConfig, at_least_one
from fairseq_plugin.errors import UserError

logger = logging.getLogger(__name__)

_NO_TOKEN = -1


@dataclass
class UnlikelihoodCriterionConfig(PositionLossConfig):
    alpha: float = field(
        default=1.0,
        metadata={
            "help": "weight of the unlikelihood of a sample's earlier tokens beside the likelihood, >= 0; "
            "0 = maximum likelihood"
        },
    )
    sequence_share: float = field(
        default=0.0,
        metadata={
            "help": "share of the updates, in [0, 1], that penalise repeated n-grams in the model's own "
            "greedy continuations in place of the token-level loss; which ones: by --seed and the update"
        },
    )
    sequence_prefix: int = field(
        default=50, metadata={"help": "tokens of training text that a greedy continuation starts from, >= 1"}
    )
    sequence_continuation: int = field(
        default=100, metadata={"help": "tokens of a greedy continuation, more than --sequence-ngram"}
    )
    sequence_ngram: int = field(
        default=4, metadata={"help": "length in tokens of the n-grams that may not come back, >= 1"}
    )
    sequence_prefixes: int = field(
        default=16, metadata={"help": "most prefixes taken from one batch for a sequence-level update, >= 1"}
    )
    seed: int = II("common.seed")


@register_criterion("unlikelihood", dataclass=UnlikelihoodCriterionConfig)
class UnlikelihoodCriterion(MixedUpdates):
    """Unlikelihood loss in training, the true negative log-likelihood in validation.

    A share of the updates is sequence-level: up to ``--sequence-prefixes`` stretches of ``--sequence-prefix``
    consecutive tokens of the batch (never across samples) are continued greedily without dropout and without
    the end token; then one forward pass with gradients, dropout as in training, gives ``-log(1 - p)`` of
    every continuation token that belongs to an n-gram the continuation already held. The sum is divided by
    *all* continuation tokens, K x L (with ``--sentence-avg`` by the K continuations), repeated or not. A
    batch without a stretch that long gives its token-level loss instead, which is counted.

    Logged besides what :class:`~fairseq_plugin.criterions.position_loss.PositionLossCriterion` says:
    ``unlikelihood_loss`` (likelihood and alpha times unlikelihood, bits per token) and, with sequence-level
    updates, ``sequence_loss`` (bits per continuation token), ``sequence_repeats`` (share of the
    continuations' n-grams that stood earlier in them), ``sequence_fallbacks`` (batches that gave their
    token-level loss instead). Token-level values are averaged over token-level updates.

    Args:
        task: the fairseq task; its target dictionary names the padding.
        cfg: its settings.

    Raises:
        SystemExit: a flag out of range, or a worker that a launcher left alone.
    """

    rule_loss = "unlikelihood_loss"
    kind, kind_tensors, kind_numbers = "sequence", ("repeated",), ("ngrams",)

    def __init__(self, task: Any, cfg: Any) -> None:
        super().__init__(task, cfg)
        self._rule = UnlikelihoodRule(cfg.alpha)
        self._model_checked = False
        self._told_of_short_texts = False

    def check_flags(self) -> None:
        cfg = self.cfg
        check_alpha(cfg.alpha)
        super().check_flags()
        for name in ("prefix", "continuation", "ngram", "prefixes"):
            value = getattr(cfg, f"sequence_{name}")
            if value < 1:
                raise ValueError(f"--sequence-{name} {value}: must be at least 1")
        if cfg.sequence_continuation <= cfg.sequence_ngram:
            raise ValueError(
                f"--sequence-continuation {cfg.sequence_continuation}: must exceed --sequence-ngram "
                f"{cfg.sequence_ngram}, or no n-gram could come back"
            )

    def rule(self) -> UnlikelihoodRule:
        return self._rule

    # -- sequence level -----------------------------------------------------------------------------------

    def prefixes(self, src_tokens_BT: torch.Tensor, update: int) -> torch.Tensor | None:
        """Stretches of consecutive tokens of the batch's texts, cut from each text's start, none padded.

        Returns:
            int64 ``(K, N)``, K at most ``--sequence-prefixes``, chosen by (seed, update); None if there is
            none.
        """
        length = self.cfg.sequence_prefix
        found = []
        for text_T in src_tokens_BT:
            text_T = text_T[text_T != self.padding_idx]
            found += [part_N for part_N in text_T.split(length) if len(part_N) == length]
        if not found:
            if not self._told_of_short_texts:
                logger.warning(
                    f"a batch has no sample of --sequence-prefix {length} tokens: its token-level loss is "
                    "taken instead (counted as sequence_fallbacks; this is said once). Use a smaller "
                    "--sequence-prefix"
                )
                self._told_of_short_texts = True
            return None
        order = self.uniform(range(1, len(found) + 1), update).argsort().tolist()
        return torch.stack([found[i] for i in sorted(order[: self.cfg.sequence_prefixes])])

    def other_loss(
        self, model: Any, sample: Mapping[str, Any], update: int
    ) -> tuple[torch.Tensor, int, dict[str, Any]] | None:
        prefix_KN = self.prefixes(sample["net_input"]["src_tokens"], update)
        if prefix_KN is None:
            return None
        cfg = self.cfg
        try:
            written_KL = continue_greedily(
                model, prefix_KN, cfg.sequence_continuation, self.task.target_dictionary
            )
        except FloatingPointError:
            self.require_finite(sample, torch.tensor(math.nan))
            raise
        text_KS = torch.cat([prefix_KN, written_KL], dim=1)
        source_KT, target_KT = text_KS[:, :-1].contiguous(), text_KS[:, 1:]
        marks_KT = torch.zeros_like(target_KT, dtype=torch.bool)
        marks_KT[:, -cfg.sequence_continuation :] = mark_repeats(written_KL, cfg.sequence_ngram)
        lengths_K = torch.full_like(source_KT[:, 0], source_KT.size(1))
        fused, output, extra = self.read(model, {"src_tokens": source_KT, "src_lengths": lengths_K})
        penalised_KT = torch.where(marks_KT, target_KT, _NO_TOKEN)
        settings = {"rule": PenaltyRule(), "ignore_index": _NO_TOKEN}
        seen_KT = torch.full_like(target_KT, _NO_TOKEN)
        parts, _ = self.loss_of(fused, output, extra, penalised_KT, seen_KT, **settings)
        self.require_finite(sample, parts.loss)

        repeats_KM = repeated_ngrams(written_KL, cfg.sequence_ngram)
        sample_size = len(written_KL) if cfg.sentence_avg else written_KL.numel()
        values = {"repeated": repeats_KM.sum(), "ngrams": repeats_KM.numel()}
        log = self.other_log(parts.loss, sample_size, (written_KL.numel(), len(written_KL)), values)
        return parts.loss, sample_size, log

    def check_model(self, model: Any) -> None:
        """Refuse a model that cannot continue its own texts, at the first batch."""
        if self._model_checked:
            return
        inner = unwrapped(model)
        if hasattr(inner, "encoder") or not hasattr(inner, "decoder"):
            raise UserError(
                f"--sequence-share {self.cfg.sequence_share}: sequence-level unlikelihood continues prefixes "
                "of texts, which takes a decoder-only model, and this one has an encoder: use "
                "--sequence-share 0, or a language model"
            )
        needed, longest = self.cfg.sequence_prefix + self.cfg.sequence_continuation, model.max_positions()
        if needed > longest:
            raise UserError(
                f"--sequence-prefix {self.cfg.sequence_prefix} and --sequence-continuation "
                f"{self.cfg.sequence_continuation} together exceed the model's {longest} positions: shorten "
                "them, or train a model with more positions (--tokens-per-sample, --n-positions)"
            )
        self._model_checked = True

    @classmethod
    def log_kind(cls, total: Callable[[str], Any], num_tokens: int) -> None:
        repeats = total("repeated") / at_least_one(total("ngrams"))
        metrics.log_scalar("sequence_repeats", repeats, num_tokens, round=4)
