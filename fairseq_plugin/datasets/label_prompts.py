"""Prompts to be continued, one per sample asked for: nothing but a label, and perhaps a beginning."""

import numpy as np
import torch
from fairseq.data import data_utils

from fairseq_plugin.datasets.whole_batches import WholeBatches


class LabelPrompts(WholeBatches):
    """Prompts with the ids under which their samples are drawn and printed.

    Args:
        sample_ids: ``(N,)`` id of each sample.
        prompts: ``N`` lists of token indices: label, separator, beginning; without ``</s>``.
        labels: ``(N,)`` label of each sample.
        pad: index of ``<pad>``.
        eos: index of ``</s>``, with which every prompt starts.
        max_new: the most new tokens a sample may take; they count in a batch's size, since the model
            will hold that many keys and values.
    """

    def __init__(self, sample_ids, prompts, labels, pad, eos, max_new):
        super().__init__()
        self.sample_ids, self.prompts, self.labels = sample_ids, prompts, labels
        self.pad, self.eos = pad, eos
        self.sizes = np.asarray([1 + len(prompt) + max_new for prompt in prompts], dtype=np.int64)

    def __len__(self):
        return len(self.prompts)

    def __getitem__(self, index):
        tokens = torch.tensor([self.eos, *self.prompts[index]], dtype=torch.int64)
        return {"id": int(self.sample_ids[index]), "tokens": tokens, "label": int(self.labels[index])}

    def ordered_indices(self):
        """In the order given, shorter prompts first: samples of one label stay together."""
        return np.argsort(self.sizes, kind="stable")

    def collater(self, samples):
        """Pad prompts on the right. ``target`` is ``None``: there is nothing to compare with."""
        if not samples:
            return {}
        tokens = [sample["tokens"] for sample in samples]
        return {
            "id": torch.tensor([sample["id"] for sample in samples]),
            "nsentences": len(samples),
            "ntokens": sum(len(row) for row in tokens),
            "net_input": {
                "src_tokens": data_utils.collate_tokens(tokens, self.pad),
                "src_lengths": torch.tensor([len(row) for row in tokens]),
            },
            "target": None,
            "labels": torch.tensor([sample["label"] for sample in samples]),
        }
