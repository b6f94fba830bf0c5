"""Decoding with a GPT-2 of ours in the shape of a fairseq generator."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.sampling.decode import decode
from fairseq_plugin.sampling.request import BeamSearch, Continuation, DecodingRequest


class PromptDecoder:
    """Continues prompts with a GPT-2.

    Args:
        gpt2: the network.
        request: what is asked for. A long prompt leaves fewer new tokens than ``max_new``: then its text is
            cut at the model's last position.
    """

    def __init__(self, gpt2: GPT2, request: DecodingRequest) -> None:
        self.gpt2, self.request, self.eos = gpt2, request, request.end
        self.symbols_to_strip_from_output = {request.end}  # read by the stock commands

    def generate(
        self, prompts: Sequence[Sequence[int]], sample_ids: Sequence[int]
    ) -> list[list[dict[str, Any]]]:
        """Continue prompts.

        Args:
            prompts: lists of token indices, none empty.
            sample_ids: one integer per prompt.

        Returns:
            Per prompt a list of fairseq hypotheses (``tokens``, ``score``, ``positional_scores`` in nats,
            ...). A text that was cut has no ``</s>`` and as many scores as tokens.

        Raises:
            FloatingPointError: the model's logits are damaged.
        """
        results: list[list[dict[str, Any]]] = [[] for _ in prompts]
        self.gpt2.eval()
        for limit, places in self._by_limit(prompts).items():
            request = dataclasses.replace(
                self.request, max_new=limit, min_new=min(self.request.min_new, limit)
            )
            some = [prompts[place] for place in places], [sample_ids[place] for place in places]
            for place, found in zip(places, decode(self.gpt2, *some, request), strict=True):
                results[place] = [self._hypothesis(one) for one in found]
        return results

    def _hypothesis(self, found: Continuation) -> dict[str, Any]:
        return {
            "tokens": found.tokens,
            "score": self._score(found.scores),
            "attention": None,
            "alignment": None,
            "positional_scores": found.scores,
        }

    def _score(self, scores: torch.Tensor) -> torch.Tensor:
        """The number printed for a text: what beams are ordered by, else the mean log probability."""
        method = self.request.method
        penalty = method.length_penalty if isinstance(method, BeamSearch) else 1.0
        return scores.sum() / max(len(scores), 1) ** penalty

    def _by_limit(self, prompts: Sequence[Sequence[int]]) -> dict[int, list[int]]:
        # A long prompt leaves fewer positions. Its limit must not shorten the texts of its neighbours.
        groups: dict[int, list[int]] = {}
        for place, prompt in enumerate(prompts):
            room = self.gpt2.config.n_positions - len(prompt)
            groups.setdefault(min(self.request.max_new, room), []).append(place)
        return groups
