"""Which checkpoint a killed training goes on from."""

import fractions
import os

import pytest
import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.checkpoints import go_on_from, is_whole, read_whole


def write(path, second):
    """A whole checkpoint, last changed at ``second``."""
    torch.save({"model": {"weight": torch.arange(100.0)}}, path)
    os.utime(path, (second, second))
    return path


def tear(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def test_an_undisturbed_folder_leaves_the_choice_to_fairseq(tmp_path):
    assert go_on_from(tmp_path) is None
    write(tmp_path / "checkpoint_1_7.pt", 1000)
    write(tmp_path / "checkpoint_last.pt", 1001)
    assert go_on_from(tmp_path) is None


def test_a_torn_or_missing_last_checkpoint_gives_way_to_the_newest_whole_one(tmp_path):
    write(tmp_path / "checkpoint_1_7.pt", 1000)
    newest = write(tmp_path / "checkpoint_2_14.pt", 1002)
    assert go_on_from(tmp_path) == newest  # killed before the last one was written
    last = write(tmp_path / "checkpoint_last.pt", 1003)
    tear(last)
    assert not is_whole(last) and go_on_from(tmp_path) == newest
    tear(newest)
    assert go_on_from(tmp_path) == tmp_path / "checkpoint_1_7.pt"


def test_a_checkpoint_with_more_than_tensors_is_refused_in_one_line(tmp_path):
    path = write(tmp_path / "ours.pt", 1000)
    assert read_whole(path)["model"]["weight"].sum() == 4950
    torch.save({"model": {}, "cfg": fractions.Fraction(1, 3)}, tmp_path / "foreign.pt")
    with pytest.raises(UserError, match="foreign.pt is no checkpoint of ours"):
        read_whole(tmp_path / "foreign.pt")
