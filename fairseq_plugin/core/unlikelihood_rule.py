"""Unlikelihood position by position, as rules of :mod:`fairseq_plugin.core.position_rules`.

Welleck et al., "Neural Text Generation with Unlikelihood Training" (ICLR 2020, arXiv 1908.04319). With p =
softmax(z), target y and r_c = p_c / (1 - p_c),

    token level, eq. 5:     loss = -log p_y + alpha * sum over c in C of -log(1 - p_c)
                            C = (distinct earlier targets of the same text) without y
    sequence level, eq. 7:  loss = -log(1 - p_y)          # y a token that the model repeated; no likelihood

    d(-log(1 - p_c))/dz_v = r_c ([v = c] - p_v)

so with R = sum of r_c over C

    dloss/dz_v = p_v (1 - alpha R)                        # dense
    dloss/dz_c = p_c (1 + alpha (1 + r_c - R))            # at a candidate: exact, bounded by 1 + alpha
    dloss/dz_y = p_y (1 - alpha R) - 1

Near p_c = 1. At most one token has p > 1/2, the arg max. There 1 - p_c is taken as the *sum of all other
probabilities* (full relative precision; 1 - p in float32 would keep no digit below 6e-8), elsewhere as
log1p(-p_c). It is not let below 2^-100: -log(1 - p_c) is at most 69.3 nats, also where every other
probability has rounded to 0 and p_c == 1; the gradient there stays p_c at the candidate, so that training can
leave it.

Token level with alpha = 0 is maximum likelihood: from logits bit-equal to cross-entropy. Sequence level is
for a text that the model continued itself: give as targets only the tokens of n-grams that the continuation
already held (:mod:`fairseq_plugin.core.repeated_ngrams`), ``ignore_index`` elsewhere. Padding is neither
scored nor a candidate, texts never leak into each other, a batch of nothing but padding gives 0 with a graph.

    >>> logits_BTV = torch.zeros(1, 3, 4, requires_grad=True)   # p = 1/4 everywhere
    >>> target_BT, rule = torch.tensor([[2, 2, 3]]), UnlikelihoodRule(alpha=1.0)
    >>> loss_from_logits(logits_BTV, target_BT, rule=rule, ignore_index=-100)[0].loss
    tensor(4.4466, grad_fn=...)        # 3 ln 4 and, at the last position, - ln(3/4) for token 2

Legend: C positions (in shapes), U candidates per position. All losses in nats.
"""

from dataclasses import dataclass

import torch

from fairseq_plugin.core.position_rules import PositionLoss, Positions, Rule, likelihood

# 1 - p is taken as at least this; far above the smallest float32, so that alpha / (1 - p) stays finite.
SMALLEST_REST = 2.0**-100


def check_alpha(alpha: float) -> None:
    """Refuse a weight under which the loss has no meaning.

    Raises:
        ValueError: alpha negative, not finite, or above 1e6.
    """
    if not 0.0 <= alpha <= 1e6:
        raise ValueError(
            f"--alpha {alpha}: must be in [0, 1e6]; 0 is maximum likelihood, 1 the published weight"
        )


@dataclass(frozen=True)
class UnlikelihoodRule(Rule):
    """Token level: likelihood of the target, unlikelihood of the text's earlier targets.

    Args:
        alpha: >= 0, weight of the unlikelihood part.

    Raises:
        ValueError: alpha out of range.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_alpha(self.alpha)

    @property
    def is_likelihood(self) -> bool:
        return self.alpha == 0.0

    @property
    def needs_rest(self) -> bool:
        return self.alpha != 0.0

    def __call__(self, positions: Positions, want_gradient: bool) -> PositionLoss:
        """The loss and its gradient; at alpha = 0 cross-entropy's."""
        if self.alpha == 0.0:
            return likelihood(positions, want_gradient)
        candidate_CU = positions.seen_CU & (positions.tokens_CU != positions.target_C[:, None])
        is_top_CU = positions.tokens_CU == positions.argmax_C[:, None]
        top_C = (candidate_CU & is_top_CU).any(dim=1)  # the most probable token is a candidate
        assert positions.rest_C is not None  # the rule asks for it
        rest_C = positions.rest_C.clamp(min=SMALLEST_REST)
        p_CU = torch.where(candidate_CU, positions.p_seen_CU, 0.0)
        small_CU = torch.where(is_top_CU, 0.0, p_CU)  # candidates with p <= 1/2
        penalty_C = torch.where(top_C, -rest_C.log(), 0.0) - (-small_CU).log1p().sum(dim=1)
        loss_C = self.alpha * penalty_C - positions.logp_y_C
        if not want_gradient:
            return PositionLoss(loss_C)
        r_CU = small_CU / (1.0 - small_CU)
        small_sum_C = r_CU.sum(dim=1)
        sum_C = small_sum_C + torch.where(top_C, positions.p_max_C / rest_C, 0.0)
        dense_C = 1.0 - self.alpha * sum_C
        others_CU = torch.where(is_top_CU, small_sum_C[:, None], sum_C[:, None] - r_CU)  # R - r_c
        at_seen_CU = p_CU * (1.0 + self.alpha * (1.0 - others_CU))
        return PositionLoss(loss_C, dense_C, positions.logp_y_C.exp() * dense_C - 1.0, at_seen_CU)


@dataclass(frozen=True)
class PenaltyRule(Rule):
    """Sequence level: unlikelihood of the target, nothing else. Seen tokens play no part."""

    @property
    def needs_rest(self) -> bool:
        return True

    def __call__(self, positions: Positions, want_gradient: bool) -> PositionLoss:
        """The loss and its gradient."""
        p_y_C = positions.logp_y_C.exp()
        is_top_C = positions.target_C == positions.argmax_C
        assert positions.rest_C is not None  # the rule asks for it
        p_small_C = torch.where(is_top_C, 0.0, p_y_C)
        rest_C = torch.where(is_top_C, positions.rest_C.clamp(min=SMALLEST_REST), 1.0 - p_small_C)
        loss_C = -torch.where(is_top_C, rest_C.log(), (-p_small_C).log1p())
        if not want_gradient:
            return PositionLoss(loss_C)
        dense_C = -p_y_C / rest_C
        return PositionLoss(loss_C, dense_C, p_y_C, positions.p_seen_CU * dense_C[:, None])
