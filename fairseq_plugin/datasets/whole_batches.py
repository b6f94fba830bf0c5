"""Batches that leave no row out."""

from fairseq.data import FairseqDataset


class WholeBatches(FairseqDataset):
    """A dataset whose batches hold every row, and are made anew for every epoch; ``sizes`` holds tokens per row.

    fairseq drops the last batch of an epoch when its size is no multiple of
    ``--required-batch-size-multiple`` (8 by default): with length-sorted batches always the longest rows,
    in validation and generation too, and a set of fewer than eight rows vanishes altogether.
    """

    # Batches of epoch e depend on (seed, e) alone. Kept across epochs they would be those of the epoch in
    # which the process happened to start, and a resumed run would not repeat an undisturbed one.
    can_reuse_epoch_itr_across_epochs = False

    def num_tokens(self, index):
        return int(self.sizes[index])

    def num_tokens_vec(self, indices):
        return self.sizes[indices]

    def size(self, index):
        return int(self.sizes[index])

    def batch_by_size(self, indices, **options):
        batches = list(super().batch_by_size(indices, **options))
        num_batched = sum(map(len, batches))
        if num_batched < len(indices):  # what fairseq dropped was its last batch: within all limits
            batches.append(indices[num_batched:])
        return batches
