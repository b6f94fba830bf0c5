"""Beam search over continuations of prompts: all prompts at once, on one cache whose slots follow the beams.

Legend: G prompts still searched, K beams of a prompt, S slots (G x K, filled up to a multiple of eight),
C = 2K candidates, T new tokens, V vocabulary.

    score of a finished text = (sum of the log probabilities of its new tokens) / num_new ** length_penalty

the end token counted in both. A prompt is done once it has K finished texts and the best unfinished one,
ended now, would not be better than the worst of them (transformers' ``early_stopping=False``). At the limit
the unfinished ones count as they stand.
"""

import math

import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.sampling.constraints import Prompts
from fairseq_plugin.sampling.draw import drawable, require_drawable
from fairseq_plugin.sampling.prefill import fill_up, prefill
from fairseq_plugin.sampling.request import BeamSearch, Continuation, DecodingRequest

# New tokens with the end, and their log probabilities.
Text = tuple[torch.Tensor, torch.Tensor]


def beam_search(
    model: GPT2, prompts: Prompts, settings: BeamSearch, request: DecodingRequest
) -> list[list[Continuation]]:
    """Find the ``num_beams`` best continuations of each prompt; call it by
    :func:`~fairseq_plugin.sampling.decode.decode`.

    Args:
        model: in evaluation mode.
        prompts: ``B >= 1`` lists of token ids, none empty.
        settings: number of beams, length penalty.
        request: limits and constraints.

    Returns:
        ``B`` lists of ``num_beams`` continuations, best first.

    Raises:
        FloatingPointError: the model's logits are damaged, or a constraint allows no token at all.
    """
    beam, max_new, end = settings.num_beams, request.max_new, request.end
    search = _Search(model, prompts, beam, request)
    finished = [_Finished(beam) for _ in prompts]
    for step in range(max_new):
        scale = (step + 1) ** -settings.length_penalty
        scores_GC, beams_GC, tokens_GC = search.candidates()
        ends_GC = tokens_GC == end
        stopped_GC = ends_GC if step + 1 < max_new else torch.ones_like(ends_GC)
        # Candidates beyond the first K are only there to go on with where others have ended.
        for group, rank in stopped_GC[:, :beam].nonzero().tolist():
            text = search.text(group, beams_GC[group, rank], tokens_GC[group, rank])
            score = scores_GC[group, rank].item() * scale
            finished[search.prompt_of_G[group]].add(score, text, bool(ends_GC[group, rank]))
        if step + 1 == max_new:
            break
        # At most K of the 2K candidates are ends, one per beam: the others come first, best first.
        order_GK = ends_GC.int().argsort(dim=1, stable=True)[:, :beam]
        best_G = scores_GC.gather(1, order_GK[:, :1]).squeeze(1).mul(scale).tolist()
        alive = [g for g, p in enumerate(search.prompt_of_G) if finished[p].can_improve(best_G[g])]
        if not alive:
            break
        search.go_on(alive, *(x.gather(1, order_GK) for x in (scores_GC, beams_GC, tokens_GC)))
    return [one.texts() for one in finished]


class _Finished:
    """The best texts of a prompt that have ended (or reached the limit)."""

    def __init__(self, beam: int) -> None:
        self._beam = beam
        self._best: list[tuple[float, Text, bool]] = []  # score, text, whether it has ended

    def add(self, score: float, text: Text, ended: bool) -> None:
        self._best.append((score, text, ended))
        self._best.sort(key=lambda one: -one[0])  # stable: of equal scores the earlier one comes first
        del self._best[self._beam :]

    def can_improve(self, score: float) -> bool:
        return len(self._best) < self._beam or score > self._best[-1][0]

    def texts(self) -> list[Continuation]:
        return [
            Continuation(tokens_T[: len(tokens_T) - ended], scores_T, ended)
            for _, (tokens_T, scores_T), ended in self._best
        ]


