"""How probable rows are, in nats.

Legend: B rows, T their positions, V symbols, N = B * T, C columns of the code's order.
"""

from collections.abc import Collection, Iterator, Sequence

import torch

from fairseq_plugin.core.allowed_symbols import AllowedSymbols
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
    logits_BTV = gpt2.logits(gpt2(source_BT)[:, num_read:])
    flat_NV = logits_BTV.reshape(-1, logits_BTV.shape[-1])
    positions_N = torch.arange(len(flat_NV), device=device)
    order_BC = None if order is None else torch.tensor([order], device=device).expand(len(items), -1)
    target_BT, found = whole_BT[:, num_read:], []
    for number, walker in enumerate(walkers):
        ranges = walker.ranges(whole_BT, order_BC)
        low_BT, count_BT, column_BT = (
            one[:, num_read:] for one in (ranges.low_BT, ranges.count_BT, ranges.column_BT)
        )
        own_NV = flat_NV.clone() if number + 1 < len(walkers) else flat_NV
        AllowedSymbols(low_BT, count_BT).forbid(own_NV, positions_N)
        own_BTV = own_NV.view_as(logits_BTV)
        logp_BT = own_BTV.gather(2, target_BT.unsqueeze(2)).squeeze(2) - own_BTV.logsumexp(2)
        found.append((-logp_BT.double().masked_fill(count_BT == 0, 0.0), column_BT))
    return found
