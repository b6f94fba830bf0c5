"""Prompts to be continued, one per sample asked for: nothing but a label, and perhaps a beginning."""

import torch

from fairseq_plugin.datasets.prompts import Prompts


class LabelPrompts(Prompts):
    """Prompts of labels; samples of one label stay together in the batches.

    Args:
        sample_ids: ``(N,)`` id of each sample.
        prompts: ``N`` lists of token indices: label, separator, beginning; without ``</s>``.
        labels: ``(N,)`` label of each sample.
        pad: index of ``<pad>``.
        eos: index of ``</s>``, with which every prompt starts.
        max_new: see :class:`Prompts`.
    """

    def __init__(self, sample_ids, prompts, labels, pad, eos, max_new):
        super().__init__(sample_ids, [[eos, *prompt] for prompt in prompts], pad, max_new)
        self.labels = labels

    def __getitem__(self, index):
        return {**super().__getitem__(index), "label": int(self.labels[index])}

    def collater(self, samples):
        """As :meth:`Prompts.collater`, with the ``labels``."""
        batch = super().collater(samples)
        return {**batch, "labels": torch.tensor([sample["label"] for sample in samples])} if samples else {}
