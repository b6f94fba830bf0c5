"""fairseq's own beam search, told where the prompt ends."""

import torch


class LabelBeam:
    """Beam search over sentences of a label, by the stock ``SequenceGenerator``.

    The stock generator forces a prompt token by token and returns it as part of the text, and its length
    limit counts the prompt. Here the prompt is taken off again and the limit is one of new tokens.

    Args:
        make: builds the stock generator for a given ``max_len_b`` and ``min_len``.
        max_new: limit of new tokens, the end token included.
        min_new: tokens before which the text may not end.
        positions: the models' longest text; a long prompt leaves fewer new tokens than ``max_new``.
        eos: index of ``</s>``.
    """

    def __init__(self, make, max_new, min_new, positions, eos):
        self.make, self.max_new, self.min_new, self.positions, self.eos = make, max_new, min_new, positions, eos
        self.symbols_to_strip_from_output = {eos}
        self._generators = {}

    def generate(self, models, prompts):
        """Search the best continuations of prompts (lists of indices that start with ``</s>``)."""
        results = [None] * len(prompts)
        by_length = {}
        for row, prompt in enumerate(prompts):
            by_length.setdefault(len(prompt) - 1, []).append(row)
        for length, rows in by_length.items():
            device = next(models[0].parameters()).device
            prefix_BT = torch.tensor([prompts[row][1:] for row in rows], device=device)
            sample = {"net_input": {"src_tokens": prefix_BT, "src_lengths": torch.full((len(rows),), length)}}
            found = self._generator(length).generate(
                models, sample, prefix_tokens=prefix_BT, bos_token=self.eos
            )
            for row, hypotheses in zip(rows, found):
                results[row] = [self._without_prompt(one, length) for one in hypotheses]
        return results

    def _generator(self, length):
        # max_len_b and min_len of the stock generator count the prompt and leave the end token out.
        if length not in self._generators:
            limit = self._limit(length)
            self._generators[length] = self.make(length + limit - 1, length + min(self.min_new, limit - 1))
        return self._generators[length]

    def _limit(self, length):
        # As in KeyedSampler. The stock generator would cut at the positions too, and say nothing of it.
        return min(self.max_new, self.positions - 1 - length)

    def _without_prompt(self, hypothesis, length):
        tokens, scores = hypothesis["tokens"][length:], hypothesis["positional_scores"][length:]
        forced_end = len(tokens) == self._limit(length)  # at its limit the stock generator forces the end token
        if forced_end:
            tokens, scores = tokens[:-1], scores[:-1]
        elif len(tokens) and tokens[-1] == self.eos:
            tokens = tokens[:-1]
        return {**hypothesis, "tokens": tokens, "positional_scores": scores, "attention": None, "alignment": None}
