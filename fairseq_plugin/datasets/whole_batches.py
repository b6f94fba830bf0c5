"""Batches that leave no example out."""

from typing import Any

import numpy as np
from fairseq.data import FairseqDataset
from numpy.typing import NDArray

# fairseq's own form of an example and of a batch; each dataset's docstring names its keys.
Example = dict[str, Any]
Batch = dict[str, Any]


class WholeBatches(FairseqDataset):
    """A dataset whose batches hold every example, and are made anew for every epoch.

    fairseq drops the last batch of an epoch when its size is not a multiple of
    ``--required-batch-size-multiple`` (8 by default): with length-sorted batches always the longest examples,
    in validation and generation too, and a set of fewer than eight examples vanishes altogether.

    Attributes:
        sizes: ``(N,)`` tokens of each example.
    """

    sizes: NDArray[np.int64]

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        """No: batches of epoch e depend on (seed, e) alone.

        Kept across epochs they would be those of the epoch in which the process happened to start, and a
        resumed run would not repeat an undisturbed one.
        """
        return False

    def num_tokens(self, index: int) -> int:
        return int(self.sizes[index])

    def num_tokens_vec(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.sizes[indices]

    def size(self, index: int) -> int:
        return int(self.sizes[index])

    def batch_by_size(self, indices: NDArray[np.int64], **options: Any) -> list[NDArray[np.int64]]:
        """fairseq's batches, and the one that it would drop."""
        batches = list(super().batch_by_size(indices, **options))
        num_batched = sum(map(len, batches))
        if num_batched < len(indices):  # what fairseq dropped was its last batch: within all limits
            batches.append(indices[num_batched:])
        return batches
