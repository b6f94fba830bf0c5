"""fairseq's own generator, told where the prompt ends."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from fairseq_plugin.errors import UserError


class StockSearch:
    """Continuations of prompts by the stock ``SequenceGenerator``, for models other than a single GPT-2 of
    ours.

    The stock generator forces a prompt token by token and returns it as part of the text, and its length
    limit counts the prompt. Here the prompt is taken off again and the limit is one of new tokens.

    Args:
        make: builds the stock generator for a given ``max_len_b`` and ``min_len``.
        models: the models of the ensemble.
        max_new: limit of new tokens, the end token included.
        min_new: tokens before which the text may not end; ``max_new`` gives texts of exactly this length.
        positions: the models' longest text; a long prompt leaves fewer new tokens than ``max_new``.
        eos: index of ``</s>``.
        end: index of the symbol with which ``make``'s generator ends a text, if it is not ``</s>``.
    """

    def __init__(
        self,
        make: Callable[[int, int], Any],
        models: Sequence[Any],
        max_new: int,
        min_new: int,
        positions: int,
        eos: int,
        end: int | None = None,
    ) -> None:
        self.make, self.models, self.max_new, self.min_new = make, models, max_new, min_new
        self.positions, self.eos = positions, eos
        self.end = eos if end is None else end
        self.symbols_to_strip_from_output = {eos}
        self._generators: dict[int, Any] = {}  # by length of the prompts

    @torch.no_grad()
    def generate(
        self, prompts: Sequence[Sequence[int]], sample_ids: Sequence[int]
    ) -> list[list[dict[str, Any]]]:
        """Continue prompts.

        Args:
            prompts: lists of token indices, none empty.
            sample_ids: not needed; the stock generator's random numbers depend on the batch.

        Returns:
            Per prompt a list of fairseq hypotheses, best first. A text that was cut has as many scores as
            tokens, one that ended by itself has one score more.

        Raises:
            FloatingPointError: the model gave NaN; the stock generator takes it for "impossible".
            UserError: the end occurs in the middle of a prompt, where the stock generator would stop.
        """
        if any(self.end in prompt[1:] for prompt in prompts):
            raise UserError(
                "--stop-at-end: a prompt goes over the end of a document, where fairseq's own generator "
                "would stop; leave the flag out, or use a single model of --arch gpt2"
            )
        results: list[list[dict[str, Any]]] = [[] for _ in prompts]
        by_length: dict[int, list[int]] = {}
        for place, prompt in enumerate(prompts):
            by_length.setdefault(len(prompt) - 1, []).append(place)
        device = next(self.models[0].parameters()).device
        for length, places in by_length.items():
            prompts_BT = torch.tensor([prompts[place] for place in places], device=device)
            self._require_finite(prompts_BT)
            generator, prefix_BT = self._generator(length), prompts_BT[:, 1:]
            lengths_B = torch.full((len(places),), length)
            sample = {"net_input": {"src_tokens": prefix_BT, "src_lengths": lengths_B}}
            # One first token per text of the generator, which holds each prompt once per beam.
            first_R = prompts_BT[:, 0].repeat_interleave(getattr(generator, "beam_size", 1))
            found = generator.generate(self.models, sample, prefix_tokens=prefix_BT, bos_token=first_R)
            for place, hypotheses in zip(places, found, strict=True):
                results[place] = [self._without_prompt(one, length) for one in hypotheses]
        return results

    def _require_finite(self, prompts_BT: torch.Tensor) -> None:
        # The stock generator takes NaN for "impossible" and goes on, or fails where nothing is possible.
        for model in self.models:
            model.eval()
            if not torch.isfinite(model(prompts_BT)[0].amax(-1)).all():
                raise FloatingPointError("the model gives NaN or infinite outputs: it is damaged")

    def _generator(self, length: int) -> Any:
        # max_len_b and min_len of the stock generator count the prompt and leave the end token out.
        if length not in self._generators:
            most = self._most(length)
            self._generators[length] = self.make(length + most, length + min(self.min_new, most))
        return self._generators[length]

    def _most(self, length: int) -> int:
        """Most new tokens apart from the end token, which the stock generator forces after them."""
        # As in PromptDecoder. The stock generator would cut at the positions too, and say nothing of it.
        room = self.positions - 1 - length
        if self.min_new == self.max_new:
            return min(self.max_new, room)
        return min(self.max_new, room) - 1

    def _without_prompt(self, hypothesis: dict[str, Any], length: int) -> dict[str, Any]:
        tokens, scores = hypothesis["tokens"][length:], hypothesis["positional_scores"][length:]
        if len(tokens) == self._most(length) + 1:  # at its limit the stock generator forces the end token
            tokens, scores = tokens[:-1], scores[:-1]
        elif len(tokens) and tokens[-1] == self.end:
            tokens = tokens[:-1]
        if not torch.isfinite(scores).all():
            raise FloatingPointError("the model gives NaN, or no probability to any token: it is damaged")
        return {
            **hypothesis,
            "tokens": tokens,
            "positional_scores": scores,
            "attention": None,
            "alignment": None,
        }
