"""A torch archive gives exactly what was saved, or one line; nothing in it is run."""

import io
import random
import zipfile
from pathlib import Path

import pytest
import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage import torch_archive
from fairseq_plugin.storage.torch_archive import read_torch_archive


@pytest.fixture(params=["mapped", "copied"])
def way(request, monkeypatch):
    """As on Linux, and as on a system without memory files."""
    if request.param == "copied":
        monkeypatch.setattr(torch_archive, "_can_map", lambda: False)


@pytest.fixture
def saved(tmp_path):
    generator = torch.Generator().manual_seed(1)
    value = {
        "a": torch.randn(30, 20, generator=generator),
        "b": torch.arange(50),
        "c": {"d": [1, "two", None]},
    }
    path = tmp_path / "saved.pt"
    torch.save(value, path)
    return path, value


def equal(first, second):
    return (
        first.keys() == second.keys()
        and torch.equal(first["a"], second["a"])
        and torch.equal(first["b"], second["b"])
        and first["c"] == second["c"]
    )


def test_what_was_saved_comes_back_and_can_be_written_to(saved, way):
    path, value = saved
    found = read_torch_archive(path, "weights file")
    path.unlink()  # it is a copy in memory
    assert equal(found, value)
    found["a"].zero_()
    assert not found["a"].any()


def test_no_flipped_bit_changes_a_number(saved, tmp_path, way):
    """200 flips: refused, or in bytes that carry nothing (the archive's padding and dates)."""
    path, value = saved
    content, refused = path.read_bytes(), 0
    for seed in range(200):
        bit = random.Random(seed).randrange(8 * len(content))
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "damaged.pt").write_bytes(damaged)
        try:
            assert equal(read_torch_archive(tmp_path / "damaged.pt", "weights file"), value), seed
        except UserError as error:
            assert "damaged.pt" in str(error)
            assert "\n" not in str(error)
            refused += 1
    assert refused > 120


def test_a_member_marked_as_a_folder_is_refused(saved, tmp_path):
    """zipfile reads its bytes and finds the checksum right; torch reads none and leaves memory as it is."""
    content = bytearray(saved[0].read_bytes())
    entry = content.rindex(b"PK\1\2", 0, content.rindex(b"saved/data/0"))
    content[entry + 38] ^= 0x10  # the external attributes
    (tmp_path / "marked.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"marked.pt.*saved/data/0 is marked as a folder"):
        read_torch_archive(tmp_path / "marked.pt", "weights file")


@pytest.mark.slow
def test_no_bit_of_an_archives_directory_changes_a_number(tmp_path, way):
    """Every single one of the directory at the end, of which zipfile and torch read different fields."""
    torch.save({"a": torch.arange(4.0)}, tmp_path / "small.pt")
    content = (tmp_path / "small.pt").read_bytes()
    for bit in range(8 * content.index(b"PK\1\2"), 8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "damaged.pt").write_bytes(damaged)
        try:
            found = read_torch_archive(tmp_path / "damaged.pt", "weights file")
        except UserError:
            continue
        assert found.keys() == {"a"} and found["a"].tolist() == [0, 1, 2, 3], bit


def test_no_cut_file_is_read(saved, tmp_path):
    content = saved[0].read_bytes()
    for length in [*range(0, 8), *range(8, len(content), 97), len(content) - 1]:
        (tmp_path / "cut.pt").write_bytes(content[:length])
        with pytest.raises(UserError, match=r"cut.pt.*(damaged or cut short|ZIP format)"):
            read_torch_archive(tmp_path / "cut.pt", "weights file")


def test_the_old_format_is_refused_in_words(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(UserError, match=r"old.pt is not a checkpoint in torch's ZIP format.*save it again"):
        read_torch_archive(tmp_path / "old.pt", "checkpoint")


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_code_in_an_archive_is_not_run(tmp_path, way):
    canary = tmp_path / "ran"
    torch.save({"a": Canary(canary)}, tmp_path / "hostile.pt")
    with pytest.raises(UserError, match=r"hostile.pt is not a checkpoint that loads without running code"):
        read_torch_archive(tmp_path / "hostile.pt", "checkpoint")
    assert not canary.exists()
    torch.load(tmp_path / "hostile.pt", weights_only=False)
    assert canary.exists()  # the canary works


def test_compressed_members_are_refused(saved, tmp_path):
    """zipfile would unpack them and find the checksums right; torch would map the packed bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(saved[0]) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    (tmp_path / "packed.pt").write_bytes(packed.getvalue())
    with pytest.raises(UserError, match=r"packed.pt.*compressed"):
        read_torch_archive(tmp_path / "packed.pt", "checkpoint")


@pytest.mark.parametrize("name", ["absent.pt", "."])
def test_a_missing_file_is_one_line(tmp_path, name):
    with pytest.raises(UserError, match=r"cannot read .*: there is no such file; name another"):
        read_torch_archive(tmp_path / name, "checkpoint")