class _Search:
    """The unfinished beams: their slots in the cache, what they hold, and the logits of their next token."""

    def __init__(self, model: GPT2, prompts: Prompts, beam: int, request: DecodingRequest) -> None:
        self.model, self.beam = model, beam
        read = prefill(model, prompts, max(map(len, prompts)) + request.max_new)
        self.prompt_of_G = list(range(len(prompts)))
        slots_S = fill_up(torch.arange(len(prompts), device=read.number_B.device).repeat_interleave(beam))
        self.cache, self.logits_SV = read.cache, read.logits_DV[read.number_B[slots_S]]
        self.cache.keep(read.number_B[slots_S])
        texts = [prompts[index] for index in slots_S.tolist()]
        self.constraints = request.start_constraints(texts, slots_S.device)
        self.lse_S = self.logits_SV.logsumexp(-1)
        self.tokens_ST = slots_S.new_zeros(len(slots_S), 0)
        self.logprobs_ST = self.logits_SV.new_zeros(len(slots_S), 0)
        # All beams of a prompt are the same at first: only one of them may be continued.
        self.scores_GK = self.logits_SV.new_full((len(prompts), beam), -math.inf)
        self.scores_GK[:, 0] = 0.0

    def candidates(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The 2K best continuations by one token of each prompt's beams.

        Returns:
            ``(scores_GC, beams_GC, tokens_GC)``, best first: summed log probabilities, the beam that is
            continued, and the token.
        """
        num_groups, num_candidates = len(self.prompt_of_G), 2 * self.beam
        require_drawable(drawable(self.logits_SV))
        for constraint in self.constraints:
            constraint.forbid(self.logits_SV)
        # The best of a prompt are among the best of its beams: a selection in each beam, not a sort of V.
        logits_SC, tokens_SC = self.logits_SV.topk(num_candidates, dim=-1)
        logprobs_SC = logits_SC - self.lse_S.unsqueeze(1)
        here = slice(num_groups * self.beam)
        sums_GKC = logprobs_SC[here].view(num_groups, self.beam, -1) + self.scores_GK.unsqueeze(2)
        scores_GC, index_GC = sums_GKC.flatten(1).topk(num_candidates, dim=1)
        tokens_GC = tokens_SC[here].reshape(num_groups, -1).gather(1, index_GC)
        return scores_GC, index_GC // num_candidates, tokens_GC

    def text(self, group: int, beam: torch.Tensor, token: torch.Tensor) -> Text:
        """The new tokens of a candidate and their log probabilities, on the CPU."""
        slot = group * self.beam + beam
        logprob = self.logits_SV[slot, token] - self.lse_S[slot]
        return (
            torch.cat([self.tokens_ST[slot], token.view(1)]).cpu(),
            torch.cat([self.logprobs_ST[slot], logprob.view(1)]).cpu(),
        )

    def go_on(
        self, groups: list[int], scores_GK: torch.Tensor, beams_GK: torch.Tensor, tokens_GK: torch.Tensor
    ) -> None:
        """Continue the beams of the prompts in ``groups`` by one token each, and forget the other prompts."""
        index_G = torch.tensor(groups, device=tokens_GK.device)
        self.prompt_of_G = [self.prompt_of_G[group] for group in groups]
        self.scores_GK = scores_GK[index_G]
        slots_S = fill_up((index_G.unsqueeze(1) * self.beam + beams_GK[index_G]).flatten())
        tokens_S = tokens_GK[index_G].flatten()
        tokens_S = torch.cat([tokens_S, tokens_S[:1].expand(len(slots_S) - len(tokens_S))])
        logprobs_S = self.logits_SV[slots_S, tokens_S] - self.lse_S[slots_S]
        self.tokens_ST = torch.cat([self.tokens_ST[slots_S], tokens_S.unsqueeze(1)], dim=1)
        self.logprobs_ST = torch.cat([self.logprobs_ST[slots_S], logprobs_S.unsqueeze(1)], dim=1)
        self.cache.keep(slots_S)
        for constraint in self.constraints:
            constraint.keep(slots_S)
            constraint.append(tokens_S)
        hidden_S1D = self.model(tokens_S.unsqueeze(1), cache=self.cache)
        self.logits_SV = self.model.logits(hidden_S1D[:, -1]).float()
        self.lse_S = self.logits_SV.logsumexp(-1)  # before anything is forbidden
