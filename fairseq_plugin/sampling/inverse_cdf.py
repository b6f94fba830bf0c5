"""Where uniform numbers fall in the cumulative weights of distributions: one number in each, or many.

Legend: R rows (distributions), N entries of a row, M members (numbers to be placed, those of one row one
behind the other), V vocabulary in whole blocks, B blocks, C symbols of a block.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

# Symbols of one block of the two-level CDF: the sum over a block is one vector operation, and only V / 64
# numbers are accumulated in float64. A vocabulary stored in a multiple of 64 needs no padding here.
BLOCK = 64
# Softmax over so many rows at once stays inside the CPU's cache.
_ROWS_AT_ONCE = 8
# Members whose last block is looked at at once: 4,096 x 64 numbers.
_MEMBERS_AT_ONCE = 4096


@dataclass(frozen=True)
class Members:
    """How many members each row has.

    Args:
        counts: >= 1 each.
    """

    counts: Sequence[int]

    def rows(self, device: torch.device) -> torch.Tensor:
        """The row of every member, int64 ``(M,)``."""
        counts = torch.tensor(self.counts, device=device)
        return torch.arange(len(counts), device=device).repeat_interleave(
            counts, output_size=sum(self.counts)
        )


def first_above(
    cdf_RN: torch.Tensor, uniform_M: torch.Tensor, members: Members | None = None
) -> torch.Tensor:
    """First index whose cumulative weight exceeds ``uniform * total``; ``(M,)`` int64.

    Strictly above: an entry of weight 0 has the cumulative weight of its predecessor, so it is never the
    first. The target is kept below the total, where rounding (``uniform`` next to 1) would reach it.

    Args:
        cdf_RN: float64, ascending in each row.
        uniform_M: float64 in (0, 1).
        members: how the numbers belong to the rows; ``None``: one each.
    """
    if members is None:
        return _search(cdf_RN, uniform_M.unsqueeze(1)).squeeze(1)
    # Rows of one member all together, the others one by one: no copy of a row for each member.
    counts = torch.tensor(members.counts)
    first, device = counts.cumsum(0) - counts, cdf_RN.device
    single = (counts == 1).nonzero().squeeze(1)
    found_M = torch.empty(len(uniform_M), dtype=torch.int64, device=device)
    if len(single):
        places = first[single].to(device)
        found_M[places] = _search(cdf_RN[single.to(device)], uniform_M[places].unsqueeze(1)).squeeze(1)
    for row in (counts > 1).nonzero().squeeze(1).tolist():
        mine = slice(int(first[row]), int(first[row] + counts[row]))
        found_M[mine] = _search(cdf_RN[row : row + 1], uniform_M[mine].unsqueeze(0)).squeeze(0)
    return found_M


def _search(cdf_RN: torch.Tensor, uniform_RM: torch.Tensor) -> torch.Tensor:
    total_R1 = cdf_RN[:, -1:].contiguous()
    target_RM = torch.minimum(uniform_RM * total_R1, total_R1.nextafter(torch.zeros_like(total_R1)))
    # Beyond the end only where the weights are NaN, which a GPU learns of later.
    return torch.searchsorted(cdf_RN.contiguous(), target_RM, right=True).clamp_(max=cdf_RN.shape[1] - 1)


def whole_blocks(logits_RV: torch.Tensor) -> torch.Tensor:
    """Logits filled up with -inf to whole blocks; as they are where they are whole."""
    missing = -logits_RV.shape[1] % BLOCK
    return torch.nn.functional.pad(logits_RV, (0, missing), value=-torch.inf) if missing else logits_RV


def block_maxima(logits_RV: torch.Tensor) -> torch.Tensor:
    """The greatest logit of each block, ``(R, B)``: one quick pass, and then few numbers to look at."""
    return logits_RV.unflatten(1, (-1, BLOCK)).amax(-1)


@dataclass(frozen=True)
class Blocks:
    """What passes over the vocabulary have found.

    Args:
        temperature: of what follows.
        probs_RB: the probability of each block.
        lse_R: ``logsumexp(logits / temperature)``.
        maxima_RB: the greatest logit of each block, whatever the temperature.
    """

    temperature: float
    probs_RB: torch.Tensor
    lse_R: torch.Tensor
    maxima_RB: torch.Tensor

    def of(self, rows: torch.Tensor) -> "Blocks":
        """Those of some rows."""
        return Blocks(self.temperature, self.probs_RB[rows], self.lse_R[rows], self.maxima_RB[rows])


def block_probabilities(logits_RV: torch.Tensor, temperature: float) -> Blocks:
    """One pass of softmax over logits in whole blocks, which keeps the sums, and one for the maxima."""
    num_rows, num_symbols = logits_RV.shape
    at_once = _ROWS_AT_ONCE if logits_RV.device.type == "cpu" else num_rows
    blocks_RB = logits_RV.new_empty(num_rows, num_symbols // BLOCK)
    maxima_RB, lse_R = torch.empty_like(blocks_RB), logits_RV.new_empty(num_rows)
    part_RV = logits_RV.new_empty(min(at_once, num_rows), num_symbols)
    for start in range(0, num_rows, at_once):
        rows = slice(start, start + at_once)
        torch.amax(logits_RV[rows].unflatten(1, (-1, BLOCK)), -1, out=maxima_RB[rows])
        best_R, block_R = maxima_RB[rows].max(-1)
        scaled_RV = logits_RV[rows] if temperature == 1 else logits_RV[rows] / temperature
        probs_RV = torch.softmax(scaled_RV, -1, out=part_RV[: len(scaled_RV)])
        blocks_RBC = probs_RV.unflatten(1, (-1, BLOCK))
        torch.sum(blocks_RBC, -1, out=blocks_RB[rows])
        # The greatest probability stands in the block of the greatest logit: no pass for it.
        p_max_R = blocks_RBC[torch.arange(len(block_R), device=block_R.device), block_R].amax(-1)
        lse_R[rows] = best_R / temperature - p_max_R.log()
    return Blocks(temperature, blocks_RB, lse_R, maxima_RB)


def draw_of_all(
    logits_RV: torch.Tensor,
    blocks: Blocks,
    temperature: float,
    uniform_M: torch.Tensor,
    members: Members | None,
) -> torch.Tensor:
    """Draw from all V symbols: find the block first, then the symbol in it.

    Args:
        logits_RV: in whole blocks.
        blocks: :func:`block_probabilities` of them.
        temperature: logits are divided by it.
        uniform_M, members: as for :func:`first_above`.
    """
    weights_RB = blocks.probs_RB.double()
    cdf_RB = weights_RB.cumsum(-1)
    block_M = first_above(cdf_RB, uniform_M, members)
    device = logits_RV.device
    row_M = torch.arange(len(logits_RV), device=device) if members is None else members.rows(device)
    # What is left of the draw inside its block, as a share of the block's own weight.
    weight_M, before_M = weights_RB[row_M, block_M], cdf_RB[row_M, block_M]
    before_M -= weight_M
    rest_M = ((uniform_M * cdf_RB[row_M, -1] - before_M) / weight_M).clamp(0, 1)
    blocks_XC = logits_RV.unflatten(1, (-1, BLOCK)).flatten(0, 1)
    chosen_M = row_M * weights_RB.shape[1] + block_M
    inside = []
    for some_M, row_of_M, rest in zip(
        *(x.split(_MEMBERS_AT_ONCE) for x in (chosen_M, row_M, rest_M)), strict=True
    ):
        scaled_MC = blocks_XC[some_M] if temperature == 1 else blocks_XC[some_M] / temperature
        weights_MC = (scaled_MC - blocks.lse_R[row_of_M].unsqueeze(1)).exp_()
        inside.append(first_above(weights_MC.double().cumsum(-1), rest))
    return block_M * BLOCK + torch.cat(inside)
