"""Draw one token per slot from logits: temperature, top-k, top-p, by the inverse CDF at a given number.

Legend: B slots, V vocabulary, K candidates kept by top-k or top-p, O slots that still need more of them.
"""

from dataclasses import dataclass

import torch

from fairseq_plugin.core.arg_max import arg_max
from fairseq_plugin.sampling.keyed_random import keyed_uniform

# Symbols of one block of the two-level CDF: the sum over a block is one vector operation, and only V / 64
# numbers are accumulated in float64. A vocabulary stored in a multiple of 64 needs no padding here.
_BLOCK = 64
# Logits divided by the least one stay inside the range of float32; from the greatest one on all tokens are
# alike.
MIN_TEMPERATURE, MAX_TEMPERATURE = 1e-3, 1e3


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn.

    Args:
        temperature: logits are divided by it; in [0.001, 1000]; 1 samples the model itself, 0 takes the arg
            max.
        top_k: keep the k most probable tokens; 0 keeps all. Ties with the k-th are cut arbitrarily.
        top_p: keep the fewest most probable tokens whose probabilities (after temperature and top-k)
            reach p, in (0, 1]; 1 keeps all.
        gumbel: draw by the Gumbel-max trick (:func:`draw_gumbel`) and not by the inverse CDF: the same
            distribution, other tokens for the same seed.

    Raises:
        ValueError: a value outside its range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    gumbel: bool = False

    def __post_init__(self) -> None:
        if self.temperature != 0 and not MIN_TEMPERATURE <= self.temperature <= MAX_TEMPERATURE:
            raise ValueError(
                f"temperature must be 0 (the most probable token) or in [{MIN_TEMPERATURE:g}, "
                f"{MAX_TEMPERATURE:g}], not {self.temperature}"
            )
        if self.top_k < 0:
            raise ValueError(f"top-k must be >= 0 (0 keeps every token), not {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top-p must be in (0, 1] (1 keeps every token), not {self.top_p}")
        if self.gumbel and self.temperature == 0:
            raise ValueError("gumbel draws at random, temperature 0 does not: leave one of them out")


GREEDY = Sampling(temperature=0)


def draw(logits_BV: torch.Tensor, uniform_B: torch.Tensor | None, sampling: Sampling) -> torch.Tensor:
    """Draw one token per slot.

    The token is the first, in the order of the vocabulary, at which the cumulative probability exceeds
    ``uniform_B``: token order, not order of probability, so that a rounding difference between two nearly
    equal logits cannot swap their places.

    Args:
        logits_BV: ``(B, V)`` float32, ``-inf`` for forbidden tokens.
        uniform_B: ``(B,)`` float64 in (0, 1); not needed with temperature 0.
        sampling: how.

    Returns:
        ``(B,)`` int64 token ids; a token of probability 0 is never drawn.

    Raises:
        FloatingPointError: a slot without a finite maximum (NaN, +inf, or nothing allowed). On a GPU the
            check would wait for the device: there the caller asks :func:`drawable` and reads it when it
            reads.
    """
    if logits_BV.device.type == "cpu":
        require_drawable(drawable(logits_BV))
    if sampling.temperature == 0:
        return arg_max(logits_BV)
    assert uniform_B is not None, "a temperature above 0 needs random numbers"
    if sampling.temperature != 1:
        logits_BV = logits_BV / sampling.temperature
    candidates = _candidates(logits_BV, sampling)
    return (
        _draw_full(logits_BV, uniform_B) if candidates is None else _draw_candidates(*candidates, uniform_B)
    )


def draw_gumbel(
    logits_BV: torch.Tensor,
    seed: int,
    sample_ids_B: torch.Tensor,
    steps_B: torch.Tensor,
    sampling: Sampling,
) -> torch.Tensor:
    """Draw one token per slot by the Gumbel-max trick.

    ``argmax over v of logits_v / T + g_v`` with ``g_v = -log(-log(u_v))`` has the distribution
    ``softmax(logits / T)`` (Gumbel 1954; Maddison, Tarlow, Minka, "A* Sampling", NeurIPS 2014, section 2).
    ``u_v`` is keyed by (seed, sample id, step, token), so the noise of a token depends neither on the batch
    nor on which other tokens are allowed; top-k and top-p only take candidates away.

    Args:
        logits_BV: as for :func:`draw`.
        seed, sample_ids_B, steps_B: as for :func:`~fairseq_plugin.sampling.keyed_random.keyed_uniform`.
        sampling: with a temperature above 0.

    Returns:
        ``(B,)`` int64 token ids.

    Raises:
        FloatingPointError: as :func:`draw`.
    """
    if logits_BV.device.type == "cpu":
        require_drawable(drawable(logits_BV))
    logits_BV = logits_BV / sampling.temperature
    candidates = _candidates(logits_BV, sampling)
    if candidates is None:
        scores_BK = logits_BV.double()
        symbols_BK = torch.arange(logits_BV.shape[1], device=logits_BV.device).expand_as(logits_BV)
    else:
        probs_BK, symbols_BK = candidates
        scores_BK = probs_BK.log()
    u_BK = keyed_uniform(seed, sample_ids_B.unsqueeze(1), steps_B.unsqueeze(1), symbols_BK)
    picked_B1 = (scores_BK - (-u_BK.log()).log()).argmax(-1, keepdim=True)
    return symbols_BK.gather(1, picked_B1).squeeze(1)


def drawable(logits_BV: torch.Tensor) -> torch.Tensor:
    """Whether every slot has a finite maximum, as a tensor on the device; amax over a NaN is NaN."""
    return torch.isfinite(logits_BV.amax(-1)).all()


