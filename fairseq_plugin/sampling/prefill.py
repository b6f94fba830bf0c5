"""Read prompts into a cache before decoding: each distinct prompt once, in products whose shapes do not
depend on what else is asked for.

Legend: D distinct prompts (in tensors of hidden states the second D is the width), R rows, T positions,
V vocabulary.

On CPUs in float32 the BLAS kernels give a row of a product the same bits whatever stands in the other rows,
if the number of rows is a multiple of eight; with 1, 2, 3, 5 or 7 rows other kernels are chosen and the last
bit differs. So every decoder here keeps a multiple of eight rows (:func:`fill_up`).
"""

from dataclasses import dataclass

import torch

from fairseq_plugin.core.kv_cache import KVCache

ROWS = 8


@dataclass
class Prefill:
    """What reading the prompts gave; one entry per distinct prompt.

    Args:
        number_B: int64 ``(B,)``, which distinct prompt each asked-for prompt is.
        cache: a :class:`KVCache` with one row per distinct prompt.
        logits_DV: float32, of the token that follows the prompt.
        hidden_D: list of ``(length, width)`` hidden states, if asked for, else ``None``.
    """

    number_B: torch.Tensor
    cache: KVCache
    logits_DV: torch.Tensor
    hidden_D: list | None


def check_request(model, prompts, max_new, min_new):
    """Refuse what cannot be decoded.

    Raises:
        ValueError: an empty prompt, limits out of range, or more tokens than the model has positions.
    """
    if max_new < 1:
        raise ValueError(f"max_new must be at least 1, not {max_new}")
    if not 0 <= min_new <= max_new:
        raise ValueError(f"min_new must lie in [0, max_new = {max_new}], not {min_new}")
    if any(len(prompt) == 0 for prompt in prompts):
        raise ValueError("a prompt is empty; start it with the end token, as in training")
    longest = max(map(len, prompts), default=0)
    if longest + max_new > model.config.n_positions:
        raise ValueError(
            f"a prompt of {longest} tokens and {max_new} new ones exceed the model's "
            f"{model.config.n_positions} positions"
        )


def fill_up(rows):
    """Repeat the first entry of an int64 ``(R,)`` until their number is a multiple of eight."""
    return torch.cat([rows, rows[:1].expand(-len(rows) % ROWS)])


def prefill(model, prompts, capacity, with_hidden=False):
    """Run each distinct prompt once.

    Prompts run in groups of equal length rounded up to eight, so that neither the number of rows of a
    product nor the padded length depends on which other prompts are asked for.

    Args:
        model: a :class:`~fairseq_plugin.core.gpt2.GPT2`.
        prompts: ``B >= 1`` lists of token ids, none empty.
        capacity: slots of the cache per row.
        with_hidden: also return the hidden states of the prompts' own tokens.

    Returns:
        :class:`Prefill`.
    """
    device = model.wte.weight.device
    number = {prompt: row for row, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
    distinct = list(number)
    number_B = torch.tensor([number[tuple(prompt)] for prompt in prompts], device=device)
    groups = _groups(distinct, model.config.n_positions)
    cache = KVCache(model.config, len(distinct), capacity, device, model.compute_dtype)
    logits_D, hidden_D = [None] * len(distinct), [None] * len(distinct)
    for width, rows in groups.items():
        lengths_R = torch.tensor([len(distinct[row]) for row in rows], device=device)
        tokens_RT = torch.tensor([distinct[row] + (0,) * (width - len(distinct[row])) for row in rows])
        one_group = len(groups) == 1 and width <= cache.capacity
        part = cache if one_group else KVCache(model.config, len(rows), width, device, model.compute_dtype)
        hidden_RTD = model(tokens_RT.to(device), cache=part, lengths_B=lengths_R)
        if part is not cache:
            cache.copy_slots(torch.tensor(rows, device=device), part)
        last_RD = hidden_RTD[torch.arange(len(rows), device=device), lengths_R - 1]
        logits_RV = model.logits(last_RD[fill_up(torch.arange(len(rows), device=device))]).float()
        for i, row in enumerate(rows):
            logits_D[row] = logits_RV[i]
            hidden_D[row] = hidden_RTD[i, : len(distinct[row])] if with_hidden else None
    # Known here on the host; the cache itself counts the padding in where reading would wait for a GPU.
    cache.longest = max(map(len, distinct))
    return Prefill(number_B, cache, torch.stack(logits_D), hidden_D if with_hidden else None)


def _groups(prompts, most):
    groups = {}
    for row, prompt in enumerate(prompts):
        groups.setdefault(min(len(prompt) + -len(prompt) % ROWS, most), []).append(row)
    return groups
