"""What a batch of a table's rows promises; in random order, what the orders of its columns depend on."""

import numpy as np
import pytest
import torch

from fairseq_plugin.datasets.table_rows import TableRows
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.tables.code.rows import FIXED, RANDOM
from fairseq_plugin.tables.walk import Walker
from tests.tables.made_tables import MIXED, TYPES, code_of, mixed_rows

PAD = 1
ROWS = mixed_rows(40)
CODES = {order: code_of(MIXED, ROWS, rare=1, order=order, types=TYPES) for order in (FIXED, RANDOM)}


class Items:
    """An indexed dataset in memory."""

    def __init__(self, items):
        self.items = [torch.tensor(one, dtype=torch.int32) for one in items]
        self.sizes = np.array([len(one) for one in items])

    def __getitem__(self, index):
        return self.items[index]


def dataset(order=RANDOM, shuffle=True, seed=1):
    code = CODES[order]
    marker = code.column_of_marker() if order == RANDOM else None
    items = Items([code.encode(row) for row in ROWS])
    return TableRows(items, Walker(code).ranges, PAD, EOS, shuffle, marker, len(code.order), seed)


def orders(data, epoch, rows=range(40)):
    data.set_epoch(epoch)
    return [data[row]["order"].tolist() for row in rows]


def test_columns_stand_in_another_order_in_every_epoch():
    data = dataset()
    first, second = orders(data, 1), orders(data, 2)
    num_columns = len(CODES[RANDOM].order)
    assert all(sorted(order) == list(range(num_columns)) for order in [*first, *second])
    assert sum(one != other for one, other in zip(first, second)) > 30
    assert len(set(map(tuple, first))) > 20


def test_an_order_depends_on_seed_epoch_and_row_alone():
    data = dataset()
    expected = orders(data, 3)
    assert orders(dataset(), 3, reversed(range(len(ROWS)))) == expected[::-1]
    assert orders(data, 7) != expected and orders(data, 3) == expected
    assert orders(dataset(seed=2), 3) != expected


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_a_row_reads_the_same_whatever_the_batch(size):
    data = dataset()
    data.set_epoch(5)
    batches = [data.collater([data[row] for row in range(40)[at : at + size]]) for at in range(0, 40, size)]
    alone = [data.collater([data[row]]) for row in range(40)]
    rows = [(batch, row) for batch in batches for row in range(len(batch["id"]))]
    for (batch, row), own in zip(rows, alone):
        length = int(batch["net_input"]["src_lengths"][row])
        assert own["target"].shape == (1, length)
        for key in ("target", "columns"):
            assert batch[key][row, :length].tolist() == own[key][0].tolist()
        assert (
            batch["net_input"]["src_tokens"][row, :length].tolist()
            == own["net_input"]["src_tokens"][0].tolist()
        )
        assert batch["allowed"][:, row, :length].tolist() == own["allowed"][:, 0].tolist()
        assert (batch["target"][row, length:] == PAD).all()


@pytest.mark.parametrize("order", [FIXED, RANDOM])
def test_a_row_is_the_cells_of_the_table_in_any_order_of_columns(order):
    data, code = dataset(order), CODES[order]
    data.set_epoch(4)
    for number, row in enumerate(ROWS):
        tokens = data[number]["tokens"].tolist()
        assert tokens[-1] == EOS
        found = code.decode(tokens)
        assert found == [None if code.schema.columns[at].type in ("key", "drop") else cell
                         for at, cell in enumerate(row)]  # fmt: skip


def test_validation_reads_the_same_orders_every_time():
    data = dataset(shuffle=False)
    assert orders(data, 1) == orders(data, 9)


def test_rows_are_shuffled_by_the_seed_that_is_set():
    data = dataset()
    np.random.seed(3)
    first = data.ordered_indices()
    np.random.seed(3)
    assert first.tolist() == data.ordered_indices().tolist() != list(range(40))
    assert sorted(first.tolist()) == list(range(40))
    assert dataset(shuffle=False).ordered_indices().tolist() == list(range(40))
