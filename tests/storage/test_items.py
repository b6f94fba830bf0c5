"""Our item files are fairseq's, byte for byte."""

import numpy as np
import pytest
import torch

from fairseq_plugin.storage.items import ItemWriter, read_index


@pytest.mark.parametrize("vocabulary", [300, 65_499, 65_500, 100_000])
def test_the_files_are_those_of_fairseqs_builder(tmp_path, vocabulary):
    from fairseq.data.indexed_dataset import MMapIndexedDataset, make_builder

    generator = np.random.default_rng(1)
    items = [generator.integers(0, vocabulary, size) for size in (1, 7, 2, 5000, 1)]
    builder = make_builder(str(tmp_path / "theirs.bin"), "mmap", vocabulary)
    for item in items:
        builder.add_item(torch.from_numpy(item))
    builder.finalize(str(tmp_path / "theirs.idx"))
    with ItemWriter(tmp_path / "ours", vocabulary) as writer:
        writer.add(np.concatenate(items[:3]), [1, 7, 2])
        writer.add(np.concatenate(items[3:])[:100], [])  # tokens may come before their item is complete
        writer.add(np.concatenate(items[3:])[100:], [5000, 1])
    for end in (".bin", ".idx"):
        assert (tmp_path / f"ours{end}").read_bytes() == (tmp_path / f"theirs{end}").read_bytes()
    dataset = MMapIndexedDataset(str(tmp_path / "ours"))
    assert [item.tolist() for item in dataset] == [item.tolist() for item in items]
    assert read_index(tmp_path / "ours.idx")[0].tolist() == [1, 7, 2, 5000, 1]


def test_no_index_is_written_after_an_error(tmp_path):
    with pytest.raises(KeyError), ItemWriter(tmp_path / "ours", 300) as writer:
        writer.add(np.arange(3), [3])
        raise KeyError
    assert not (tmp_path / "ours.idx").exists()
