"""Rows of a table as a fairseq dataset, with the symbols that each position allows.

Legend: B rows of a batch, T positions. The model reads ``</s> + row[:-1]`` and predicts ``row``.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from fairseq.data import data_utils
from numpy.typing import NDArray

from fairseq_plugin.datasets.labelled_examples import IndexedTokens
from fairseq_plugin.datasets.whole_batches import Batch, Example, WholeBatches


class Ranges(Protocol):
    """int64 ``(B, T)`` each: the allowed symbols of each position, and the column it belongs to."""

    @property
    def low_BT(self) -> torch.Tensor: ...

    @property
    def count_BT(self) -> torch.Tensor: ...

    @property
    def column_BT(self) -> torch.Tensor: ...


# From target_BT and the columns' order of each row (None: the code's) to what each position allows.
RangesOf = Callable[[torch.Tensor, torch.Tensor | None], Ranges]


class TableRows(WholeBatches):
    """Rows of one split.

    Args:
        rows: int tensors, each a row's symbols and ``</s>``.
        ranges_of: what the positions of rows allow.
        pad: index of ``<pad>``.
        eos: index of ``</s>``.
        shuffle: in random order, by the (seed, epoch) that fairseq has set.
        column_of_marker: where columns are put in another order in every epoch, the column that begins with a
            symbol; -1 for symbols with which none begins.
        num_columns: of the code.
        seed: of the columns' orders.
    """

    def __init__(
        self,
        rows: IndexedTokens,
        ranges_of: RangesOf,
        pad: int,
        eos: int,
        shuffle: bool = False,
        column_of_marker: NDArray[np.int64] | None = None,
        num_columns: int = 0,
        seed: int = 1,
    ) -> None:
        super().__init__()
        self.rows, self.ranges_of, self.pad, self.eos = rows, ranges_of, pad, eos
        self.shuffle, self.column_of_marker, self.num_columns = shuffle, column_of_marker, num_columns
        self.sizes = np.asarray(rows.sizes, dtype=np.int64)
        self.seed, self.epoch = seed, 1

    def set_epoch(self, epoch: int) -> None:
        """fairseq's hook: orders of columns depend on (seed, epoch, row)."""
        self.epoch = epoch if self.shuffle else 1  # validation reads the same orders every time

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Example:
        tokens = self.rows[index].long()
        if self.column_of_marker is None:
            return {"id": index, "tokens": tokens, "order": None}
        random = np.random.default_rng([self.seed, self.epoch, index])
        order = random.permutation(self.num_columns)
        marked_T = self.column_of_marker[tokens[:-1].numpy()]
        # The column of the last marker so far.
        begin_T = np.maximum.accumulate(np.where(marked_T >= 0, np.arange(len(marked_T)), 0))
        column_T = marked_T[begin_T]
        turn_T = np.argsort(order)[column_T]
        sorted_T = np.argsort(turn_T, kind="stable")
        tokens = torch.cat([tokens[:-1][torch.as_tensor(sorted_T)], tokens[-1:]])
        return {"id": index, "tokens": tokens, "order": torch.as_tensor(order)}

    def ordered_indices(self) -> NDArray[np.int64]:
        """Shuffled, or in the order of the file: rows are of about the same length."""
        return np.random.permutation(len(self)) if self.shuffle else np.arange(len(self))

    def collater(self, samples: Sequence[Example]) -> Batch:
        """Pad rows on the right into one batch.

        Returns:
            The batch of fairseq's criterions and scorers; besides, ``allowed`` ``(2, B, T)`` (the first
            allowed symbol of each position and how many there are) and ``columns`` ``(B, T)``.
        """
        if not samples:
            return {}
        tokens = [sample["tokens"] for sample in samples]
        target_BT = data_utils.collate_tokens(tokens, self.pad)
        lengths_B = torch.tensor([len(one) for one in tokens])
        src_tokens_BT = target_BT.roll(1, dims=1)
        src_tokens_BT[:, 0] = self.eos
        # roll brings the end token in as an input of the padded rows: those positions are padding.
        src_tokens_BT[torch.arange(target_BT.shape[1]) >= lengths_B.unsqueeze(1)] = self.pad
        orders = [sample["order"] for sample in samples]
        order_BC = None if orders[0] is None else torch.stack(orders)
        ranges = self.ranges_of(target_BT, order_BC)
        return {
            "id": torch.tensor([sample["id"] for sample in samples]),
            "nsentences": len(samples),
            "ntokens": int(lengths_B.sum()),
            "net_input": {"src_tokens": src_tokens_BT, "src_lengths": lengths_B},
            "target": target_BT,
            "allowed": torch.stack([ranges.low_BT, ranges.count_BT]),
            "columns": ranges.column_BT,
            "start_indices": [0] * len(samples),
        }
