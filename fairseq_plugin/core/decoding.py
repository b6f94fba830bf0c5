"""Continue prompts with a GPT-2: one prefill per distinct prompt, a preallocated cache, finished rows dropped.

Legend: B samples, R rows of the cache (B still unfinished, filled up to a multiple of eight), T positions,
V vocabulary, D distinct prompts.

A sample's tokens depend on (seed, sample id, model) only. Two things see to it: random numbers are keyed
(:mod:`keyed_random`), and the matrix products always have a multiple of eight rows. On CPUs in float32 the
BLAS kernels then give a row the same bits whatever stands in the other rows; with 1, 2, 3, 5 or 7 rows
other kernels are chosen and the last bit differs.
"""

from dataclasses import dataclass

import torch

from fairseq_plugin.core.drawing import draw, drawable, require_drawable
from fairseq_plugin.core.gpt2 import KVCache
from fairseq_plugin.core.keyed_random import keyed_uniform

_ROWS = 8
# On a GPU every look at the finished flags waits for the device; there, look only now and then. (Top-p looks at
# every step all the same: how many columns a nucleus needs is known on the device only.)
_STEPS_BETWEEN_LOOKS_ON_GPU = 8


@dataclass
class Continuation:
    """What followed a prompt.

    Args:
        tokens: new tokens without the end token, int64 ``(length,)``.
        scores: log probability (nats) of each new token under the model itself, untempered and
            untruncated, ``(length,)``, and of the end token as one more entry if it came.
        ended: whether the end token came; otherwise the text was cut at the limit.
    """

    tokens: torch.Tensor
    scores: torch.Tensor
    ended: bool


@torch.no_grad()
def continue_prompts(model, prompts, sample_ids, *, seed, end, max_new, sampling, min_new=0):
    """Sample one continuation for each prompt.

    Args:
        model: a :class:`~fairseq_plugin.core.gpt2.GPT2` in evaluation mode.
        prompts: ``B`` lists of token ids, none empty.
        sample_ids: ``B`` integers; with ``seed`` they key the random numbers.
        seed: any integer.
        end: id of the token that ends a text.
        max_new: the most new tokens, the end token included; >= 1.
        sampling: a :class:`~fairseq_plugin.core.drawing.Sampling`.
        min_new: tokens before which the end token is forbidden.

    Returns:
        ``B`` :class:`Continuation` in the order of the prompts, on the CPU.

    Raises:
        ValueError: an empty prompt, or a prompt and ``max_new`` that exceed the model's positions.
        FloatingPointError: the model's logits are damaged.
    """
    _check(model, prompts, max_new)
    if not prompts:
        return []
    device = model.wte.weight.device
    state = _Rows(model, prompts, sample_ids, max_new, device)
    tokens_BT = torch.full((len(prompts), max_new), end, device=device)
    scores_BT = torch.zeros(len(prompts), max_new, device=device)
    looks = _STEPS_BETWEEN_LOOKS_ON_GPU if device.type == "cuda" else 1
    sound = torch.ones((), dtype=torch.bool, device=device)
    for step in range(max_new):
        logits_RV = state.logits_RV
        if looks > 1:  # on a CPU draw looks itself, at once
            sound &= drawable(logits_RV)
        lse_R = logits_RV.logsumexp(-1)
        if step < min_new:
            logits_RV[:, end] = float("-inf")
        uniform_R = keyed_uniform(seed, state.sample_ids_R, torch.full_like(state.sample_ids_R, step))
        tokens_R = draw(logits_RV, uniform_R, sampling)
        # Spare rows repeat a live sample and write the same values to the same place.
        tokens_BT[state.index_R, step] = tokens_R
        scores_BT[state.index_R, step] = logits_RV.gather(1, tokens_R.unsqueeze(1)).squeeze(1) - lse_R
        state.ended_R |= tokens_R == end
        if step + 1 == max_new:
            break
        if (step + 1) % looks == 0:
            require_drawable(sound)
            live_R = ~state.ended_R
            if not live_R.any():
                break
            tokens_R = state.drop_finished(live_R, tokens_R)
        state.step(tokens_R)
    require_drawable(sound)
    return _cut_at_end(tokens_BT.cpu(), scores_BT.cpu(), end)


