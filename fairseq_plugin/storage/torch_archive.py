"""The one reader of ``torch.save`` files: read once, every checksum verified, nothing in them executed.

``torch.load`` does not look at the archive's checksums: a flipped bit becomes a wrong number. It also reads
the file piece by piece, so a file that is rewritten meanwhile gives a mixture. Here the bytes are copied once
into memory, where nobody can change them; they are verified there, and the tensors are loaded from that copy.
"""

import io
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch

from fairseq_plugin.errors import UserError

# What damaged bytes make of zipfile: any of these.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, OSError,
)  # fmt: skip


def read_torch_archive(path: str | os.PathLike[str], what: str, mend: str = "restore it") -> object:
    """Read a file of ``torch.save``: its tensors on the CPU, and numbers, texts and their containers.

    Args:
        path: the file, a ZIP archive as torch writes it since 1.6.
        what: it should be, for messages: "checkpoint", "weights file".
        mend: what to do about a damaged file, for messages: "fetch it again".

    Raises:
        UserError: the file is missing, damaged, cut short, in the old format, or holds anything that would
            need code to be run; names the file, what is wrong and the mend.
    """
    with in_memory(path) as stream:
        check_archive(stream, path, what, mend)
        return load_archive(stream, path, what)


@contextmanager
def in_memory(path: str | os.PathLike[str]) -> Iterator[io.BufferedRandom | io.BytesIO]:
    """A copy of a file in memory, open for reading at its start; freed after the block and its last tensor.

    Raises:
        UserError: the file cannot be read.
    """
    # On Linux a file without a name, which torch can map: the bytes are in memory once, not twice.
    with open(os.memfd_create("torch"), "w+b") if _can_map() else io.BytesIO() as copy:
        try:
            if not Path(path).is_file():  # a device or a pipe might have no end
                raise UserError(f"cannot read {path}: there is no such file; name another")
            with open(path, "rb") as stream:
                shutil.copyfileobj(stream, copy, 1 << 24)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}; name another file") from error
        copy.seek(0)
        yield copy


def name_in_memory(stream: BinaryIO) -> str | None:
    """The name under which this process can map the copy of :func:`in_memory`; None where there is none."""
    return None if isinstance(stream, io.BytesIO) else f"/proc/self/fd/{stream.fileno()}"


def is_archive(stream: BinaryIO) -> bool:
    """Whether a file of ``torch.save`` is a ZIP archive, maybe a damaged one, not in torch's old format."""
    start = stream.read(4)
    is_zip = start in (b"", b"PK\x03\x04") or zipfile.is_zipfile(stream)
    stream.seek(0)
    return is_zip


def check_archive(
    stream: BinaryIO, path: str | os.PathLike[str], what: str, mend: str = "restore it"
) -> None:
    """Verify the CRC32 of every member of a torch archive, in bounded memory; unpickles nothing.

    Raises:
        UserError: see :func:`read_torch_archive`.
    """
    if not is_archive(stream):
        raise UserError(
            f"{path} is not a {what} in torch's ZIP format (torch before 1.6 wrote plain pickles, which have "
            "no checksums and are not read here); load it where you trust it, and save it again"
        )
    try:
        with zipfile.ZipFile(stream) as archive:
            fault = _fault(archive)
    except _DAMAGED as error:
        fault = f"{error}" or "it ends early"
    if fault:
        raise UserError(f"{path}: this {what} is damaged or cut short ({fault}); {mend}")


def load_archive(stream: BinaryIO, path: str | os.PathLike[str], what: str) -> object:
    """Load a torch archive that :func:`check_archive` has passed, or a file in torch's old format.

    Raises:
        UserError: it holds more than tensors, numbers, texts and their containers.
    """
    stream.seek(0)
    try:
        name = name_in_memory(stream)
        if name is not None and is_archive(stream):
            return torch.load(name, map_location="cpu", weights_only=True, mmap=True)
        return torch.load(stream, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # the unpickler's own error has no public name that is not pickle's
        reason = str(error).strip().split("\n")[0][:160]
        raise UserError(
            f"{path} is not a {what} that loads without running code: it holds more than tensors, numbers, "
            f"texts and their containers, or torch cannot read it ({reason}); nothing in it was run"
        ) from error


def _fault(archive: zipfile.ZipFile) -> str | None:
    """What is wrong with an archive, in words; None: every checksum holds."""
    members = archive.infolist()
    if len({member.filename for member in members}) != len(members):
        return "it holds two members of one name"
    packed = [member for member in members if member.compress_type != zipfile.ZIP_STORED]
    if packed:  # torch never compresses, and would map the compressed bytes as numbers
        return f"{packed[0].filename} is compressed, which torch.save never does"
    folders = [member for member in members if member.external_attr & 0x10 or member.is_dir()]
    if folders:  # torch would take it for empty, and leave its tensor's memory as it happens to be
        return f"{folders[0].filename} is marked as a folder"
    bad = archive.testzip()
    return f"the checksum of {bad} fails" if bad else None


def _can_map() -> bool:
    return hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir()
