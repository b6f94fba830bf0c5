"""Lines typed into ``fairseq-interactive``: their numbers, which key random numbers, and what is wrong.

A line that cannot be used ends no session: what is wrong goes to the terminal, and the next line is read.
"""

import sys
from collections.abc import Callable, Sequence

import torch

from fairseq_plugin.errors import UserError

_REFUSED = -1  # in place of the tokens of a line that cannot be used


class TypedLines:
    """Remembers which line a prompt came from.

    ``fairseq-interactive`` hands a batch to the task without ids and in another order than typed. Equal
    prompts of the lines that wait are given their numbers in the order in which they were typed.

    Args:
        end: index of ``</s>``, which begins every prompt.
    """

    def __init__(self, end: int = 2) -> None:
        self._end = end
        self._waiting: dict[tuple[int, ...], list[int]] = {}  # prompt -> numbers of its lines
        self._num_lines = 0
        self._is_typed = False  # fairseq's hub interface hands over prompts that nobody has typed

    def read(
        self, lines: Sequence[str], read: Callable[[str], Sequence[int]]
    ) -> tuple[list[torch.Tensor], list[int]]:
        """Tokens of lines for fairseq, and how many of each.

        Args:
            lines: as typed.
            read: a line -> token indices, without the leading ``</s>``.
        """
        self._is_typed = True
        found: list[torch.Tensor] = []
        for number, line in enumerate(lines, start=self._num_lines):
            try:
                tokens = list(read(line))
            except UserError as error:
                self._refuse(number, error)
                tokens = [_REFUSED]
            found.append(torch.tensor(tokens, dtype=torch.int64))
        return found, [len(one) for one in found]

    def prompts(
        self, src_tokens: Sequence[torch.Tensor], check: Callable[[list[int]], object]
    ) -> tuple[list[int], list[list[int]]]:
        """The prompts of lines; each line keeps its number through any regrouping.

        Args:
            src_tokens: from :meth:`read`, or from fairseq's hub interface, which puts ``</s>`` behind each.
            check: raises UserError for a prompt that cannot be continued.

        Returns:
            ``(ids, prompts)`` of the lines that can be used; an id is a place in ``src_tokens``.

        Raises:
            UserError: of ``check``, where nobody has typed the prompt.
        """
        ids, prompts = [], []
        for place, tokens in enumerate(src_tokens):
            given = tokens.tolist()
            prompt = [self._end, *(one for one in given if one != self._end)]
            usable = given != [_REFUSED]
            if usable:
                try:
                    check(prompt)
                except UserError as error:
                    if not self._is_typed:
                        raise
                    self._refuse(self._num_lines, error)
                    usable = False
            if usable:
                ids.append(place)
                prompts.append(prompt)
                self.add(prompt)
            else:
                self._num_lines += 1
        return ids, prompts

    @staticmethod
    def _refuse(number: int, error: UserError) -> None:
        # Beside what fairseq prints, which may go to a file; numbers as in its S- and H- lines.
        print(f"error: line {number} (from 0) is passed over: {error}", file=sys.stderr, flush=True)

    def add(self, prompt: Sequence[int]) -> None:
        """Note one more line: the prompt's token indices."""
        self._waiting.setdefault(tuple(prompt), []).append(self._num_lines)
        self._num_lines += 1

    def number(self, prompt: Sequence[int]) -> int:
        """Number of the first waiting line with this prompt; it waits no longer."""
        return self._waiting[tuple(prompt)].pop(0)
