"""How probable rows are, in nats.

Legend: B rows, T their positions, N = B * T, V symbols, C columns of the code's order; R ranges of allowed
symbols, M positions of one, A its symbols.
"""

from collections.abc import Collection, Iterator, Sequence

import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.tables.walk import Walker

Items = Sequence[Sequence[int]]
_ROWS_AT_ONCE = 256
_MOST_LOGITS = 1 << 27  # at once: 512 MB; a row of GPT-2's vocabulary has 50,000 for each of its positions
_PAD = 1


def nats_of(
    gpt2: GPT2, walker: Walker, items: Items, order: Sequence[int] | None = None, num_read: int = 0
) -> list[float]:
    """Minus the log probability of rows in nats.

    Args:
        gpt2: in evaluation mode.
        walker: says over which symbols each probability is.
        items: the symbols of each row, its end included.
        order: of the columns in all of them; default: the code's.
        num_read: so many symbols, the same in all of them, are not counted.
    """
    parts = _in_parts(gpt2, [walker], items, order, num_read)
    return [nats for ((nats_BT, _),) in parts for nats in nats_BT.sum(1).tolist()]


def log_ratios(
    gpt2: GPT2, model: Walker, drawn_by: Walker, items: Items, drawn: Collection[int], num_read: int
) -> torch.Tensor:
    """``log p(row) - log q(row)``, in nats, ``(B,)`` float64: how much more probable rows are for the model
    than they were when some of their columns were drawn, and the others given.

    Args:
        gpt2: in evaluation mode.
        model: the walker of all rows.
        drawn_by: that of what was drawn.
        items: see :func:`nats_of`, in the code's order.
        drawn: numbers of the columns that were drawn.
        num_read: see :func:`nats_of`.
    """
    drawn_C = torch.tensor(sorted(drawn), device=gpt2.wte.weight.device)
    found = []
    for (nats_BT, _), (drawn_BT, column_BT) in _in_parts(gpt2, [model, drawn_by], items, None, num_read):
        of_q_BT = drawn_BT.masked_fill(
            ~torch.isin(column_BT, drawn_C), 0.0
        )  # inf, where a given cell was hidden
        found.append((of_q_BT - nats_BT).sum(1).cpu())
    return torch.cat(found)


def _in_parts(
    gpt2: GPT2, walkers: Sequence[Walker], items: Items, order: Sequence[int] | None, num_read: int
) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """:func:`_nats` of so many rows at once as the memory should hold."""
    longest = max(map(len, items), default=1)
    size = min(max(_MOST_LOGITS // (longest * gpt2.config.vocab_size * len(walkers)), 1), _ROWS_AT_ONCE)
    return (_nats(gpt2, walkers, items[at : at + size], order, num_read) for at in range(0, len(items), size))


@torch.no_grad()
def _nats(
    gpt2: GPT2, walkers: Sequence[Walker], items: Items, order: Sequence[int] | None, num_read: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """By each of several walkers, nats ``(B, T)`` in float64 and columns ``(B, T)`` of the positions from
    ``num_read`` on."""
    device = gpt2.wte.weight.device
    longest = max(map(len, items))
    whole_BT = torch.tensor([[*item, *[_PAD] * (longest - len(item))] for item in items]).to(device)
    source_BT = whole_BT.roll(1, dims=1)
    source_BT[:, 0] = EOS
    logits_NV = gpt2.logits(gpt2(source_BT)[:, num_read:]).flatten(0, 1)
    order_BC = None if order is None else torch.tensor([order], device=device).expand(len(items), -1)
    target_BT, found = whole_BT[:, num_read:], []
    for walker in walkers:
        ranges = walker.ranges(whole_BT, order_BC)
        low_BT, count_BT, column_BT = (
            one[:, num_read:] for one in (ranges.low_BT, ranges.count_BT, ranges.column_BT)
        )
        logp_N = _log_probabilities(logits_NV, target_BT.flatten(), low_BT.flatten(), count_BT.flatten())
        found.append((-logp_N.double().view_as(target_BT), column_BT))
    return found


def _log_probabilities(
    logits_NV: torch.Tensor, target_N: torch.Tensor, low_N: torch.Tensor, count_N: torch.Tensor
) -> torch.Tensor:
    """Log probabilities ``(N,)`` by the softmax over each position's range; 0 where it is empty, -inf where
    the target is outside of it."""
    logp_N = torch.zeros_like(logits_NV[:, 0])
    pairs_R2, of_N, sizes_R = torch.stack([low_N, count_N], 1).unique(
        dim=0, return_inverse=True, return_counts=True
    )
    positions_N = of_N.argsort(stable=True)
    for (low, count), own_M in zip(pairs_R2.tolist(), positions_N.split(sizes_R.tolist()), strict=True):
        if count:  # a range has few of all symbols: nothing else is looked at
            z_MA = logits_NV[own_M, low : low + count]
            offset_M = target_N[own_M] - low
            z_M = z_MA.gather(1, offset_M.clamp(0, count - 1).unsqueeze(1)).squeeze(1)
            is_inside_M = (offset_M >= 0) & (offset_M < count)
            logp_N[own_M] = torch.where(is_inside_M, z_M, -torch.inf) - z_MA.logsumexp(1)
    return logp_N
