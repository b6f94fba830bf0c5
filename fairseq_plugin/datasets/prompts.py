"""Prompts to be continued as a fairseq dataset: one sample per prompt."""

from collections.abc import Sequence

import numpy as np
import torch
from fairseq.data import data_utils
from numpy.typing import NDArray

from fairseq_plugin.datasets.whole_batches import Batch, Example, WholeBatches


class Prompts(WholeBatches):
    """Prompts with the ids under which their samples are drawn and printed.

    Args:
        sample_ids: ``(N,)`` id of each sample.
        prompts: ``N`` sequences of token indices, none empty, or an array ``(N, length)``: all that the model
            reads, a leading ``</s>`` included.
        pad: index of ``<pad>``.
        max_new: the most new tokens a sample may take; they count in a batch's size, since the model
            will hold that many keys and values.
        lengths: tokens of each prompt, ``(N,)``, where they are known already.
    """

    def __init__(
        self,
        sample_ids: Sequence[int],
        prompts: "Sequence[Sequence[int]] | NDArray[np.int64]",
        pad: int,
        max_new: int,
        lengths: NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__()
        self.sample_ids, self.prompts, self.pad = sample_ids, prompts, pad
        if lengths is None:
            lengths = np.fromiter(map(len, prompts), np.int64, len(prompts))
        self.sizes = lengths + max_new

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, index: int) -> Example:
        tokens = torch.as_tensor(np.asarray(self.prompts[index], dtype=np.int64))
        return {"id": int(self.sample_ids[index]), "tokens": tokens}

    def ordered_indices(self) -> NDArray[np.int64]:
        """In the order given, shorter prompts first."""
        return np.argsort(self.sizes, kind="stable")

    def collater(self, samples: Sequence[Example]) -> Batch:
        """Pad prompts on the right. ``target`` is ``None``: there is nothing to compare with."""
        if not samples:
            return {}
        tokens = [sample["tokens"] for sample in samples]
        return {
            "id": torch.tensor([sample["id"] for sample in samples]),
            "nsentences": len(samples),
            "ntokens": sum(map(len, tokens)),
            "net_input": {
                "src_tokens": data_utils.collate_tokens(tokens, self.pad),
                "src_lengths": torch.tensor([len(prompt) for prompt in tokens]),
            },
            "target": None,
        }
