"""fairseq's ``MMapIndexedDataset`` without fairseq: a writer that needs no more memory than it is given at
once, and a reader that does not trust its files.

``SPLIT.idx`` is: magic (9 bytes), version (8), type code (1), number of items N (8), N sizes (int32, tokens),
N pointers (int64, bytes). ``SPLIT.bin`` holds the items end to end.
"""

import os
import struct
from array import array
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError

MAGIC = b"MMIDIDX\x00\x00"
HEADER = struct.Struct("<9sQBQ")
DTYPES: dict[int, type[np.integer]] = {
    4: np.int32,
    5: np.int64,
    8: np.uint16,
    9: np.uint32,
}  # fairseq's codes
UINT16_VOCABULARY = 65_500  # fairseq's own limit


class ItemWriter:
    """Writes ``PREFIX.bin`` and ``PREFIX.idx``, the same bytes as fairseq's builder.

    Use as a context manager; the index is written on a clean exit. Meant for folders that are renamed into
    their place once whole: the files themselves grow in place.
    """

    def __init__(self, prefix: str | os.PathLike[str], num_symbols: int) -> None:
        """
        Args:
            prefix: path without ending, such as ``folder / "train"``.
            num_symbols: number of dictionary entries; decides the integer type as fairseq does.
        """
        self._prefix = str(prefix)
        self._code = 8 if num_symbols < UINT16_VOCABULARY else 9
        self.sizes = array("i")

    def __enter__(self) -> "ItemWriter":
        self._stream = open(f"{self._prefix}.bin", "wb")
        return self

    def add(self, tokens: NDArray[np.int64], sizes: Iterable[int]) -> None:
        """Append items.

        Args:
            tokens: the dictionary indices of the items end to end.
            sizes: tokens of each item; they sum to ``len(tokens)``.
        """
        self._stream.write(tokens.astype(DTYPES[self._code]).tobytes())
        self.sizes.extend(sizes)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()
        if kind is None:
            write_index(f"{self._prefix}.idx", np.frombuffer(self.sizes, dtype=np.int32), self._code)


def write_index(path: str, sizes: NDArray[np.int32], code: int) -> None:
    """``.idx`` of items with these sizes (tokens) and type code."""
    pointers = (np.cumsum(sizes, dtype=np.int64) - sizes) * np.dtype(DTYPES[code]).itemsize
    with open(path, "wb") as stream:
        stream.write(HEADER.pack(MAGIC, 1, code, len(sizes)))
        stream.write(sizes.tobytes())
        stream.write(pointers.tobytes())


def read_index(path: str | os.PathLike[str]) -> tuple[NDArray[np.int32], type[np.integer]]:
    """:func:`parse_index` of a file."""
    size_of(path)  # says that it is missing
    return parse_index(Path(path), Path(path).read_bytes())


def parse_index(path: Path, content: bytes) -> tuple[NDArray[np.int32], type[np.integer]]:
    """Sizes (int32 array, tokens) and integer type of an ``.idx``, its structure checked.

    Args:
        path: for messages.
        content: the file's bytes.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    if len(content) < HEADER.size:
        raise UserError(f"{path} is cut off: {len(content)} bytes; prepare the data again")
    magic, version, code, num_items = HEADER.unpack_from(content)
    if magic != MAGIC or version != 1 or code not in DTYPES:
        raise UserError(f"{path} is not an index of fairseq's mmap format; prepare the data again")
    expected = HEADER.size + num_items * 12
    if len(content) != expected:
        raise UserError(
            f"{path} is damaged: {len(content)} bytes where {expected} were written; prepare the data again"
        )
    sizes = np.frombuffer(content, dtype=np.int32, count=num_items, offset=HEADER.size)
    pointers = np.frombuffer(content, dtype=np.int64, count=num_items, offset=HEADER.size + num_items * 4)
    ends = np.cumsum(sizes, dtype=np.int64) * np.dtype(DTYPES[code]).itemsize
    if (sizes < 1).any() or pointers[:1].any() or (pointers[1:] != ends[:-1]).any():
        raise UserError(f"{path} is damaged: its sizes and pointers disagree; prepare the data again")
    return sizes, DTYPES[code]


def size_of(path: str | os.PathLike[str]) -> int:
    """Bytes of a file; UserError when it cannot be read."""
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; prepare the data again") from error
