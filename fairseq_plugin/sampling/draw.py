"""Draw one token per slot from logits: temperature, top-k, top-p, by the inverse CDF at a given number.

Many samples may draw from one slot's logits, each its own token (``members``): what they share is worked out
once.

Legend: B slots, M members (samples that draw; those of one slot one behind the other), V vocabulary, N blocks
of it, C symbols of a block, K candidates kept by top-k or top-p, O slots with a wide nucleus.
"""

from dataclasses import dataclass, replace

import torch

from fairseq_plugin.core.arg_max import arg_max
from fairseq_plugin.sampling.inverse_cdf import (
    BLOCK,
    Blocks,
    Members,
    block_maxima,
    block_probabilities,
    draw_of_all,
    first_above,
    whole_blocks,
)
from fairseq_plugin.sampling.keyed_random import keyed_uniform
from fairseq_plugin.sampling.nucleus import outside_nucleus

# Logits divided by the least one stay inside the range of float32; from the greatest one on all tokens are
# alike.
MIN_TEMPERATURE, MAX_TEMPERATURE = 1e-3, 1e3
# The nucleus is looked for among so many of the best symbols; where they do not reach it, it is wide. A GPU
# selects more of them in one pass of its own, and there a wide one costs a wait for the device.
_FEW, _FEW_ON_GPU = 64, 1024
# Gumbel noise of so many symbols at once.
_NOISE_AT_ONCE = 1 << 22


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


def draw(
    logits_BV: torch.Tensor,
    uniform_M: torch.Tensor | None,
    sampling: Sampling,
    members: Members | None = None,
    blocks: Blocks | None = None,
) -> torch.Tensor:
    """Draw one token per slot, or per member of the slots.

    The token is the first, in the order of the vocabulary, at which the cumulative probability exceeds
    ``uniform_M``: token order, not order of probability, so that a rounding difference between two nearly
    equal logits cannot swap their places.

    Args:
        logits_BV: ``(B, V)`` float32, ``-inf`` for forbidden tokens.
        uniform_M: ``(M,)`` float64 in (0, 1); not needed with temperature 0.
        sampling: how.
        members: how many of the numbers belong to each slot; ``None``: one to each.
        blocks: :func:`block_probabilities` of these logits (in whole blocks) at any temperature, where the
            caller has them.

    Returns:
        ``(M,)`` int64 token ids; a token of probability 0 is never drawn.

    Raises:
        FloatingPointError: a slot without a finite maximum (NaN, +inf, or nothing allowed). On a GPU the
            check would wait for the device: there the caller asks :func:`drawable` and reads it when it
            reads.
    """
    if logits_BV.device.type == "cpu":
        require_drawable(drawable(logits_BV if blocks is None else blocks.maxima_RB))
    tokens_M, wide_B = draw_few(logits_BV, uniform_M, sampling, members, blocks)
    if wide_B is not None and wide_B.any():
        assert uniform_M is not None
        wide = _Wide(whole_blocks(logits_BV), wide_B, _rows(logits_BV, members), sampling, members)
        tokens_M[wide.of_M] = draw(wide.logits_OV, uniform_M[wide.of_M], wide.sampling, wide.members)
    return tokens_M


