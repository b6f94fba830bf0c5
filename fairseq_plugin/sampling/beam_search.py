"""Beam search over continuations of prompts: all prompts at once, on one cache whose rows follow the beams.

Legend: G prompts still searched, K beams of a prompt, R rows (G x K, filled up to a multiple of eight),
C = 2K candidates, T new tokens, V vocabulary.

    score of a finished text = (sum of the log probabilities of its new tokens) / num_new ** length_penalty

the end token counted in both. A prompt is done once it has K finished texts and the best unfinished one,
ended now, would not be better than the worst of them (transformers' ``early_stopping=False``). At the limit
the unfinished ones count as they stand.
"""

import math

import torch

from fairseq_plugin.sampling.draw import drawable, require_drawable
from fairseq_plugin.sampling.ngram_block import NGramBlock
from fairseq_plugin.sampling.prefill import check_request, fill_up, prefill
from fairseq_plugin.sampling.sample import Continuation


@torch.no_grad()
def beam_search(model, prompts, *, end, beam, max_new, min_new=0, no_repeat_ngram=0, length_penalty=1.0):
    """Find the ``beam`` best continuations of each prompt. A result does not depend on the other prompts.

    Args:
        model: a :class:`~fairseq_plugin.core.gpt2.GPT2` in evaluation mode.
        prompts: ``B`` lists of token ids, none empty.
        end: id of the token that ends a text.
        beam: K, hypotheses kept per prompt, in [1, vocab_size / 2].
        max_new: the most new tokens, the end token included; >= 1.
        min_new: tokens before which the end token is forbidden, in [0, max_new].
        no_repeat_ngram: forbid tokens that would repeat an n-gram of this length in the same text, the prompt
            counted in; 0 allows all.
        length_penalty: exponent; above 0 it favours longer texts, 0 compares plain sums.

    Returns:
        ``B`` lists of ``beam`` :class:`Continuation`, best first, on the CPU.

    Raises:
        ValueError: an argument out of range, or more tokens than the model has positions.
        FloatingPointError: the model's logits are damaged.
    """
    check_request(model, prompts, max_new, min_new)
    if not 1 <= beam <= model.config.vocab_size // 2:
        raise ValueError(f"beam must lie in [1, {model.config.vocab_size // 2}], not {beam}")
    if not math.isfinite(length_penalty):
        raise ValueError(f"length_penalty must be finite, not {length_penalty}")
    if not prompts:
        return []
    search = _Search(model, prompts, beam, max_new, no_repeat_ngram)
    finished = [_Finished(beam) for _ in prompts]
    for step in range(max_new):
        scale = (step + 1) ** -length_penalty
        scores_GC, beams_GC, tokens_GC = search.candidates(None if step >= min_new else end)
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
    return [one.texts(end) for one in finished]


class _Finished:
    """The best texts of a prompt that have ended (or reached the limit)."""

    def __init__(self, beam):
        self._beam, self._best = beam, []

    def add(self, score, text, ended):
        self._best.append((score, text, ended))
        self._best.sort(key=lambda one: -one[0])  # stable: of equal scores the earlier one stays in front
        del self._best[self._beam :]

    def can_improve(self, score):
        return len(self._best) < self._beam or score > self._best[-1][0]

    def texts(self, end):
        return [
            Continuation(tokens_T[: len(tokens_T) - ended], scores_T, ended)
            for _, (tokens_T, scores_T), ended in self._best
        ]


class _Search:
    """The unfinished beams: their rows in the cache, what they hold, and the logits of their next token."""

    def __init__(self, model, prompts, beam, max_new, no_repeat_ngram):
        self.model, self.beam = model, beam
        read = prefill(model, prompts, max(map(len, prompts)) + max_new)
        self.prompt_of_G = list(range(len(prompts)))
        rows_R = fill_up(torch.arange(len(prompts), device=read.number_B.device).repeat_interleave(beam))
        self.cache, self.logits_RV = read.cache, read.logits_DV[read.number_B[rows_R]]
        self.cache.keep(read.number_B[rows_R])
        self.block = None
        if no_repeat_ngram:
            texts = [prompts[index] for index in rows_R.tolist()]
            self.block = NGramBlock(texts, no_repeat_ngram, max_new, rows_R.device)
        self.tokens_RT = rows_R.new_zeros(len(rows_R), 0)
        self.logprobs_RT = self.logits_RV.new_zeros(len(rows_R), 0)
        # All beams of a prompt are the same at first: only one of them may be continued.
        self.scores_GK = self.logits_RV.new_full((len(prompts), beam), -math.inf)
        self.scores_GK[:, 0] = 0.0

    def candidates(self, forbidden):
        """The 2K best continuations by one token of each prompt's beams.

        Args:
            forbidden: a token that may not come, or ``None``.

        Returns:
            ``(scores_GC, beams_GC, tokens_GC)``, best first: summed log probabilities, the beam that is
            continued, and the token.
        """
        num_groups, num_candidates = len(self.prompt_of_G), 2 * self.beam
        require_drawable(drawable(self.logits_RV))
        self.lse_R = self.logits_RV.logsumexp(-1)
        if forbidden is not None:
            self.logits_RV[:, forbidden] = -math.inf
        if self.block:
            self.block.forbid(self.logits_RV)
        # The best of a prompt are among the best of its beams: a selection in each row, not a sort of V.
        logits_RC, tokens_RC = self.logits_RV.topk(num_candidates, dim=-1)
        logprobs_RC = logits_RC - self.lse_R.unsqueeze(1)
        here = slice(num_groups * self.beam)
        sums_GKC = logprobs_RC[here].view(num_groups, self.beam, -1) + self.scores_GK.unsqueeze(2)
        scores_GC, index_GC = sums_GKC.flatten(1).topk(num_candidates, dim=1)
        tokens_GC = tokens_RC[here].reshape(num_groups, -1).gather(1, index_GC)
        return scores_GC, index_GC // num_candidates, tokens_GC

    def text(self, group, beam, token):
        """The new tokens of a candidate and their log probabilities, on the CPU."""
        row = group * self.beam + beam
        logprob = self.logits_RV[row, token] - self.lse_R[row]
        return (
            torch.cat([self.tokens_RT[row], token.view(1)]).cpu(),
            torch.cat([self.logprobs_RT[row], logprob.view(1)]).cpu(),
        )

    def go_on(self, groups, scores_GK, beams_GK, tokens_GK):
        """Continue the beams of the prompts in ``groups`` by one token each, and forget the other prompts."""
        index_G = torch.tensor(groups, device=tokens_GK.device)
        self.prompt_of_G = [self.prompt_of_G[group] for group in groups]
        self.scores_GK = scores_GK[index_G]
        rows_R = fill_up((index_G.unsqueeze(1) * self.beam + beams_GK[index_G]).flatten())
        tokens_R = tokens_GK[index_G].flatten()
        tokens_R = torch.cat([tokens_R, tokens_R[:1].expand(len(rows_R) - len(tokens_R))])
        logprobs_R = self.logits_RV[rows_R, tokens_R] - self.lse_R[rows_R]
        self.tokens_RT = torch.cat([self.tokens_RT[rows_R], tokens_R.unsqueeze(1)], dim=1)
        self.logprobs_RT = torch.cat([self.logprobs_RT[rows_R], logprobs_R.unsqueeze(1)], dim=1)
        self.cache.keep(rows_R)
        if self.block:
            self.block.keep(rows_R)
            self.block.append(tokens_R)
        hidden_R1D = self.model(tokens_R.unsqueeze(1), cache=self.cache)
        self.logits_RV = self.model.logits(hidden_R1D[:, -1]).float()
