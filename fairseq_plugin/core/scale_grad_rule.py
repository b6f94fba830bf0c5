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

Semantics, as published: the seen set of a text starts empty and holds the earlier *targets* of that text,
without a limit of distance, each once; the very first input token never counts unless it is given as seen.
gamma = 1 is maximum likelihood: loss and gradient from logits are bit-equal to cross-entropy. At inference
nothing changes: plain softmax. Beyond the published code: any batch (padding is neither scored nor seen,
texts never leak into each other, a batch of nothing but padding gives 0 with a graph), exact normalisation,
half precision.

    >>> logits_BTV = torch.zeros(1, 3, 4, requires_grad=True)   # p = 1/4 everywhere
    >>> target_BT, rule = torch.tensor([[2, 2, 3]]), ScaleGradRule(gamma=0.5)
    >>> loss_from_logits(logits_BTV, target_BT, rule=rule, ignore_index=-100)[0].loss
    tensor(3.9120, grad_fn=...)        # ln 4  +  ln 2.5 (seen: 1/4 of 5/8)  +  ln 5 (novel: 1/8 of 5/8)

Legend: C positions (in shapes), U candidates for "seen" per position, V vocabulary. All losses in nats.
"""

from dataclasses import dataclass

import torch

from fairseq_plugin.core.position_rules import PositionLoss, Positions, Rule

# 1 / gamma and its products with probabilities stay far inside the range of float32.
SMALLEST_GAMMA = 1e-30


def check_settings(gamma: float, eps: float) -> None:
    """Refuse settings under which the loss has no meaning.

    Raises:
        ValueError: gamma outside [1e-30, 1] or eps outside [0, 1].
    """
    check_gamma("--gamma", gamma)
    if not 0.0 <= eps <= 1.0:
        raise ValueError(f"--parity-eps {eps}: must be 0 (exact) or a small positive number such as 1e-8")


def check_gamma(flag: str, gamma: float) -> None:
    """Refuse a weight of novel tokens that has no meaning, or that float32 cannot hold.

    Raises:
        ValueError: gamma outside [1e-30, 1].
    """
    if not 0.0 < gamma <= 1.0:
        raise ValueError(
            f"{flag} {gamma}: must be in (0, 1]; 1 is maximum likelihood, smaller values favour novel tokens"
        )
    if gamma < SMALLEST_GAMMA:
        raise ValueError(
            f"{flag} {gamma}: must be at least {SMALLEST_GAMMA}; float32 cannot hold what is divided by it"
        )


@dataclass(frozen=True)
class ScaleGradRule(Rule):
    """The module's formulas.

    Args:
        gamma: in [1e-30, 1]; weight of novel tokens.
        eps: in [0, 1]; 0 = exact, 1e-8 = what the published code computes: it errs by +5.0e-4 nats at gamma =
            1 and V = 50,257, and caps the loss near 18 nats.

    Raises:
        ValueError: a setting out of range.
    """

    gamma: float
    eps: float = 0.0

    def __post_init__(self) -> None:
        check_settings(self.gamma, self.eps)

    @property
    def is_likelihood(self) -> bool:
        return self.gamma == 1.0 and self.eps == 0.0

    @property
    def needs_allowed(self) -> bool:
        return self.eps != 0.0

    def __call__(self, positions: Positions, want_gradient: bool) -> PositionLoss:
        """The loss and its gradient; at gamma = 1 the shift is 0."""
        gamma, eps, logp_y_C = self.gamma, self.eps, positions.logp_y_C
        p_seen_CU = torch.where(positions.seen_CU, positions.p_seen_CU, 0.0)
        r_C = p_seen_CU.sum(dim=1)
        mass_C = gamma + (1.0 - gamma) * r_C
        if eps == 0.0:
            # log N - log gamma as log1p: no digits are lost where the seen mass r is tiny.
            novel_shift_C = ((1.0 - gamma) / gamma * r_C).log1p()
            loss_C = torch.where(positions.y_seen_C, mass_C.log(), novel_shift_C) - logp_y_C
            total_C, k_C, q_C = mass_C, 0.0, 1.0
        else:
            entry_y_C = torch.where(positions.y_seen_C, torch.ones_like(r_C), gamma) * logp_y_C.exp()
            assert positions.num_allowed is not None  # the rule asks for it
            total_C = mass_C + eps * positions.num_allowed
            loss_C = total_C.log() - (entry_y_C + eps).log()
            q_C = entry_y_C / (entry_y_C + eps)
            k_C = mass_C / total_C - q_C
            # NaN for a target without probability, not a large number.
            loss_C = loss_C + 0.0 * logp_y_C.square()
        if not want_gradient:
            return PositionLoss(loss_C)
        dense_C = gamma / total_C - k_C
        seen_C = 1.0 / total_C - k_C
        at_y_C = logp_y_C.exp() * torch.where(positions.y_seen_C, seen_C, dense_C) - q_C
        return PositionLoss(loss_C, dense_C, at_y_C, p_seen_CU * seen_C[:, None])
