"""Contrastive search (Su et al., "A Contrastive Framework for Neural Text Generation", NeurIPS 2022, eq. 5).

Legend: B samples, R rows (the unfinished ones, filled up to a multiple of eight), K candidates, T tokens of a
text, the prompt included, D width, V vocabulary.

Of the ``top_k`` most probable next tokens v of a text x take the one with the greatest

    (1 - alpha) * p(v | x)  -  alpha * max over j of cos(h_v, h_{x_j})

where h_{x_j} are the last layer's hidden states of all earlier tokens, the prompt's included, and h_v is the
hidden state of v behind x. alpha = 0 is greedy search.
"""

import torch
import torch.nn.functional as F

from fairseq_plugin.sampling.draw import drawable, require_drawable
from fairseq_plugin.sampling.prefill import check_request, fill_up, prefill
from fairseq_plugin.sampling.sample import Continuation

# The past's hidden states stand in whole blocks, like the slots of a cache, so that a row's products do not
# depend on how long the other texts are.
_BLOCK = 32


@torch.no_grad()
def contrastive_search(model, prompts, *, end, max_new, min_new=0, top_k, alpha):
    """Continue each prompt by contrastive search. A result does not depend on the other prompts.

    The candidates of a step are read together, K per row on one cache, so a step costs one forward pass of
    R x K tokens.

    Args:
        model: a :class:`~fairseq_plugin.core.gpt2.GPT2` in evaluation mode.
        prompts: ``B`` lists of token ids, none empty.
        end: id of the token that ends a text.
        max_new: the most new tokens, the end token included; >= 1.
        min_new: tokens before which the end token is forbidden (its probability goes to the other tokens), in
            [0, max_new].
        top_k: K, candidates of a step, in [1, vocab_size].
        alpha: weight of the penalty, in [0, 1]; the paper uses 0.6.

    Returns:
        ``B`` :class:`Continuation`, on the CPU; scores are log probabilities under the model.

    Raises:
        ValueError: an argument out of range, or more tokens than the model has positions.
        FloatingPointError: the model's logits are damaged.
    """
    check_request(model, prompts, max_new, min_new)
    if not 1 <= top_k <= model.config.vocab_size:
        raise ValueError(f"top_k must lie in [1, {model.config.vocab_size}], not {top_k}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], not {alpha}")
    if not prompts:
        return []
    state = _Texts(model, prompts, max_new, top_k)
    tokens = [[] for _ in prompts]
    scores = [[] for _ in prompts]
    for step in range(max_new):
        tokens_R, scores_R = state.step(end if step < min_new else None, top_k, alpha)
        live = []
        pairs = zip(tokens_R.tolist(), scores_R.tolist(), strict=True)
        for row, (index, (token, score)) in enumerate(zip(state.index, pairs)):  # spare rows stand behind
            tokens[index].append(token)
            scores[index].append(score)
            live += [row] if token != end else []
        if not live:
            break
        if len(live) < len(state.index):
            state.keep(live)
    return [_continuation(*one, end) for one in zip(tokens, scores, strict=True)]


def _continuation(tokens, scores, end):
    ended = tokens[-1] == end
    tokens_T = torch.tensor(tokens[: len(tokens) - ended], dtype=torch.int64)
    return Continuation(tokens_T, torch.tensor(scores), ended)


class _Texts:
    """The unfinished texts: their cache, the directions of their hidden states, their next logits."""

    def __init__(self, model, prompts, max_new, top_k):
        self.model = model
        longest = max(map(len, prompts)) + max_new
        read = prefill(model, prompts, longest + top_k, with_hidden=True)
        self.index = list(range(len(prompts)))
        number_R = read.number_B[fill_up(torch.arange(len(prompts), device=read.number_B.device))]
        self.cache, self.logits_RV = read.cache, read.logits_DV[number_R]
        self.cache.keep(number_R)
        width = read.hidden_D[0].shape[-1]
        past_DTD = self.logits_RV.new_zeros(len(read.hidden_D), -(-longest // _BLOCK) * _BLOCK, width)
        for past_TD, hidden_TD in zip(past_DTD, read.hidden_D, strict=True):
            past_TD[: len(hidden_TD)] = F.normalize(hidden_TD.float(), dim=-1)
        self.past_RTD = past_DTD[number_R]

    def step(self, forbidden, top_k, alpha):
        """Choose and read the next token of every row: ``(tokens_R, log probabilities_R)``."""
        require_drawable(drawable(self.logits_RV))
        lse_R1 = self.logits_RV.logsumexp(-1, keepdim=True)
        allowed_R1 = lse_R1
        if forbidden is not None:
            self.logits_RV[:, forbidden] = float("-inf")
            allowed_R1 = self.logits_RV.logsumexp(-1, keepdim=True)
        logits_RK, tokens_RK = self.logits_RV.topk(top_k, dim=-1)
        hidden_RKD, place = self.model.read_alternatives(tokens_RK, self.cache)
        direction_RKD = F.normalize(hidden_RKD.float(), dim=-1)
        penalty_RK = self._most_similar(direction_RKD)
        merit_RK = (1 - alpha) * (logits_RK - allowed_R1).exp() - alpha * penalty_RK
        chosen_R1 = merit_RK.argmax(-1, keepdim=True)
        rows_R = torch.arange(len(chosen_R1), device=chosen_R1.device)
        self.past_RTD[rows_R, self.cache.lengths] = direction_RKD[rows_R, chosen_R1.squeeze(1)]
        self.cache.choose(place, chosen_R1.squeeze(1))
        self.logits_RV = self.model.logits(hidden_RKD[rows_R, chosen_R1.squeeze(1)]).float()
        tokens_R = tokens_RK.gather(1, chosen_R1).squeeze(1)
        return tokens_R, (logits_RK.gather(1, chosen_R1) - lse_R1).squeeze(1)

    def _most_similar(self, direction_RKD):
        """The greatest cosine of each candidate with a token of its text, ``(R, K)``."""
        num_slots = -(-self.cache.longest // _BLOCK) * _BLOCK
        cosine_RKT = direction_RKD @ self.past_RTD[:, :num_slots].transpose(1, 2)
        beyond_RT = torch.arange(num_slots, device=cosine_RKT.device) >= self.cache.lengths.unsqueeze(1)
        return cosine_RKT.masked_fill_(beyond_RT.unsqueeze(1), float("-inf")).amax(-1)

    def keep(self, live):
        """Go on with these rows only."""
        self.index = [self.index[row] for row in live]
        kept_R = fill_up(torch.tensor(live, device=self.logits_RV.device))
        if len(kept_R) == len(self.logits_RV) and live == list(range(len(live))):
            return
        self.cache.keep(kept_R)
        self.past_RTD, self.logits_RV = self.past_RTD[kept_R], self.logits_RV[kept_R]
