"""Continue prompts with a GPT-2: one prefill per distinct prompt, one cache, finished rows dropped.

Legend: B samples, R rows of the cache (B still unfinished, filled up to a multiple of eight), T positions,
V vocabulary.

A sample's tokens depend on (seed, sample id, model) only. Two things see to it: random numbers are keyed
(:mod:`keyed_random`), and the matrix products always have a multiple of eight rows (:mod:`prefill`).
"""

from dataclasses import dataclass

import torch

from fairseq_plugin.sampling.draw import draw, draw_gumbel, drawable, require_drawable
from fairseq_plugin.sampling.keyed_random import keyed_uniform
from fairseq_plugin.sampling.ngram_block import NGramBlock
from fairseq_plugin.sampling.prefill import check_request, fill_up, prefill

# On a GPU every look at the finished flags waits for the device; there, look only now and then. (Top-p looks
# at every step all the same: how many columns a nucleus needs is known on the device only.)
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
def continue_prompts(
    model, prompts, sample_ids, *, seed, end, max_new, sampling, min_new=0, no_repeat_ngram=0
):
    """Sample one continuation for each prompt; the most probable tokens with ``Sampling(temperature=0)``.

    Args:
        model: a :class:`~fairseq_plugin.core.gpt2.GPT2` in evaluation mode.
        prompts: ``B`` lists of token ids, none empty.
        sample_ids: ``B`` integers; with ``seed`` they key the random numbers.
        seed: any integer.
        end: id of the token that ends a text.
        max_new: the most new tokens, the end token included; >= 1.
        sampling: a :class:`~fairseq_plugin.sampling.draw.Sampling`.
        min_new: tokens before which the end token is forbidden, in [0, max_new]; with ``max_new`` every text
            has exactly ``max_new`` tokens and no end.
        no_repeat_ngram: forbid tokens that would repeat an n-gram of this length, the prompt counted in; 0
            allows all.

    Returns:
        ``B`` :class:`Continuation` in the order of the prompts, on the CPU.

    Raises:
        ValueError: an empty prompt, or a prompt and ``max_new`` that exceed the model's positions.
        FloatingPointError: the model's logits are damaged.
    """
    check_request(model, prompts, max_new, min_new)
    if not prompts:
        return []
    state = _Rows(model, prompts, sample_ids, max_new, no_repeat_ngram)
    device = state.device
    tokens_BT = torch.full((len(prompts), max_new), end, device=device)
    scores_BT = torch.zeros(len(prompts), max_new, device=device)
    looks = _STEPS_BETWEEN_LOOKS_ON_GPU if device.type == "cuda" else 1
    sound = torch.ones((), dtype=torch.bool, device=device)
    for step in range(max_new):
        logits_RV = state.logits_RV
        if looks > 1:  # on a CPU draw looks itself, at once
            sound &= drawable(logits_RV)
        logprobs_RV = logits_RV.log_softmax(-1)  # before anything is forbidden
        if step < min_new:
            logits_RV[:, end] = float("-inf")
        tokens_R = state.draw(seed, step, sampling)
        # Spare rows repeat a live sample and write the same values to the same place.
        tokens_BT[state.index_R, step] = tokens_R
        scores_BT[state.index_R, step] = logprobs_RV.gather(1, tokens_R.unsqueeze(1)).squeeze(1)
        state.ended_R |= tokens_R == end
        if step + 1 == max_new:
            break
        if (step + 1) % looks == 0 and step + 1 > min_new:
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

    def __init__(self, model, prompts, sample_ids, max_new, no_repeat_ngram):
        self.model, self.device = model, model.wte.weight.device
        read = prefill(model, prompts, max(map(len, prompts)) + max_new)
        self.index_R = fill_up(torch.arange(len(prompts), device=self.device))
        self.sample_ids_R = torch.tensor(sample_ids, device=self.device)[self.index_R]
        self.ended_R = torch.zeros_like(self.index_R, dtype=torch.bool)
        row_R = read.number_B[self.index_R]
        self.cache, self.logits_RV = read.cache, read.logits_DV[row_R]
        self.cache.keep(row_R)
        self.block = None
        if no_repeat_ngram:
            texts = [prompts[index] for index in self.index_R.tolist()]
            self.block = NGramBlock(texts, no_repeat_ngram, max_new, self.device)

    def draw(self, seed, step, sampling):
        """The next token of every row."""
        if self.block:
            self.block.forbid(self.logits_RV)
        steps_R = torch.full_like(self.sample_ids_R, step)
        if sampling.gumbel:
            return draw_gumbel(self.logits_RV, seed, self.sample_ids_R, steps_R, sampling)
        uniform_R = None if sampling.temperature == 0 else keyed_uniform(seed, self.sample_ids_R, steps_R)
        return draw(self.logits_RV, uniform_R, sampling)

    def drop_finished(self, live_R, tokens_R):
        """Shrink to the live rows once that saves at least eight; returns the tokens of the rows kept."""
        kept = fill_up(live_R.nonzero().squeeze(1))
        if len(kept) == len(live_R):
            return tokens_R
        self.cache.keep(kept)
        self.index_R, self.sample_ids_R = self.index_R[kept], self.sample_ids_R[kept]
        self.ended_R = self.ended_R[kept]
        if self.block:
            self.block.keep(kept)
        return tokens_R[kept]

    def step(self, tokens_R):
        """Read one more token of every row."""
        if self.block:
            self.block.append(tokens_R)
        hidden_R1D = self.model(tokens_R.unsqueeze(1), cache=self.cache)
        self.logits_RV = self.model.logits(hidden_R1D[:, -1]).float()


def _cut_at_end(tokens_BT, scores_BT, end):
    continuations = []
    for tokens_T, scores_T in zip(tokens_BT, scores_BT):
        ends = (tokens_T == end).nonzero()
        # Unwritten places hold the end token: where one stands, the first is the sample's own.
        length = int(ends[0]) if len(ends) else len(tokens_T)
        ended = length < len(tokens_T)
        continuations.append(Continuation(tokens_T[:length], scores_T[: length + ended], ended))
    return continuations
