"""ScaleGrad position by position, as a rule of :mod:`fairseq_plugin.core.position_rules`.

Lin, Han and Joty, "Straight to the Gradient: Learning to Use Novel Tokens for Neural Text Generation"
(ICML 2021, arXiv 2106.07207): with p = softmax(z), target y and gamma in (0, 1],

    p~_v = g_v p_v / sum_u g_u p_u        g_v = gamma if v is novel, 1 if v was seen in this sample
    loss = -log p~_y

Since the p_v sum to 1, the normaliser needs only the seen tokens, at most t of them at position t:

    r    = sum of p_v over the distinct seen v
    N    = gamma + (1 - gamma) r
    loss = -log p_y + shift,   shift = log N - log g_y

    dloss/dz_v = p_v gamma / N   (v novel)   |   p_v / N   (v seen);   minus 1 at v = y

With the parity switch ``eps`` (the published code adds 1e-8 to each of the V entries before normalising)

    p~_v = (g_v p_v + eps) / M,   M = N + V eps,   q = g_y p_y / (g_y p_y + eps),   k = N / M - q
    dloss/dz_v = p_v (g_v / M - k);   minus q at v = y           # eps = 0: M = N, q = 1, k = 0

Legend: C positions (in shapes), U candidates for "seen" per position, V vocabulary. All losses in nats.
"""

import math
from dataclasses import dataclass

import torch

from fairseq_plugin.core.position_rules import RowLoss


def check_settings(gamma, eps):
    """Refuse settings under which the loss has no meaning.

    Raises:
        ValueError: gamma outside (0, 1] or eps negative or not finite.
    """
    if not 0.0 < gamma <= 1.0:
        raise ValueError(
            f"--gamma {gamma}: must be in (0, 1]; 1 is maximum likelihood, smaller values favour novel tokens"
        )
    if not (math.isfinite(eps) and eps >= 0.0):
        raise ValueError(f"--parity-eps {eps}: must be 0 (exact) or a small positive number such as 1e-8")


@dataclass(frozen=True)
class ScaleGradRule:
    """The module's formulas.

    Args:
        gamma: in (0, 1]; weight of novel tokens.
        eps: 0 = exact; 1e-8 = what the published code computes.

    Raises:
        ValueError: a setting out of range.
    """

    gamma: float
    eps: float = 0.0

    needs_rest = False

    def __post_init__(self):
        check_settings(self.gamma, self.eps)

    @property
    def is_likelihood(self):
        return self.gamma == 1.0 and self.eps == 0.0

    @property
    def needs_allowed(self):
        return self.eps != 0.0

    def __call__(self, rows, want_gradient):
        """Answer with a :class:`~fairseq_plugin.core.position_rules.RowLoss`; at gamma = 1 the shift is 0."""
        gamma, eps, logp_y_C = self.gamma, self.eps, rows.logp_y_C
        p_seen_CU = torch.where(rows.seen_CU, rows.logp_seen_CU.exp(), 0.0)
        r_C = p_seen_CU.sum(dim=1)
        mass_C = gamma + (1.0 - gamma) * r_C
        if eps == 0.0:
            # log N - log gamma as log1p: no digits are lost where the seen mass r is tiny.
            novel_shift_C = ((1.0 - gamma) / gamma * r_C).log1p()
            loss_C = torch.where(rows.y_seen_C, mass_C.log(), novel_shift_C) - logp_y_C
            total_C, k_C, q_C = mass_C, 0.0, 1.0
        else:
            entry_y_C = torch.where(rows.y_seen_C, torch.ones_like(r_C), gamma) * logp_y_C.exp()
            total_C = mass_C + eps * rows.num_allowed
            loss_C = total_C.log() - (entry_y_C + eps).log()
            q_C = entry_y_C / (entry_y_C + eps)
            k_C = mass_C / total_C - q_C
            # NaN for a target without probability, not a large number.
            loss_C = loss_C + 0.0 * logp_y_C.square()
        if not want_gradient:
            return RowLoss(loss_C)
        dense_C = gamma / total_C - k_C
        seen_C = 1.0 / total_C - k_C
        at_y_C = logp_y_C.exp() * torch.where(rows.y_seen_C, seen_C, dense_C) - q_C
        return RowLoss(loss_C, dense_C, at_y_C, p_seen_CU * seen_C[:, None])
