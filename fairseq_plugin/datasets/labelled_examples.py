"""Binarised labelled sentences as a fairseq dataset: the label's prompt first.

Legend: B examples of a batch, T positions. An example is ``prompt + sentence + </s>``; the model reads
``</s> + example[:-1]`` and predicts ``example``.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from fairseq.data import data_utils
from numpy.typing import ArrayLike, NDArray

from fairseq_plugin.datasets.whole_batches import Batch, Example, WholeBatches


class IndexedTokens(Protocol):
    """fairseq's indexed dataset: token tensors by number, and the length of each."""

    @property
    def sizes(self) -> ArrayLike: ...

    def __getitem__(self, index: int, /) -> torch.Tensor: ...


class LabelledExamples(WholeBatches):
    """Examples of one split.

    Args:
        examples: int tensors, each ``prompt + sentence + </s>``.
        label_ids: ``(N,)`` label of each example, an index into ``prompts``.
        prompts: token ids of every label's prompt (label text and separator).
        pad: index of ``<pad>``.
        eos: index of ``</s>``.
        score_prompt: predict the prompt's tokens too; otherwise their targets are ``<pad>``.
        shuffle: shuffle among examples of equal length, by the (seed, epoch) that fairseq has set.
    """

    def __init__(
        self,
        examples: IndexedTokens,
        label_ids: ArrayLike,
        prompts: Sequence[Sequence[int]],
        pad: int,
        eos: int,
        score_prompt: bool = False,
        shuffle: bool = False,
    ) -> None:
        super().__init__()
        self.examples, self.label_ids, self.prompts = examples, np.asarray(label_ids), prompts
        self.pad, self.eos = pad, eos
        self.score_prompt, self.shuffle = score_prompt, shuffle
        self.sizes = np.asarray(examples.sizes, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Example:
        return {"id": index, "tokens": self.examples[index].long(), "label": int(self.label_ids[index])}

    def ordered_indices(self) -> NDArray[np.int64]:
        """By length, so that a batch holds little padding; equal lengths in random order when shuffling."""
        order = np.random.permutation(len(self)) if self.shuffle else np.arange(len(self))
        return order[np.argsort(self.sizes[order], kind="stable")]

    def collater(self, samples: Sequence[Example]) -> Batch:
        """Pad examples on the right into one batch.

        Returns:
            The batch of fairseq's criterions and scorers; besides, ``prompt_target`` ``(B, T)`` (the
            prompt's tokens where they are predicted, ``<pad>`` elsewhere), ``labels`` ``(B,)`` and
            ``start_indices`` (length of each prompt: where the sentence begins in ``target``).
        """
        if not samples:
            return {}
        tokens = [sample["tokens"] for sample in samples]
        labels = [sample["label"] for sample in samples]
        lengths_B = torch.tensor([len(one) for one in tokens])
        starts = [len(self.prompts[label]) for label in labels]
        target_BT = data_utils.collate_tokens(tokens, self.pad)
        in_prompt_BT = torch.arange(target_BT.shape[1]) < torch.tensor(starts).unsqueeze(1)
        src_tokens_BT = target_BT.roll(1, dims=1)
        src_tokens_BT[:, 0] = self.eos
        # roll brings the end token in as an input of the padded examples: those positions are padding.
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
