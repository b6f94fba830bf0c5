"""Contrastive token learning (CT), as a rule of :mod:`fairseq_plugin.core.position_rules`.

Jiang, Zhang, Vakulenko, de Rijke, "A Simple Contrastive Learning Objective for Alleviating Neural Text
Degeneration" (arXiv 2205.02517): with logits z, target y and negatives S = (the m tokens before) without y,

    CT   = log(1 + sum over n in S of exp(z_n - z_y))
    loss = mean of -log p_y over the sample  +  weight * mean of CT over the sample's first c targets

    q_n  = exp(z_n - z_y) / (1 + sum)                    # softmax over {y} and S alone
    dCT/dz_n = q_n;   dCT/dz_y = - sum of q_n            # no other logit is touched: the dense part is p_v

A sample of L targets adds L times that loss to the sum, so that each of its c positions weighs ``weight * L /
c``: divided by the number of tokens, a batch of samples of equal length gives the published loss, and any
split of a batch gives the same sum. Published settings: c = 1/4 of L, m = 1/2 of c, weight 1.

The m tokens before count once each (S is a set); ``each_occurrence`` counts a token as often as it stands
there, as the published code does. weight = 0 is maximum likelihood, bit-equal to cross-entropy from logits.
Padding is neither scored nor a negative, texts never leak into each other, a batch of nothing but padding
gives 0 with a graph.

    >>> logits_BTV = torch.zeros(1, 4, 5, requires_grad=True)   # all margins 0
    >>> target_BT = torch.tensor([[2, 3, 2, 4]])
    >>> rule = ContrastiveTokenRule(weight=1.0, length=1.0, negatives=2)
    >>> loss_from_logits(logits_BTV, target_BT, rule=rule, ignore_index=-100)[0].loss
    tensor(8.9227, grad_fn=...)        # 4 ln 5  +  ln 1  +  ln 2 {2}  +  ln 2 {3}  +  ln 3 {2, 3}

Legend: B texts, T positions, N = B * T, C positions of a block, U candidates, W tokens of a window.
"""

import math
from dataclasses import dataclass

import torch

from fairseq_plugin.core.position_rules import PositionLoss, Positions, Rule, Scored, likelihood


@dataclass(frozen=True)
class ContrastiveTokenRule(Rule):
    """The module's formulas.

    Args:
        weight: in [0, 1e6], of the contrastive part.
        length: c; up to 1 a share of the sample's targets, above 1 a number of targets.
        negatives: m; up to 1 a share of c, above 1 a number of tokens.
        each_occurrence: a token counts as often as it stands among the m before.

    Raises:
        ValueError: a setting out of range.
    """

    weight: float = 1.0
    length: float = 0.25
    negatives: float = 0.5
    each_occurrence: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.weight <= 1e6:
            raise ValueError(
                f"--ct-weight {self.weight}: must be in [0, 1e6]; 0 is maximum likelihood, 1 the published "
                "weight"
            )
        for name, of in (("length", "the sample"), ("negatives", "--ct-length")):
            value = getattr(self, name)
            if not 0.0 < value < 1e9 or (value > 1.0 and value != round(value)):
                raise ValueError(
                    f"--ct-{name} {value}: must be a share of {of} in (0, 1], or a whole number of tokens "
                    "from 2 on"
                )

    @property
    def is_likelihood(self) -> bool:
        return self.weight == 0.0

    def for_batch(self, scored: Scored) -> Rule:
        return self if self.is_likelihood else _OfBatch(self, scored)

    def __call__(self, positions: Positions, want_gradient: bool) -> PositionLoss:
        assert self.is_likelihood  # else for_batch has made another rule
        return likelihood(positions, want_gradient)


