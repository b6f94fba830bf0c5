"""``--criterion contrastive_token``: contrastive token learning for any fairseq model that returns logits."""

from dataclasses import dataclass, field

from fairseq.criterions import register_criterion

from fairseq_plugin.core.contrastive_token_rule import ContrastiveTokenRule
from fairseq_plugin.criterions.position_loss import PositionLossConfig, PositionLossCriterion


@dataclass
class ContrastiveTokenCriterionConfig(PositionLossConfig):
    ct_weight: float = field(
        default=1.0,
        metadata={
            "help": "weight of the contrastive part beside the likelihood, >= 0; 0 = maximum likelihood"
        },
    )
    ct_length: float = field(
        default=0.25,
        metadata={
            "help": "the first targets of a sample have the contrastive part: up to 1 a share of them, "
            "above 1 their number"
        },
    )
    ct_negatives: float = field(
        default=0.5,
        metadata={
            "help": "tokens before a target that it is held against: up to 1 a share of --ct-length, above 1 "
            "their number"
        },
    )
    ct_each_occurrence: bool = field(
        default=False,
        metadata={
            "help": "a token counts as often as it stands among --ct-negatives, as the published code "
            "computes; off: once, as the formula reads"
        },
    )


@register_criterion("contrastive_token", dataclass=ContrastiveTokenCriterionConfig)
class ContrastiveTokenCriterion(PositionLossCriterion):
    """Cross-entropy and contrastive part in training, the true negative log-likelihood in validation.

    Logged besides what :class:`~fairseq_plugin.criterions.position_loss.PositionLossCriterion` says:
    ``contrastive_token_loss``, both parts, bits per token.

    Args:
        task: the fairseq task; its target dictionary names the padding.
        cfg: its settings.

    Raises:
        SystemExit: a flag out of range, or a worker that a launcher left alone.
    """

    rule_loss = "contrastive_token_loss"

    def check_flags(self) -> None:
        self.rule()

    def rule(self) -> ContrastiveTokenRule:
        cfg = self.cfg
        return ContrastiveTokenRule(cfg.ct_weight, cfg.ct_length, cfg.ct_negatives, cfg.ct_each_occurrence)
