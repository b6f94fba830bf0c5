"""ScaleGrad position by position: what the logits path and the fused path share.

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

Legend: N positions (in shapes), U candidates for "seen" per position, V vocabulary. All losses in nats.
"""

import math
from typing import NamedTuple

import torch


class LossParts(NamedTuple):
    """What one batch gives. Every entry is a 0-dimensional tensor on the batch's device; none was read back.

    Attributes:
        loss: ScaleGrad loss in nats, summed over scored positions, differentiable.
        nll: plain negative log-likelihood in nats, summed over the same positions, detached.
        num_scored: int64, positions with a target.
        num_correct: int64, scored positions whose largest plain logit is the target's.
        num_novel: int64, scored positions whose target had not been seen before in its row.
    """

    loss: torch.Tensor
    nll: torch.Tensor
    num_scored: torch.Tensor
    num_correct: torch.Tensor
    num_novel: torch.Tensor


class RowTerms(NamedTuple):
    """The quantities of the module's formulas for N positions, each ``(N,)`` unless said.

    Attributes:
        shift_N: loss minus plain negative log-likelihood, nats.
        mass_N: N, the sum of g_u p_u.
        weight_y_N: g_y, the weight of the target: gamma if novel, else 1.
        p_seen_NU: ``(N, U)``, probabilities of the seen tokens, 0 elsewhere.
    """

    shift_N: torch.Tensor
    mass_N: torch.Tensor
    weight_y_N: torch.Tensor
    p_seen_NU: torch.Tensor


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


def target_is_seen(target_N, tokens_NU, seen_NU):
    """Whether each position's own target is among the tokens seen there: bool ``(N,)``."""
    return ((tokens_NU == target_N[:, None]) & seen_NU).any(dim=1)


def row_terms(logp_y_N, logp_seen_NU, seen_NU, y_seen_N, gamma, eps, num_columns):
    """The shift from plain cross-entropy to ScaleGrad, from a few gathered log-probabilities.

    At gamma = 1 (and eps = 0) ``shift_N`` is exactly 0.0 and so is its derivative.

    Args:
        logp_y_N: ``(N,)``, log p of the target, nats.
        logp_seen_NU: ``(N, U)``, log p of the candidates; entries that are not seen are ignored.
        seen_NU: bool ``(N, U)``.
        y_seen_N: bool ``(N,)``.
        gamma: in (0, 1].
        eps: >= 0, the parity switch.
        num_columns: V of the eps term, an int or ``(N,)``: columns that have a probability.

    Returns:
        :class:`RowTerms`; differentiable in the log-probabilities.
    """
    p_seen_NU = torch.where(seen_NU, logp_seen_NU.exp(), 0.0)
    r_N = p_seen_NU.sum(dim=1)
    mass_N = gamma + (1.0 - gamma) * r_N
    weight_y_N = torch.where(y_seen_N, torch.ones_like(r_N), gamma)
    if eps == 0.0:
        # log N - log gamma as log1p: no digits are lost where the seen mass r is tiny.
        shift_N = torch.where(y_seen_N, mass_N.log(), ((1.0 - gamma) / gamma * r_N).log1p())
    else:
        entry_y_N = weight_y_N * logp_y_N.exp() + eps
        shift_N = (mass_N + eps * num_columns).log() - entry_y_N.log() + logp_y_N
    # A target without probability must never train silently: 0 * x^2 and its derivative 0 * 2x are exact
    # zeros for any finite x and NaN for x = -inf, so the trainer's gradient check stops the update.
    return RowTerms(shift_N + 0.0 * logp_y_N.square(), mass_N, weight_y_N, p_seen_NU)


class RowGradient(NamedTuple):
    """dloss/dz in the form ``p_v * dense``, plus ``extra`` at the seen tokens, plus ``at_y`` at the target.

    Attributes:
        dense_N1: ``(N, 1)``.
        extra_NU: ``(N, U)``, 0 where a candidate is not seen.
        at_y_N1: ``(N, 1)``.
    """

    dense_N1: torch.Tensor
    extra_NU: torch.Tensor
    at_y_N1: torch.Tensor


def row_gradient(terms, logp_y_N, gamma, eps, num_columns):
    """The module's dloss/dz in closed form: one scalar for the dense part, a few sparse entries.

    Args:
        terms: of :func:`row_terms` with the same ``gamma``, ``eps`` and ``num_columns``.
        logp_y_N: ``(N,)``, log p of the target.

    Returns:
        :class:`RowGradient`.
    """
    total_N = terms.mass_N + eps * num_columns
    dense_N = gamma / total_N
    at_y_N = -torch.ones_like(logp_y_N)
    if eps != 0.0:
        entry_y_N = terms.weight_y_N * logp_y_N.exp()
        at_y_N = -entry_y_N / (entry_y_N + eps)
        dense_N = dense_N - (terms.mass_N / total_N + at_y_N)
    extra_NU = terms.p_seen_NU * ((1.0 - gamma) / total_N)[:, None]
    at_y_N = at_y_N + 0.0 * logp_y_N  # NaN for a target without probability, as in row_terms
    return RowGradient(dense_N[:, None], extra_NU, at_y_N[:, None])


def refuse_impossible_targets(logp_y_N, target_N):
    """Name a target that the model gives no probability. Reads the values: meant for tensors on the CPU.

    Raises:
        ValueError: naming the first such token.
    """
    impossible_N = logp_y_N == -math.inf
    if impossible_N.any():
        token = int(target_N[impossible_N][0])
        raise ValueError(
            f"target token {token} has probability 0: its column of the output layer is banned or its logit "
            "is -inf. Prepare the data again with this model's dictionary, or do not score the position"
        )
