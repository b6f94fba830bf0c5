"""Contrastive search (Su et al., "A Contrastive Framework for Neural Text Generation", NeurIPS 2022, eq. 5).

Legend: B samples, S slots (the unfinished ones, filled up to a multiple of eight), K candidates, T tokens of
a text, the prompt included, D width, V vocabulary.

Of the ``top_k`` most probable next tokens v of a text x take the one with the greatest

    (1 - alpha) * p(v | x)  -  alpha * max over j of cos(h_v, h_{x_j})

where h_{x_j} are the last layer's hidden states of all earlier tokens, the prompt's included, and h_v is the
hidden state of v behind x. alpha = 0 is greedy search.
"""

import torch
import torch.nn.functional as F

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.sampling.constraints import Prompts
from fairseq_plugin.sampling.draw import drawable, require_drawable
from fairseq_plugin.sampling.prefill import fill_up, prefill
from fairseq_plugin.sampling.request import Continuation, ContrastiveSearch, DecodingRequest

# The past's hidden states fill whole blocks, like the positions of a cache, so that a slot's products do not
# depend on how long the other texts are.
_BLOCK = 32


def contrastive_search(
    model: GPT2, prompts: Prompts, settings: ContrastiveSearch, request: DecodingRequest
) -> list[Continuation]:
    """Continue each prompt by contrastive search; call it by :func:`~fairseq_plugin.sampling.decode.decode`.

    The candidates of a step are read together, K per slot on one cache, so a step costs one forward pass of
    S x K tokens.

    Args:
        model: in evaluation mode.
        prompts: ``B >= 1`` lists of token ids, none empty.
        settings: candidates and weight of the penalty.
        request: limits and constraints; the probability of what is forbidden goes to the other tokens.

    Raises:
        FloatingPointError: the model's logits are damaged, or a constraint allows no token at all.
    """
    state = _Texts(model, prompts, settings, request)
    tokens: list[list[int]] = [[] for _ in prompts]
    scores: list[list[float]] = [[] for _ in prompts]
    for _ in range(request.max_new):
        tokens_S, scores_S = state.step()
        live = []
        pairs = zip(tokens_S.tolist(), scores_S.tolist(), strict=True)
        for slot, (index, (token, score)) in enumerate(zip(state.index, pairs)):  # spare slots come last
            tokens[index].append(token)
            scores[index].append(score)
            live += [slot] if token != request.end else []
        if not live:
            break
        if len(live) < len(state.index):
            state.keep(live)
    return [_continuation(*one, request.end) for one in zip(tokens, scores, strict=True)]


def _continuation(tokens: list[int], scores: list[float], end: int) -> Continuation:
    ended = tokens[-1] == end
    tokens_T = torch.tensor(tokens[: len(tokens) - ended], dtype=torch.int64)
    return Continuation(tokens_T, torch.tensor(scores), ended)


class _Texts:
    """The unfinished texts: their cache, the directions of their hidden states, their next logits."""

    def __init__(
        self, model: GPT2, prompts: Prompts, settings: ContrastiveSearch, request: DecodingRequest
    ) -> None:
        self.model, self.settings = model, settings
        longest = max(map(len, prompts)) + request.max_new
        read = prefill(model, prompts, longest + settings.top_k, with_hidden=True)
        self.index = list(range(len(prompts)))
        index_S = fill_up(torch.arange(len(prompts), device=read.number_B.device))
        number_S = read.number_B[index_S]
        texts = [prompts[index] for index in index_S.tolist()]
        self.constraints = request.start_constraints(texts, index_S.device)
        self.cache, self.logits_SV = read.cache, read.logits_DV[number_S]
        self.cache.keep(number_S)
        width = read.hidden_D[0].shape[-1]
        past_DTD = self.logits_SV.new_zeros(len(read.hidden_D), -(-longest // _BLOCK) * _BLOCK, width)
        for past_TD, hidden_TD in zip(past_DTD, read.hidden_D, strict=True):
            past_TD[: len(hidden_TD)] = F.normalize(hidden_TD.float(), dim=-1)
        self.past_STD = past_DTD[number_S]

    def step(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Choose and read the next token of every slot: ``(tokens_S, log probabilities_S)``."""
        alpha = self.settings.alpha
        require_drawable(drawable(self.logits_SV))
        lse_S1 = self.logits_SV.logsumexp(-1, keepdim=True)
        allowed_S1 = lse_S1
        for constraint in self.constraints:
            constraint.forbid(self.logits_SV)
        if self.constraints:  # what was forbidden gives its probability to the other tokens
            require_drawable(drawable(self.logits_SV))
            allowed_S1 = self.logits_SV.logsumexp(-1, keepdim=True)
        logits_SK, tokens_SK = self.logits_SV.topk(self.settings.top_k, dim=-1)
        hidden_SKD, place = self.model.read_alternatives(tokens_SK, self.cache)
        direction_SKD = F.normalize(hidden_SKD.float(), dim=-1)
        penalty_SK = self._most_similar(direction_SKD)
        merit_SK = (1 - alpha) * (logits_SK - allowed_S1).exp() - alpha * penalty_SK
        # More candidates than allowed tokens: the others must not win by being unlike the text.
        merit_SK.masked_fill_(logits_SK == -torch.inf, -torch.inf)
        chosen_S1 = merit_SK.argmax(-1, keepdim=True)
        slots_S = torch.arange(len(chosen_S1), device=chosen_S1.device)
        self.past_STD[slots_S, self.cache.lengths] = direction_SKD[slots_S, chosen_S1.squeeze(1)]
        self.cache.choose(place, chosen_S1.squeeze(1))
        self.logits_SV = self.model.logits(hidden_SKD[slots_S, chosen_S1.squeeze(1)]).float()
        tokens_S = tokens_SK.gather(1, chosen_S1).squeeze(1)
        for constraint in self.constraints:
            constraint.append(tokens_S)
        return tokens_S, (logits_SK.gather(1, chosen_S1) - lse_S1).squeeze(1)

    def _most_similar(self, direction_SKD: torch.Tensor) -> torch.Tensor:
        """The greatest cosine of each candidate with a token of its text, ``(R, K)``."""
        num_positions = -(-self.cache.longest // _BLOCK) * _BLOCK
        cosine_SKT = direction_SKD @ self.past_STD[:, :num_positions].transpose(1, 2)
        beyond_ST = torch.arange(num_positions, device=cosine_SKT.device) >= self.cache.lengths.unsqueeze(1)
        return cosine_SKT.masked_fill_(beyond_ST.unsqueeze(1), float("-inf")).amax(-1)

    def keep(self, live: list[int]) -> None:
        """Go on with these slots only."""
        self.index = [self.index[slot] for slot in live]
        kept_S = fill_up(torch.tensor(live, device=self.logits_SV.device))
        if len(kept_S) == len(self.logits_SV) and live == list(range(len(live))):
            return
        self.cache.keep(kept_S)
        for constraint in self.constraints:
            constraint.keep(kept_S)
        self.past_STD, self.logits_SV = self.past_STD[kept_S], self.logits_SV[kept_S]