def require_drawable(answer: torch.Tensor) -> None:
    """Raise ``FloatingPointError`` unless :func:`drawable` said yes; reads the tensor."""
    if not answer:
        raise FloatingPointError("logits hold NaN or +inf, or allow no token at all: the model is damaged")


def _candidates(logits_BV: torch.Tensor, sampling: Sampling) -> tuple[torch.Tensor, torch.Tensor] | None:
    """What top-k and top-p leave: probabilities ``(B, K)`` and symbols, or ``None`` for everything."""
    if 0 < sampling.top_k < logits_BV.shape[-1]:
        return _top_k(logits_BV, sampling.top_k, sampling.top_p)
    return _top_p(logits_BV, sampling.top_p) if sampling.top_p < 1 else None


def _top_k(logits_BV: torch.Tensor, k: int, p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The k best symbols, then of these the nucleus of ``p``: probabilities ``(B, K)`` and symbols."""
    values_BK, symbols_BK = logits_BV.topk(k, dim=-1)  # a selection, not a sort of the vocabulary
    probs_BK = values_BK.double().softmax(-1)
    if p < 1:
        probs_BK = _outside_nucleus_to_zero(probs_BK, p)
    return probs_BK, symbols_BK


def _top_p(logits_BV: torch.Tensor, p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The nucleus of ``p`` among ever more of the best symbols, only for the slots that still need more."""
    num_slots, num_symbols = logits_BV.shape
    lse_B1 = logits_BV.logsumexp(-1, keepdim=True)
    probs_BK = logits_BV.new_zeros(num_slots, 0, dtype=torch.float64)
    symbols_BK = torch.zeros(num_slots, 0, dtype=torch.int64, device=logits_BV.device)
    open_slots = torch.arange(num_slots, device=logits_BV.device)
    k = 256
    while len(open_slots):
        k = min(k, num_symbols)
        values_OK, best_OK = logits_BV[open_slots].topk(k, dim=-1)
        mass_OK = (values_OK - lse_B1[open_slots]).exp().double()
        probs_BK = torch.nn.functional.pad(probs_BK, (0, k - probs_BK.shape[1]))
        symbols_BK = torch.nn.functional.pad(symbols_BK, (0, k - symbols_BK.shape[1]))
        probs_BK[open_slots] = _outside_nucleus_to_zero(mass_OK, p)
        symbols_BK[open_slots] = best_OK
        # The last symbols together reach 1 only up to rounding: with all of them there is nothing to add.
        open_slots = open_slots[mass_OK.sum(-1) < p] if k < num_symbols else open_slots[:0]
        k *= 8
    return probs_BK, symbols_BK


def _outside_nucleus_to_zero(probs_BK: torch.Tensor, p: float) -> torch.Tensor:
    """Zero what comes after the cumulative probability has reached ``p``; the most probable come first."""
    before_BK = probs_BK.cumsum(-1) - probs_BK
    return probs_BK.masked_fill(before_BK >= p, 0.0)


def _draw_candidates(
    probs_BK: torch.Tensor, symbols_BK: torch.Tensor, uniform_B: torch.Tensor
) -> torch.Tensor:
    symbols_BK, order_BK = symbols_BK.sort(-1)  # K of them, not V
    picked_B1 = _first_above(probs_BK.gather(-1, order_BK).cumsum(-1), uniform_B)
    return symbols_BK.gather(-1, picked_B1).squeeze(-1)


def _draw_full(logits_BV: torch.Tensor, uniform_B: torch.Tensor) -> torch.Tensor:
    """Draw from all V symbols: find the block first, then the symbol in it."""
    weights_BV = (logits_BV - logits_BV.amax(-1, keepdim=True)).exp_()
    weights_BV = torch.nn.functional.pad(weights_BV, (0, -weights_BV.shape[-1] % _BLOCK))
    weights_BNC = weights_BV.unflatten(-1, (-1, _BLOCK))
    blocks_BN = weights_BNC.sum(-1).double()
    cdf_BN = blocks_BN.cumsum(-1)
    block_B1 = _first_above(cdf_BN, uniform_B)
    # What is left of the draw inside its block, as a share of the block's own weight.
    weight_B1 = blocks_BN.gather(-1, block_B1)
    before_B1 = cdf_BN.gather(-1, block_B1) - weight_B1
    rest_B = ((uniform_B.unsqueeze(-1) * cdf_BN[:, -1:] - before_B1) / weight_B1).squeeze(-1).clamp(0, 1)
    inside_BC = weights_BNC.gather(1, block_B1.unsqueeze(-1).expand(-1, -1, _BLOCK)).squeeze(1)
    return (block_B1 * _BLOCK + _first_above(inside_BC.double().cumsum(-1), rest_B)).squeeze(-1)


def _first_above(cdf_BN: torch.Tensor, uniform_B: torch.Tensor) -> torch.Tensor:
    """First index whose cumulative weight exceeds ``uniform * total``; ``(B, 1)`` int64.

    Strictly above: an entry of weight 0 has the cumulative weight of its predecessor, so it is never the
    first. The target is kept below the total, where rounding (``uniform`` next to 1) would reach it.
    """
    total_B1 = cdf_BN[:, -1:].contiguous()
    target_B1 = torch.minimum(
        uniform_B.unsqueeze(-1) * total_B1, total_B1.nextafter(torch.zeros_like(total_B1))
    )
    return torch.searchsorted(cdf_BN.contiguous(), target_B1, right=True)
