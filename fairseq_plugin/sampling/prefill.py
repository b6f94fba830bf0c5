"""Read prompts into a cache before decoding: each distinct prompt once, in products whose shapes do not
depend on what else is asked for.

Legend: D distinct prompts (in tensors of hidden states the second D is the width), S slots, T positions,
V vocabulary.

On CPUs in float32 the BLAS kernels give a text in a product the same bits whatever the other texts are, if
there are a multiple of eight of them; with 1, 2, 3, 5 or 7 texts other kernels are chosen and the last bit
differs. So every decoder here keeps a multiple of eight slots (:func:`fill_up`).
"""

from dataclasses import dataclass

import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.core.kv_cache import KVCache
from fairseq_plugin.sampling.constraints import Prompts

_MULTIPLE = 8


@dataclass
class Prefill:
    """What reading the prompts gave; one entry per distinct prompt.

    Args:
        number_B: int64 ``(B,)``, which distinct prompt each asked-for prompt is.
        cache: with one slot per distinct prompt.
        logits_DV: float32, of the token that follows the prompt.
        hidden_D: ``(length, width)`` hidden states, if asked for, else empty.
    """

    number_B: torch.Tensor
    cache: KVCache
    logits_DV: torch.Tensor
    hidden_D: list[torch.Tensor]


def fill_up(slots_S: torch.Tensor) -> torch.Tensor:
    """Repeat the first entry of an int64 ``(S,)`` until their number is a multiple of eight."""
    return torch.cat([slots_S, slots_S[:1].expand(-len(slots_S) % _MULTIPLE)])


def round_up(number: int) -> int:
    """The next multiple of eight."""
    return number + -number % _MULTIPLE


def prefill(model: GPT2, prompts: Prompts, capacity: int, with_hidden: bool = False) -> Prefill:
    """Run each distinct prompt once.

    Prompts run in groups of equal length rounded up to eight, so that neither the size of a product
    nor the padded length depends on which other prompts are asked for.

    Args:
        model: the network.
        prompts: ``B >= 1`` lists of token ids, none empty.
        capacity: positions of the cache per slot.
        with_hidden: also return the hidden states of the prompts' own tokens.
    """
    device = model.wte.weight.device
    number = {prompt: place for place, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
    distinct = list(number)
    number_B = torch.tensor([number[tuple(prompt)] for prompt in prompts], device=device)
    groups = _groups(distinct, model.config.n_positions)
    cache = KVCache(model.config, len(distinct), capacity, device, model.compute_dtype)
    logits_D, hidden_D = {}, {}
    for width, slots in groups.items():
        lengths_S = torch.tensor([len(distinct[slot]) for slot in slots], device=device)
        tokens_ST = torch.tensor([distinct[slot] + (0,) * (width - len(distinct[slot])) for slot in slots])
        one_group = len(groups) == 1 and width <= cache.capacity
        part = cache if one_group else KVCache(model.config, len(slots), width, device, model.compute_dtype)
        hidden_STD = model(tokens_ST.to(device), cache=part, lengths_B=lengths_S)
        if part is not cache:
            cache.copy_slots(torch.tensor(slots, device=device), part)
        last_SD = hidden_STD[torch.arange(len(slots), device=device), lengths_S - 1]
        logits_SV = model.logits(last_SD[fill_up(torch.arange(len(slots), device=device))]).float()
        for i, slot in enumerate(slots):
            logits_D[slot] = logits_SV[i]
            if with_hidden:
                hidden_D[slot] = hidden_STD[i, : len(distinct[slot])]
    # Known here on the host; the cache itself counts the padding in where reading would wait for a GPU.
    cache.longest = max(map(len, distinct))
    logits_DV = torch.stack([logits_D[slot] for slot in range(len(distinct))])
    return Prefill(number_B, cache, logits_DV, [hidden_D[slot] for slot in range(len(hidden_D))])


def _groups(prompts: Prompts, most: int) -> dict[int, list[int]]:
    """Slots of prompts by the length that they are padded to."""
    groups: dict[int, list[int]] = {}
    for slot, prompt in enumerate(prompts):
        groups.setdefault(min(round_up(len(prompt)), most), []).append(slot)
    return groups
