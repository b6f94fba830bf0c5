"""Unlikelihood position by position, as rules of :mod:`fairseq_plugin.core.position_rules`.

Welleck et al., "Neural Text Generation with Unlikelihood Training" (ICLR 2020, arXiv 1908.04319). With p =
softmax(z), target y and r_c = p_c / (1 - p_c),

    token level, eq. 5:     loss = -log p_y + alpha * sum over c in C of -log(1 - p_c)
                            C = (distinct earlier targets of the same row) without y
    sequence level, eq. 7:  loss = -log(1 - p_y)          # y a token that the model repeated; no likelihood

    d(-log(1 - p_c))/dz_v = r_c ([v = c] - p_v)

so with R = sum of r_c over C

    dloss/dz_v = p_v (1 - alpha R)                        # dense
    dloss/dz_c = p_c (1 + alpha (1 + r_c - R))            # at a candidate: exact, bounded by 1 + alpha
    dloss/dz_y = p_y (1 - alpha R) - 1

Near p_c = 1. At most one column has p > 1/2, the arg max. There 1 - p_c is taken as the *sum of all other
probabilities* (full relative precision; 1 - p in float32 would keep no digit below 6e-8), elsewhere as
log1p(-p_c). It is not let below 2^-100: -log(1 - p_c) is at most 69.3 nats, also where every other
probability has rounded to 0 and p_c == 1; the gradient there stays p_c at the candidate, so that training can
leave it.

Legend: C positions (in shapes), U candidates per position. All losses in nats.
"""

from dataclasses import dataclass

import torch

from fairseq_plugin.core.position_rules import RowLoss

# 1 - p is taken as at least this; far above the smallest float32, so that alpha / (1 - p) stays finite.
SMALLEST_REST = 2.0**-100


def check_alpha(alpha):
    """Refuse a weight under which the loss has no meaning.

    Raises:
        ValueError: alpha negative, not finite, or above 1e6.
    """
    if not 0.0 <= alpha <= 1e6:
        raise ValueError(
            f"--alpha {alpha}: must be in [0, 1e6]; 0 is maximum likelihood, 1 the published weight"
        )


@dataclass(frozen=True)
class UnlikelihoodRule:
    """Token level: likelihood of the target, unlikelihood of the row's earlier targets.

    Args:
        alpha: >= 0, weight of the unlikelihood part.

    Raises:
        ValueError: alpha out of range.
    """

    alpha: float = 1.0

    needs_allowed = False

    def __post_init__(self):
        check_alpha(self.alpha)

    @property
    def is_likelihood(self):
        return self.alpha == 0.0

    @property
    def needs_rest(self):
        return self.alpha != 0.0

    def __call__(self, rows, want_gradient):
        """Answer with a :class:`~fairseq_plugin.core.position_rules.RowLoss`; at alpha = 0 cross-entropy's."""
        if self.alpha == 0.0:
            return self._likelihood(rows, want_gradient)
        candidate_CU = rows.seen_CU & (rows.tokens_CU != rows.target_C[:, None])
        is_top_CU = rows.tokens_CU == rows.argmax_C[:, None]
        top_C = (candidate_CU & is_top_CU).any(dim=1)  # the most probable column is a candidate
        rest_C = rows.rest_C.clamp(min=SMALLEST_REST)
        p_CU = torch.where(candidate_CU, rows.logp_seen_CU.exp(), 0.0)
        small_CU = torch.where(is_top_CU, 0.0, p_CU)  # candidates with p <= 1/2
        penalty_C = torch.where(top_C, -rest_C.log(), 0.0) - (-small_CU).log1p().sum(dim=1)
        loss_C = self.alpha * penalty_C - rows.logp_y_C
        if not want_gradient:
            return RowLoss(loss_C)
        r_CU = small_CU / (1.0 - small_CU)
        small_sum_C = r_CU.sum(dim=1)
        sum_C = small_sum_C + torch.where(top_C, rows.p_max_C / rest_C, 0.0)
        dense_C = 1.0 - self.alpha * sum_C
        others_CU = torch.where(is_top_CU, small_sum_C[:, None], sum_C[:, None] - r_CU)  # R - r_c
        at_seen_CU = p_CU * (1.0 + self.alpha * (1.0 - others_CU))
        return RowLoss(loss_C, dense_C, rows.logp_y_C.exp() * dense_C - 1.0, at_seen_CU)

    def _likelihood(self, rows, want_gradient):
        if not want_gradient:
            return RowLoss(-rows.logp_y_C)
        one_C = torch.ones_like(rows.logp_y_C)
        return RowLoss(-rows.logp_y_C, one_C, rows.logp_y_C.exp() - 1.0, rows.logp_seen_CU.exp())


@dataclass(frozen=True)
class PenaltyRule:
    """Sequence level: unlikelihood of the target, nothing else. Seen tokens play no part."""

    is_likelihood = False
    needs_rest = True
    needs_allowed = False

    def __call__(self, rows, want_gradient):
        """Answer with a :class:`~fairseq_plugin.core.position_rules.RowLoss`."""
        p_y_C = rows.logp_y_C.exp()
        is_top_C = rows.target_C == rows.argmax_C
        p_small_C = torch.where(is_top_C, 0.0, p_y_C)
        rest_C = torch.where(is_top_C, rows.rest_C.clamp(min=SMALLEST_REST), 1.0 - p_small_C)
        loss_C = -torch.where(is_top_C, rest_C.log(), (-p_small_C).log1p())
        if not want_gradient:
            return RowLoss(loss_C)
        dense_C = -p_y_C / rest_C
        return RowLoss(loss_C, dense_C, p_y_C, rows.logp_seen_CU.exp() * dense_C[:, None])