def draw_few(
    logits_BV: torch.Tensor,
    uniform_M: torch.Tensor | None,
    sampling: Sampling,
    members: Members | None = None,
    blocks: Blocks | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """:func:`draw` but for what has to wait for the device: checks, and a nucleus of many symbols.

    Returns:
        token ids ``(M,)``, and bool ``(B,)``: whose nucleus is wide, so that its token does not count;
        ``None`` where nothing can be wide.
    """
    if sampling.temperature == 0:
        tokens_B = arg_max(logits_BV)
        return tokens_B if members is None else tokens_B[members.rows(tokens_B.device)], None
    assert uniform_M is not None, "a temperature above 0 needs random numbers"
    logits_BV = whole_blocks(logits_BV)
    if _keeps_all(sampling, logits_BV):
        blocks = _at(sampling, logits_BV, blocks)
        return draw_of_all(logits_BV, blocks, sampling.temperature, uniform_M, members), None
    probs_BK, symbols_BK, wide_B = _candidates(logits_BV, sampling, blocks)
    symbols_BK, order_BK = symbols_BK.sort(-1)  # K of them, not V
    picked_M = first_above(probs_BK.gather(-1, order_BK).cumsum(-1), uniform_M, members)
    return symbols_BK[_rows(logits_BV, members), picked_M], wide_B


def draw_gumbel(
    logits_BV: torch.Tensor,
    seed: int,
    sample_ids_M: torch.Tensor,
    steps_M: torch.Tensor,
    sampling: Sampling,
    members: Members | None = None,
) -> torch.Tensor:
    """Draw one token per slot, or per member of the slots, by the Gumbel-max trick.

    ``argmax over v of logits_v / T + g_v`` with ``g_v = -log(-log(u_v))`` has the distribution
    ``softmax(logits / T)`` (Gumbel 1954; Maddison, Tarlow, Minka, "A* Sampling", NeurIPS 2014, section 2).
    ``u_v`` is keyed by (seed, sample id, step, token), so the noise of a token depends neither on the batch
    nor on which other tokens are allowed; top-k and top-p only take candidates away.

    Args:
        logits_BV: as for :func:`draw`.
        seed, sample_ids_M, steps_M: as for :func:`~fairseq_plugin.sampling.keyed_random.keyed_uniform`.
        sampling: with a temperature above 0.
        members: as for :func:`draw`. Each has noise of its own: here sharing saves the network only.

    Returns:
        ``(M,)`` int64 token ids.

    Raises:
        FloatingPointError: as :func:`draw`.
    """
    if logits_BV.device.type == "cpu":
        require_drawable(drawable(logits_BV))
    tokens_M, wide_B = draw_few_gumbel(logits_BV, seed, sample_ids_M, steps_M, sampling, members)
    if wide_B is not None and wide_B.any():
        wide = _Wide(logits_BV, wide_B, _rows(logits_BV, members), sampling, members)
        ids_M, steps_M = sample_ids_M[wide.of_M], steps_M[wide.of_M]
        tokens_M[wide.of_M] = draw_gumbel(wide.logits_OV, seed, ids_M, steps_M, wide.sampling, wide.members)
    return tokens_M


def draw_few_gumbel(
    logits_BV: torch.Tensor,
    seed: int,
    sample_ids_M: torch.Tensor,
    steps_M: torch.Tensor,
    sampling: Sampling,
    members: Members | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """:func:`draw_gumbel` as :func:`draw_few` is :func:`draw`."""
    row_M, wide_B = _rows(logits_BV, members), None
    if _keeps_all(sampling, logits_BV):
        scores_BK, symbols_BK = logits_BV / sampling.temperature, None
    else:
        probs_BK, symbols_BK, wide_B = _candidates(whole_blocks(logits_BV), sampling)
        scores_BK = probs_BK.log()
    drawn, all_symbols = [], torch.arange(logits_BV.shape[1], device=logits_BV.device)
    at_once = max(_NOISE_AT_ONCE // scores_BK.shape[1], 1)
    for rows, ids, steps in zip(*(x.split(at_once) for x in (row_M, sample_ids_M, steps_M)), strict=True):
        symbols_MK = all_symbols.expand(len(rows), -1) if symbols_BK is None else symbols_BK[rows]
        u_MK = keyed_uniform(seed, ids.unsqueeze(1), steps.unsqueeze(1), symbols_MK)
        picked_M1 = (scores_BK[rows].double() - (-u_MK.log()).log()).argmax(-1, keepdim=True)
        drawn.append(symbols_MK.gather(1, picked_M1).squeeze(1))
    return torch.cat(drawn), wide_B


def drawable(logits_BN: torch.Tensor) -> torch.Tensor:
    """Whether each slot has a finite maximum, bool ``(B,)`` on the device; amax over a NaN is NaN.

    Args:
        logits_BN: all of a slot's, or the maxima of parts of them.
    """
    return torch.isfinite(logits_BN.amax(-1))


def require_drawable(answer_B: torch.Tensor) -> None:
    """Raise ``FloatingPointError`` unless :func:`drawable` said yes to all; reads the tensor."""
    if not answer_B.all():
        raise FloatingPointError("logits hold NaN or +inf, or allow no token at all: the model is damaged")


def _keeps_all(sampling: Sampling, logits_BV: torch.Tensor) -> bool:
    return not 0 < sampling.top_k < logits_BV.shape[-1] and sampling.top_p == 1


def _rows(logits_BV: torch.Tensor, members: Members | None) -> torch.Tensor:
    """The slot of every member."""
    device = logits_BV.device
    return torch.arange(len(logits_BV), device=device) if members is None else members.rows(device)


def _candidates(
    logits_BV: torch.Tensor, sampling: Sampling, blocks: Blocks | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """What top-k and top-p leave of whole blocks.

    Returns:
        probabilities ``(B, K)``, symbols, and which slots have a wide nucleus, of which this is but a part;
        ``None`` where no slot can have.
    """
    if 0 < sampling.top_k < logits_BV.shape[-1]:
        maxima_BN = block_maxima(logits_BV) if blocks is None else blocks.maxima_RB
        return *_top_k(logits_BV, maxima_BN, sampling), None
    return _top_p(logits_BV, sampling, _at(sampling, logits_BV, blocks))


def _at(sampling: Sampling, logits_BV: torch.Tensor, blocks: Blocks | None) -> Blocks:
    """The blocks at the temperature of sampling: those at hand, or others."""
    if blocks is not None and blocks.temperature == sampling.temperature:
        return blocks
    return block_probabilities(logits_BV, sampling.temperature)


class _Wide:
    """The slots with a wide nucleus: all outside of it forbidden, they draw as without top-p.

    Attributes:
        logits_OV, sampling, members: theirs.
        of_M: which of all members they are.
    """

    def __init__(
        self,
        logits_BV: torch.Tensor,
        wide_B: torch.Tensor,
        row_M: torch.Tensor,
        sampling: Sampling,
        members: Members | None,
    ) -> None:
        logits_OV, self.of_M = logits_BV[wide_B], wide_B[row_M]
        outside_OV = outside_nucleus(logits_OV, sampling.temperature, sampling.top_p)
        self.logits_OV = logits_OV.masked_fill_(outside_OV, -torch.inf)
        self.sampling = replace(sampling, top_p=1.0)
        self.members = members
        if members is not None:
            self.members = Members([members.counts[slot] for slot in wide_B.nonzero().squeeze(1).tolist()])


def _best(logits_BV: torch.Tensor, maxima_BN: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k best logits, best first, and their symbols.

    They stand in the k blocks with the greatest maxima: one quick pass over the vocabulary, and the
    selection among few. (Where this selects among most of the vocabulary all the same, it does so at once.)
    """
    num_blocks = maxima_BN.shape[1]
    if 3 * k > num_blocks:
        return logits_BV.topk(k, dim=-1)
    blocks_BK = maxima_BN.topk(k, dim=-1, sorted=False).indices
    first_B1 = torch.arange(len(logits_BV), device=logits_BV.device).unsqueeze(1) * num_blocks
    some_BKC = logits_BV.view(-1, BLOCK)[blocks_BK + first_B1]
    values_BK, places_BK = some_BKC.flatten(1).topk(k, dim=-1)
    return values_BK, blocks_BK.gather(1, places_BK // BLOCK) * BLOCK + places_BK % BLOCK


def _top_k(
    logits_BV: torch.Tensor, maxima_BN: torch.Tensor, sampling: Sampling
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k best symbols, then of these the nucleus of ``p``: probabilities ``(B, K)`` and symbols."""
    values_BK, symbols_BK = _best(logits_BV, maxima_BN, sampling.top_k)
    probs_BK = (values_BK / sampling.temperature).double().softmax(-1)
    if sampling.top_p < 1:
        probs_BK = _outside_nucleus_to_zero(probs_BK, sampling.top_p)
    return probs_BK, symbols_BK


def _top_p(
    logits_BV: torch.Tensor, sampling: Sampling, blocks: Blocks
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """The nucleus of ``p`` among the best symbols, and which slots need more of them."""
    k = min(_FEW if logits_BV.device.type == "cpu" else _FEW_ON_GPU, logits_BV.shape[-1])
    values_BK, symbols_BK = _best(logits_BV, blocks.maxima_RB, k)
    mass_BK = (values_BK / sampling.temperature - blocks.lse_R.unsqueeze(1)).exp().double()
    # The last symbols together reach 1 only up to rounding: with all of them there is nothing to add.
    wide_B = mass_BK.sum(-1) < sampling.top_p if k < logits_BV.shape[-1] else None
    return _outside_nucleus_to_zero(mass_BK, sampling.top_p), symbols_BK, wide_B


def _outside_nucleus_to_zero(probs_BK: torch.Tensor, p: float) -> torch.Tensor:
    """Zero what comes after the cumulative probability has reached ``p``; the most probable come first."""
    before_BK = probs_BK.cumsum(-1) - probs_BK
    return probs_BK.masked_fill(before_BK >= p, 0.0)
