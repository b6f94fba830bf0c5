"""Blocks of running text, as fairseq's ``MonolingualDataset`` cuts them, in batches that can be trusted.

Legend: B blocks of a batch, T positions, W tokens of context.
"""

from collections.abc import Sequence

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset, FairseqDataset, data_utils
from numpy.typing import NDArray

from fairseq_plugin.datasets.whole_batches import Batch, Example, WholeBatches


class TextBlocks(WholeBatches, BaseWrapperDataset):
    """The blocks of a ``MonolingualDataset``, none left out, in batches that depend on (seed, epoch) alone.

    fairseq by itself drops the last batch of every epoch and of every validation when its size is not a
    multiple of ``--required-batch-size-multiple``, and keeps the batches of the epoch in which the process
    started, so that a resumed training sees other batches than an undisturbed one.

    Args:
        dataset: the ``MonolingualDataset``.
    """


class BlocksWithContext(WholeBatches, BaseWrapperDataset):
    """Blocks preceded by the last W tokens of the text before them, which are read but not scored.

    Gives the batches of fairseq's ``LMContextWindowDataset``. That one remembers the context from batch to
    batch, so its results depend on the number of workers and shards; here every block looks its context up.

    Args:
        blocks: a dataset of ``{"id", "source", "target"}`` in the order of the text.
        window: W, >= 1.
        pad: index of ``<pad>``.
    """

    def __init__(self, blocks: FairseqDataset, window: int, pad: int) -> None:
        super().__init__(blocks)
        self.window, self.pad = window, pad

    def __getitem__(self, index: int) -> Example:
        sample = self.dataset[index]
        context = self._context(index)
        source = torch.cat([context, sample["source"]])
        target = torch.cat([torch.full_like(context, self.pad), sample["target"]])
        return {**sample, "source": source, "target": target, "start": len(context)}

    def _context(self, index: int) -> torch.Tensor:
        pieces, missing = [], self.window
        while missing > 0 and index > 0:
            index -= 1
            source = self.dataset[index]["source"]
            pieces.insert(0, source[-missing:])
            missing -= len(pieces[0])
        return torch.cat(pieces) if pieces else self.dataset[index]["source"][:0]

    def ordered_indices(self) -> NDArray[np.int64]:
        """In the order of the text."""
        return np.arange(len(self))

    def collater(self, samples: Sequence[Example]) -> Batch:
        """Pad on the right; ``start_indices`` tells fairseq's scorer where each block's score begins."""
        if not samples:
            return {}
        sources_BT = data_utils.collate_tokens([sample["source"] for sample in samples], self.pad)
        return {
            "id": torch.tensor([sample["id"] for sample in samples]),
            "nsentences": len(samples),
            "ntokens": sum(len(sample["source"]) - sample["start"] for sample in samples),
            "net_input": {
                "src_tokens": sources_BT,
                "src_lengths": torch.tensor([len(sample["source"]) for sample in samples]),
            },
            "target": data_utils.collate_tokens([sample["target"] for sample in samples], self.pad),
            "start_indices": [sample["start"] for sample in samples],
        }
