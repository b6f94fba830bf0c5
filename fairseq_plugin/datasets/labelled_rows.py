"""Binarised labelled rows as a fairseq dataset: one sample per row, the label's prompt first.

Legend: B rows of a batch, T positions. A row is ``prompt + sentence + </s>``; the model reads
``</s> + row[:-1]`` and predicts ``row``.
"""

import numpy as np
import torch
from fairseq.data import data_utils

from fairseq_plugin.datasets.whole_batches import WholeBatches


class LabelledRows(WholeBatches):
    """Rows of one split.

    Args:
        rows: indexed dataset of int token tensors, each ``prompt + sentence + </s>``.
        label_ids: ``(N,)`` label of each row, an index into ``prompts``.
        prompts: token ids of every label's prompt (label text and separator).
        pad: index of ``<pad>``.
        eos: index of ``</s>``.
        score_prompt: predict the prompt's tokens too; otherwise their targets are ``<pad>``.
        shuffle: shuffle among rows of equal length, by the (seed, epoch) that fairseq has set.
    """

    def __init__(self, rows, label_ids, prompts, pad, eos, score_prompt=False, shuffle=False):
        super().__init__()
        self.rows, self.label_ids, self.prompts = rows, np.asarray(label_ids), prompts
        self.pad, self.eos = pad, eos
        self.score_prompt, self.shuffle = score_prompt, shuffle
        self.sizes = np.asarray(rows.sizes, dtype=np.int64)

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, index):
        return {"id": index, "row": self.rows[index].long(), "label": int(self.label_ids[index])}

    def ordered_indices(self):
        """By length, so that a batch holds little padding; equal lengths in random order when shuffling."""
        order = np.random.permutation(len(self)) if self.shuffle else np.arange(len(self))
        return order[np.argsort(self.sizes[order], kind="stable")]

    def collater(self, samples):
        """Pad samples on the right into one batch.

        Returns:
            The batch of fairseq's criterions and scorers; besides, ``prompt_target`` ``(B, T)`` (the
            prompt's tokens where they are predicted, ``<pad>`` elsewhere), ``labels`` ``(B,)`` and
            ``start_indices`` (length of each prompt: where the sentence begins in ``target``).
        """
        if not samples:
            return {}
        rows = [sample["row"] for sample in samples]
        labels = [sample["label"] for sample in samples]
        lengths_B = torch.tensor([len(row) for row in rows])
        starts = [len(self.prompts[label]) for label in labels]
        target_BT = data_utils.collate_tokens(rows, self.pad)
        in_prompt_BT = torch.arange(target_BT.shape[1]) < torch.tensor(starts).unsqueeze(1)
        src_tokens_BT = target_BT.roll(1, dims=1)
        src_tokens_BT[:, 0] = self.eos
        # roll brings the end token in as an input of the padded rows: those positions are padding.
        src_tokens_BT[torch.arange(target_BT.shape[1]) >= lengths_B.unsqueeze(1)] = self.pad
        scored_BT = target_BT if self.score_prompt else target_BT.masked_fill(in_prompt_BT, self.pad)
        return {
            "id": torch.tensor([sample["id"] for sample in samples]),
            "nsentences": len(samples),
            "ntokens": int(scored_BT.ne(self.pad).sum()),
            "net_input": {"src_tokens": src_tokens_BT, "src_lengths": lengths_B},
            "target": scored_BT,
            "prompt_target": target_BT.masked_fill(~in_prompt_BT, self.pad),
            "labels": torch.tensor(labels),
            "start_indices": starts,
        }
