"""Prompts to be continued, one per sample asked for: nothing but a label."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.datasets.prompts import Prompts


class LabelPrompts(Prompts):
    """Prompts of labels, each kept once however many samples begin with it.

    Args:
        sample_ids: ``N`` ids, any sequence: a range takes no memory.
        label_prompts: token indices of each label's prompt: label and separator, without ``</s>``.
        labels: ``(N,)`` label index of each sample.
        pad: index of ``<pad>``.
        eos: index of ``</s>``, with which every prompt starts.
        max_new: see :class:`Prompts`.
    """

    def __init__(
        self,
        sample_ids: Sequence[int],
        label_prompts: Sequence[Sequence[int]],
        labels: NDArray[np.int32],
        pad: int,
        eos: int,
        max_new: int,
    ) -> None:
        prompts = _Repeated([[eos, *prompt] for prompt in label_prompts], labels)
        super().__init__(sample_ids, prompts, pad, max_new, lengths=prompts.lengths())


class _Repeated(Sequence):
    """``prompts[labels[i]]`` for every ``i``."""

    def __init__(self, prompts: list[list[int]], labels: NDArray[np.int32]) -> None:
        self.prompts, self.labels = prompts, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index):  # noqa: ANN001, ANN204  (as Sequence: one item, or a slice of them)
        if isinstance(index, slice):
            return _Repeated(self.prompts, self.labels[index])
        return self.prompts[self.labels[index]]

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each prompt, ``(N,)``."""
        return np.array([len(prompt) for prompt in self.prompts], dtype=np.int64)[self.labels]