class _OfBatch(Rule):
    """The rule of one batch: which positions have the contrastive part, and what stands before them."""

    def __init__(self, rule: ContrastiveTokenRule, scored: Scored) -> None:
        seen = scored.seen
        scored_BT = scored.scored_N.view(-1, seen.num_positions) if scored.scored_N.numel() else None
        self.each_occurrence, self.num_positions = rule.each_occurrence, seen.num_positions
        if scored_BT is None:
            return  # no position will be asked for
        lengths_B = scored_BT.sum(dim=1)
        num_contrasted_B = _number(rule.length, lengths_B).minimum(lengths_B)
        contrasted_BT = scored_BT & (scored_BT.cumsum(dim=1) <= num_contrasted_B[:, None])
        dtype = torch.float64  # an exact quotient; each block takes its own type
        weight_B = rule.weight * lengths_B.to(dtype) / num_contrasted_B.clamp(min=1)
        self.weight_N = torch.where(contrasted_BT, weight_B[:, None], 0.0).flatten()
        self.window_B = _number(rule.negatives, num_contrasted_B)
        self.places_BT, self.num_listed = seen.places(), seen.tokens_BU.size(1)
        # On the CPU the longest window, elsewhere a bound that needs no wait for the device.
        on_cpu = lengths_B.device.type == "cpu"
        most = int(self.window_B.max()) if on_cpu else _bound(rule, seen.num_positions)
        self.widest = min(most, seen.num_positions)

    @property
    def needs_margins(self) -> bool:
        return True

    def __call__(self, positions: Positions, want_gradient: bool) -> PositionLoss:
        """The loss and its gradient; where no position has the contrastive part, the likelihood's."""
        plain = likelihood(positions, want_gradient)
        weight_C = self.weight_N[positions.index_C]
        if weight_C.device.type == "cpu" and not weight_C.any():
            return plain
        assert positions.margin_CU is not None  # the rule asks for it
        counts_CU = self._counts(positions.index_C, positions.tokens_CU.size(1))
        is_target_CU = positions.tokens_CU == positions.target_C[:, None]
        counts_CU = counts_CU.masked_fill(is_target_CU | ~positions.seen_CU, 0)
        if not self.each_occurrence:
            counts_CU = counts_CU.clamp(max=1)
        dtype = positions.logp_y_C.dtype
        margin_CU = torch.where(counts_CU > 0, positions.margin_CU + counts_CU.to(dtype).log(), -torch.inf)
        target_C1 = margin_CU.new_zeros(len(margin_CU), 1)
        ct_C = torch.cat([target_C1, margin_CU], dim=1).logsumexp(dim=1)
        weight_C = weight_C.to(dtype)
        loss_C = plain.loss_C + weight_C * ct_C
        if not want_gradient:
            return PositionLoss(loss_C)
        assert plain.at_y_C is not None and plain.at_seen_CU is not None
        pull_CU = weight_C[:, None] * (margin_CU - ct_C[:, None]).exp()
        at_y_C = plain.at_y_C - pull_CU.sum(dim=1)
        return PositionLoss(loss_C, plain.dense_C, at_y_C, plain.at_seen_CU + pull_CU)

    def _counts(self, index_C: torch.Tensor, width: int) -> torch.Tensor:
        """How often each candidate stands in the window before each position: int64 ``(C, U)``."""
        text_C, time_C = index_C // self.num_positions, index_C % self.num_positions
        back_W = torch.arange(1, self.widest + 1, device=index_C.device)
        at_CW = time_C[:, None] - back_W
        inside_CW = (at_CW >= 0) & (back_W <= self.window_B[text_C][:, None])
        places_CW = self.places_BT[text_C[:, None], at_CW.clamp(min=0)]
        # What is not a candidate of this block goes to one place behind them all.
        places_CW = torch.where(inside_CW, places_CW, width).clamp(max=width)
        counts_CU = torch.zeros(len(index_C), width + 1, dtype=torch.int64, device=index_C.device)
        return counts_CU.scatter_add_(1, places_CW, torch.ones_like(places_CW))[:, :width]


def _number(setting: float, of_B: torch.Tensor) -> torch.Tensor:
    """A share of a number, rounded half to even, or a number of its own: int64."""
    if setting > 1.0:
        return torch.full_like(of_B, int(setting))
    return (setting * of_B.double()).round().long()


def _bound(rule: ContrastiveTokenRule, num_positions: int) -> int:
    """No window of a text of so many positions is wider."""
    longest = rule.length if rule.length > 1.0 else rule.length * num_positions + 1
    return math.ceil(rule.negatives if rule.negatives > 1.0 else rule.negatives * longest + 1)