class _Rows:
    """The unfinished samples: their rows in the cache and the logits of their next token."""

    def __init__(self, model, prompts, sample_ids, max_new, device):
        self.model = model
        distinct = {tuple(prompt): None for prompt in prompts}
        number = {prompt: row for row, prompt in enumerate(distinct)}
        prompt_of_B = torch.tensor([number[tuple(prompt)] for prompt in prompts], device=device)
        capacity = max(map(len, distinct)) + max_new
        cache_D, logits_DV = _prefill(model, list(distinct), capacity, device)
        self.index_R = _fill_up(torch.arange(len(prompts), device=device))
        self.sample_ids_R = torch.tensor(sample_ids, device=device)[self.index_R]
        self.ended_R = torch.zeros_like(self.index_R, dtype=torch.bool)
        cache_D.keep(prompt_of_B[self.index_R])
        self.cache, self.logits_RV = cache_D, logits_DV[prompt_of_B[self.index_R]]

    def drop_finished(self, live_R, tokens_R):
        """Shrink to the live rows once that saves at least eight; returns the tokens of the rows kept."""
        rows = live_R.nonzero().squeeze(1)
        if len(_fill_up(rows)) == len(live_R):
            return tokens_R
        kept = _fill_up(rows)
        self.cache.keep(kept)
        self.index_R, self.sample_ids_R = self.index_R[kept], self.sample_ids_R[kept]
        self.ended_R = self.ended_R[kept]
        return tokens_R[kept]

    def step(self, tokens_R):
        hidden_R1D = self.model(tokens_R.unsqueeze(1), cache=self.cache)
        self.logits_RV = self.model.logits(hidden_R1D[:, -1]).float()


def _prefill(model, prompts, capacity, device):
    """Run each distinct prompt once.

    Prompts run in groups of equal length rounded up to eight, so that neither the number of rows of a
    product nor the padded length depends on which other prompts are asked for.

    Returns:
        A cache with one row per prompt, and the logits of each prompt's next token, ``(D, V)``.
    """
    cache = KVCache(model.config, len(prompts), capacity, device, model.compute_dtype)
    logits_D = [None] * len(prompts)
    groups = {}
    for row, prompt in enumerate(prompts):
        width = min(len(prompt) + -len(prompt) % _ROWS, model.config.n_positions)
        groups.setdefault(width, []).append(row)
    for width, rows in groups.items():
        tokens_DT = torch.zeros(len(rows), width, dtype=torch.int64)
        for i, row in enumerate(rows):
            tokens_DT[i, : len(prompts[row])] = torch.tensor(prompts[row])
        lengths_D = torch.tensor([len(prompts[row]) for row in rows], device=device)
        part = KVCache(model.config, len(rows), width, device, model.compute_dtype)
        hidden_DTD = model(tokens_DT.to(device), cache=part, lengths_B=lengths_D)
        cache.copy_rows(torch.tensor(rows, device=device), part)
        last_DD = hidden_DTD[torch.arange(len(rows), device=device), lengths_D - 1]
        logits_RV = model.logits(last_DD[_fill_up(torch.arange(len(rows), device=device))]).float()
        for i, row in enumerate(rows):
            logits_D[row] = logits_RV[i]
    # Known here on the host; the cache itself counts the padding in where reading would wait for a GPU.
    cache.longest = max(map(len, prompts))
    return cache, torch.stack(logits_D)


def _fill_up(rows):
    """Repeat the first entry until their number is a multiple of eight."""
    return torch.cat([rows, rows[:1].expand(-len(rows) % _ROWS)])


def _cut_at_end(tokens_BT, scores_BT, end):
    continuations = []
    for tokens_T, scores_T in zip(tokens_BT, scores_BT):
        ends = (tokens_T == end).nonzero()
        # Unwritten places hold the end token: where one stands, the first is the sample's own.
        length = int(ends[0]) if len(ends) else len(tokens_T)
        ended = length < len(tokens_T)
        continuations.append(Continuation(tokens_T[:length], scores_T[: length + ended], ended))
    return continuations


def _check(model, prompts, max_new):
    if max_new < 1:
        raise ValueError(f"max_new must be at least 1, not {max_new}")
    if any(len(prompt) == 0 for prompt in prompts):
        raise ValueError("a prompt is empty; start it with the end token, as in training")
    longest = max(map(len, prompts), default=0)
    if longest + max_new > model.config.n_positions:
        raise ValueError(
            f"a prompt of {longest} tokens and {max_new} new ones exceed the model's "
            f"{model.config.n_positions} positions"
        )
