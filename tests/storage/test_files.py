"""Files are whole or as they were; what the disk refuses is one line with the path."""

import os
import subprocess
from pathlib import Path

import pytest

from fairseq_plugin.errors import CannotWriteError, UserError, plain_errors
from fairseq_plugin.files import atomic_write, temporary_name
from fairseq_plugin.storage.folders import whole_folder
from fairseq_plugin.storage.journal import Journal
from fairseq_plugin.storage.lock import FolderLock


def test_a_file_is_whole_readable_and_alone(tmp_path):
    with atomic_write(tmp_path / "a") as stream:
        stream.write("é\r\n")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9\r\n" and os.listdir(tmp_path) == ["a"]
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~mask
    with pytest.raises(KeyError), atomic_write(tmp_path / "a", "wb") as stream:
        stream.write(b"half")
        raise KeyError
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9\r\n" and os.listdir(tmp_path) == ["a"]


def test_temporary_files_of_the_dead_are_removed(tmp_path):
    living = temporary_name(tmp_path / "a")
    dead = living.with_name(living.name.replace(f"-{os.getpid()}-", f"-{2**22 + 7}-"))
    living.write_text("")
    dead.write_text("")
    with atomic_write(tmp_path / "a"):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted([living.name, "a"])


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(CannotWriteError, match="cannot write .*no/a: No such file or directory"):
        atomic_write(tmp_path / "no" / "a").__enter__()


def test_errors_about_other_files_pass(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "a"):
        (tmp_path / "b").read_text()
    assert not isinstance(caught.value, UserError) and os.listdir(tmp_path) == []


def test_an_escaping_full_disk_is_one_line():
    with pytest.raises(SystemExit) as caught, plain_errors(), open("/dev/full", "w") as stream:
        stream.write("x")
    assert str(caught.value) == "error: No space left on device"
    with pytest.raises(ZeroDivisionError), plain_errors():
        1 / 0  # noqa: B018
    with pytest.raises(FileNotFoundError), plain_errors():
        Path("/no/such/file").read_text()


def test_a_full_disk_leaves_everything_as_it_was(small_disk):
    with atomic_write(small_disk / "a") as stream:
        stream.write("old")
    with whole_folder(small_disk / "f") as building:
        (building / "b").write_text("old")
    journal = Journal(small_disk / "j", "x", 1, {})
    journal.read()
    journal.append([{"id": 0}])
    before = (small_disk / "j").read_bytes()

    def file():
        with atomic_write(small_disk / "a") as stream:
            stream.write("x" * 100_000)

    def folder():
        with whole_folder(small_disk / "f") as building, open(building / "b", "w") as stream:
            stream.write("x" * 100_000)

    def entries():
        journal.append({"id": number, "text": "x" * 1000} for number in range(100))

    for write, name in ((file, "a"), (folder, "f"), (entries, "j")):
        with pytest.raises(CannotWriteError, match=f"cannot write .*{name}: No space left on device"):
            write()
        assert sorted(os.listdir(small_disk)) == ["a", "f", "j"]
    assert (small_disk / "a").read_text() == (small_disk / "f" / "b").read_text() == "old"
    assert (small_disk / "j").read_bytes() == before
    journal.append([{"id": 1}])
    assert Journal(small_disk / "j", "x", 1, {}).read() == [{"id": 0}, {"id": 1}]


def test_a_read_only_disk_is_one_line(small_disk):
    (small_disk / "a").write_text("old")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for write in (
        lambda: atomic_write(small_disk / "a").__enter__(),
        lambda: whole_folder(small_disk / "f").__enter__(),
        lambda: FolderLock(small_disk / "g").acquire(),
        lambda: Journal(small_disk / "j", "x", 1, {}).read(),
    ):
        with pytest.raises(CannotWriteError, match="cannot write .*: Read-only file system"):
            write()
    assert (small_disk / "a").read_text() == "old"
