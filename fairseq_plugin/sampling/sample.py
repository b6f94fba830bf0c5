"""Sample with a GPT-2: one prefill per distinct prompt, one cache, the slots of finished samples dropped.

Legend: B samples, S slots of the cache (the unfinished samples, filled up to a multiple of eight), T
positions, V vocabulary.

A sample's tokens depend on (seed, sample id, model) only. Two things see to it: random numbers are keyed
(:mod:`keyed_random`), and the matrix products always have a multiple of eight slots (:mod:`prefill`).
"""

from collections.abc import Sequence

import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.sampling.constraints import Prompts
from fairseq_plugin.sampling.draw import Sampling, draw, draw_gumbel, drawable, require_drawable
from fairseq_plugin.sampling.keyed_random import keyed_uniform
from fairseq_plugin.sampling.prefill import fill_up, prefill
from fairseq_plugin.sampling.request import Continuation, DecodingRequest

# On a GPU every look at the finished flags waits for the device; there, look only now and then. (Top-p looks
# at every step all the same: how many symbols a nucleus needs is known on the device only.)
_STEPS_BETWEEN_LOOKS_ON_GPU = 8


def sample(
    model: GPT2, prompts: Prompts, sample_ids: Sequence[int], sampling: Sampling, request: DecodingRequest
) -> list[Continuation]:
    """Sample one continuation for each prompt; call it by :func:`~fairseq_plugin.sampling.decode.decode`.

    Args:
        model: in evaluation mode.
        prompts: ``B >= 1`` lists of token ids, none empty.
        sample_ids: ``B`` integers; with the request's seed they key the random numbers.
        sampling: how a token is drawn.
        request: limits, seed and constraints.

    Raises:
        FloatingPointError: the model's logits are damaged, or a constraint allows no token at all.
    """
    state = _Slots(model, prompts, sample_ids, request)
    device, end, max_new = state.device, request.end, request.max_new
    tokens_BT = torch.full((len(prompts), max_new), end, device=device)
    scores_BT = torch.zeros(len(prompts), max_new, device=device)
    looks = _STEPS_BETWEEN_LOOKS_ON_GPU if device.type == "cuda" else 1
    is_valid = torch.ones((), dtype=torch.bool, device=device)
    for step in range(max_new):
        logits_SV = state.logits_SV
        if looks > 1:  # on a CPU draw looks itself, at once
            is_valid &= drawable(logits_SV)
        logprobs_SV = logits_SV.log_softmax(-1)  # before anything is forbidden
        tokens_S = state.draw(step, sampling)
        # Spare slots repeat a live sample and write the same values to the same place.
        tokens_BT[state.index_S, step] = tokens_S
        scores_BT[state.index_S, step] = logprobs_SV.gather(1, tokens_S.unsqueeze(1)).squeeze(1)
        state.ended_S |= tokens_S == end
        if step + 1 == max_new:
            break
        if (step + 1) % looks == 0 and step + 1 > request.min_new:
            require_drawable(is_valid)
            live_S = ~state.ended_S
            if not live_S.any():
                break
            tokens_S = state.drop_finished(live_S, tokens_S)
        state.read(tokens_S)
    require_drawable(is_valid)
    return _cut_at_end(tokens_BT.cpu(), scores_BT.cpu(), end)


class _Slots:
    """The unfinished samples: their slots in the cache and the logits of their next token."""

    def __init__(
        self, model: GPT2, prompts: Prompts, sample_ids: Sequence[int], request: DecodingRequest
    ) -> None:
        self.model, self.device = model, model.wte.weight.device
        self.seed = request.seed
        found = prefill(model, prompts, max(map(len, prompts)) + request.max_new)
        self.index_S = fill_up(torch.arange(len(prompts), device=self.device))
        self.sample_ids_S = torch.tensor(sample_ids, device=self.device)[self.index_S]
        self.ended_S = torch.zeros_like(self.index_S, dtype=torch.bool)
        number_S = found.number_B[self.index_S]
        self.cache, self.logits_SV = found.cache, found.logits_DV[number_S]
        self.cache.keep(number_S)
        texts = [prompts[index] for index in self.index_S.tolist()]
        self.constraints = request.start_constraints(texts, self.device)

    def draw(self, step: int, sampling: Sampling) -> torch.Tensor:
        """The next token of every slot."""
        for constraint in self.constraints:
            constraint.forbid(self.logits_SV)
        if sampling.temperature == 0:
            return draw(self.logits_SV, None, sampling)
        steps_S = torch.full_like(self.sample_ids_S, step)
        if sampling.gumbel:
            return draw_gumbel(self.logits_SV, self.seed, self.sample_ids_S, steps_S, sampling)
        return draw(self.logits_SV, keyed_uniform(self.seed, self.sample_ids_S, steps_S), sampling)

    def drop_finished(self, live_S: torch.Tensor, tokens_S: torch.Tensor) -> torch.Tensor:
        """Shrink to the live slots once that saves at least eight; returns the tokens of the slots kept."""
        kept = fill_up(live_S.nonzero().squeeze(1))
        if len(kept) == len(live_S):
            return tokens_S
        self.cache.keep(kept)
        self.index_S, self.sample_ids_S = self.index_S[kept], self.sample_ids_S[kept]
        self.ended_S = self.ended_S[kept]
        for constraint in self.constraints:
            constraint.keep(kept)
        return tokens_S[kept]

    def read(self, tokens_S: torch.Tensor) -> None:
        """Read one more token of every slot."""
        for constraint in self.constraints:
            constraint.append(tokens_S)
        hidden_S1D = self.model(tokens_S.unsqueeze(1), cache=self.cache)
        self.logits_SV = self.model.logits(hidden_S1D[:, -1]).float()


def _cut_at_end(tokens_BT: torch.Tensor, scores_BT: torch.Tensor, end: int) -> list[Continuation]:
    continuations = []
    for tokens_T, scores_T in zip(tokens_BT, scores_BT, strict=True):
        ends = (tokens_T == end).nonzero()
        # Unwritten places hold the end token: the first one is the sample's own.
        length = int(ends[0]) if len(ends) else len(tokens_T)
        ended = length < len(tokens_T)
        continuations.append(Continuation(tokens_T[:length], scores_T[: length + ended], ended))
    return continuations
