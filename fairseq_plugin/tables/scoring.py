"""How probable rows are, in nats."""

from collections.abc import Iterator, Sequence

import torch

from fairseq_plugin.core.allowed_symbols import AllowedSymbols
from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.tables.walk import Walker

Items = Sequence[Sequence[int]]
_ROWS_AT_ONCE = 256
_MOST_LOGITS = 1 << 27  # at once: 512 MB; a row of GPT-2's vocabulary has 50,000 for each of its positions
_PAD = 1


def nats_of(gpt2: GPT2, walker: Walker, items: Items, order: Sequence[int] | None = None) -> list[float]:
    """Minus the log probability of rows in nats.

    Args:
        gpt2: in evaluation mode.
        walker: says over which symbols each probability is.
        items: the symbols of each row, its end included.
        order: of the columns in all of them; default: the code's.
    """
    return [nats for (nats_B,) in _in_parts(gpt2, [walker], items, order) for nats in nats_B.tolist()]


def log_ratios(gpt2: GPT2, model: Walker, drawn_by: Walker, items: Items) -> torch.Tensor:
    """``log p(row) - log q(row)``, in nats, ``(B,)`` float64: how much more probable rows are for the model
    than for a walker that drew them under more constraints.

    Args:
        gpt2: in evaluation mode.
        model: the walker of all rows.
        drawn_by: that of the drawn ones.
        items: see :func:`nats_of`, in the code's order.
    """
    parts = _in_parts(gpt2, [model, drawn_by], items, None)
    return torch.cat([drawn_B - nats_B for nats_B, drawn_B in parts])


def _in_parts(
    gpt2: GPT2, walkers: Sequence[Walker], items: Items, order: Sequence[int] | None
) -> Iterator[list[torch.Tensor]]:
    """:func:`_nats` of so many rows at once as the memory should hold."""
    longest = max(map(len, items), default=1)
    size = min(max(_MOST_LOGITS // (longest * gpt2.config.vocab_size * len(walkers)), 1), _ROWS_AT_ONCE)
    return (_nats(gpt2, walkers, items[at : at + size], order) for at in range(0, len(items), size))


@torch.no_grad()
def _nats(
    gpt2: GPT2, walkers: Sequence[Walker], items: Items, order: Sequence[int] | None
) -> list[torch.Tensor]:
    """Nats of rows by each of several walkers."""
    device = gpt2.wte.weight.device
    longest = max(map(len, items))
    target_BT = torch.tensor([[*item, *[_PAD] * (longest - len(item))] for item in items]).to(device)
    source_BT = target_BT.roll(1, dims=1)
    source_BT[:, 0] = EOS
    logits_BTV = gpt2.logits(gpt2(source_BT))
    flat_NV = logits_BTV.view(-1, logits_BTV.shape[-1])
    positions_N = torch.arange(len(flat_NV), device=device)
    order_BC = None if order is None else torch.tensor([order], device=device).expand(len(items), -1)
    target_BT1, found = target_BT.unsqueeze(2), []
    for number, walker in enumerate(walkers):
        ranges = walker.ranges(target_BT, order_BC)
        own_NV = flat_NV.clone() if number + 1 < len(walkers) else flat_NV
        AllowedSymbols(ranges.low_BT, ranges.count_BT).forbid(own_NV, positions_N)
        own_BTV = own_NV.view_as(logits_BTV)
        logp_BT = own_BTV.gather(2, target_BT1).squeeze(2) - own_BTV.logsumexp(2)
        found.append(-logp_BT.double().masked_fill(ranges.count_BT == 0, 0.0).sum(1))
    return found
