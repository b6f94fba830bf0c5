"""Prompts and the ids of their samples, a bounded number at a time, from an iterable of any length."""

from collections.abc import Callable, Iterable, Sequence

import torch

from fairseq_plugin.sampling.branches import Prompt

# Samples in flight, however many ids a prompt has: more would share a little more, and need more memory.
_MOST_IDS = 1 << 15
# Prompt tokens read at once; their keys and values are kept until their samples have slots.
_MOST_TOKENS = 1 << 14


class PromptQueue:
    """Takes groups as they are needed.

    Args:
        groups: (prompt, sample ids).
        check: raises for what cannot be sampled.
        most_prompts: different prompts at a time.
    """

    def __init__(
        self,
        groups: Iterable[tuple[Sequence[int], Sequence[int]]],
        check: Callable[[Prompt, Sequence[int]], None],
        most_prompts: int,
    ) -> None:
        self._groups, self._check, self._most_prompts = iter(groups), check, most_prompts
        self._prompt: Prompt = ()
        self._ids: Sequence[int] = ()
        self._num_taken = 0  # of the ids

    def take(self) -> dict[Prompt, torch.Tensor]:
        """The next prompts with int64 ids; empty once there are no more."""
        taken: dict[Prompt, list[torch.Tensor]] = {}
        num_ids = num_tokens = 0
        while num_ids < _MOST_IDS and num_tokens < _MOST_TOKENS and len(taken) < self._most_prompts:
            if self._num_taken == len(self._ids) and not self._next_group():
                break
            some = self._ids[self._num_taken : self._num_taken + _MOST_IDS - num_ids]
            self._check(self._prompt, some)
            if self._prompt not in taken:
                num_tokens += len(self._prompt)
            taken.setdefault(self._prompt, []).append(torch.tensor(some, dtype=torch.int64))
            self._num_taken += len(some)
            num_ids += len(some)
        return {prompt: torch.cat(parts) for prompt, parts in taken.items()}

    def _next_group(self) -> bool:
        for prompt, ids in self._groups:
            if len(ids):
                self._prompt, self._ids, self._num_taken = tuple(prompt), ids, 0
                return True
        return False
