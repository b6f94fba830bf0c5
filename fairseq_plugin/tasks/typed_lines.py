"""Numbers of the lines typed into ``fairseq-interactive``, which key their random numbers."""

from collections.abc import Sequence


class TypedLines:
    """Remembers which line a prompt came from.

    ``fairseq-interactive`` hands a batch to the task without ids and in another order than typed. Equal
    prompts of the lines that wait are given their numbers in the order in which they were typed.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, ...], list[int]] = {}  # prompt -> numbers of its lines
        self._num_lines = 0

    def add(self, prompt: Sequence[int]) -> None:
        """Note one more line: the prompt's token indices."""
        self._waiting.setdefault(tuple(prompt), []).append(self._num_lines)
        self._num_lines += 1

    def number(self, prompt: Sequence[int]) -> int:
        """Number of the first waiting line with this prompt; it waits no longer."""
        return self._waiting[tuple(prompt)].pop(0)
