"""fairseq's ``MMapIndexedDataset`` without fairseq: a writer that needs no more memory than it is given at
once, and a reader that does not trust its files.

``SPLIT.idx`` is: magic (9 bytes), version (8), type code (1), number of items N (8), N sizes (int32, tokens),
N pointers (int64, bytes). ``SPLIT.bin`` holds the items end to end.
"""

import struct
from array import array
from pathlib import Path

import numpy as np

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256

MAGIC = b"MMIDIDX\x00\x00"
HEADER = struct.Struct("<9sQBQ")
DTYPES = {4: np.int32, 5: np.int64, 8: np.uint16, 9: np.uint32}  # fairseq's codes
UINT16_VOCABULARY = 65_500  # fairseq's own limit


class ItemWriter:
    """Writes ``PREFIX.bin`` and ``PREFIX.idx``, the same bytes as fairseq's builder.

    Use as a context manager; the index is written on a clean exit. Meant for folders that are renamed into
    their place once whole: the files themselves grow where they stand.
    """

    def __init__(self, prefix, vocabulary):
        """
        Args:
            prefix: path without ending, such as ``folder / "train"``.
            vocabulary: number of dictionary entries; decides the integer type as fairseq does.
        """
        self._prefix = str(prefix)
        self._code = 8 if vocabulary < UINT16_VOCABULARY else 9
        self.sizes = array("i")

    def __enter__(self):
        self._stream = open(f"{self._prefix}.bin", "wb")
        return self

    def add(self, tokens, sizes):
        """Append items.

        Args:
            tokens: int64 array, the dictionary indices of the items end to end.
            sizes: tokens of each item, a sequence of ints that sums to ``len(tokens)``.
        """
        self._stream.write(tokens.astype(DTYPES[self._code]).tobytes())
        self.sizes.extend(sizes)

    def __exit__(self, kind, error, traceback):
        self._stream.close()
        if kind is None:
            write_index(f"{self._prefix}.idx", np.frombuffer(self.sizes, dtype=np.int32), self._code)


def write_index(path, sizes, code):
    """``.idx`` of items with these sizes (int32 array, tokens) and type code."""
    pointers = (np.cumsum(sizes, dtype=np.int64) - sizes) * np.dtype(DTYPES[code]).itemsize
    with open(path, "wb") as stream:
        stream.write(HEADER.pack(MAGIC, 1, code, len(sizes)))
        stream.write(sizes.tobytes())
        stream.write(pointers.tobytes())


def read_index(path):
    """Sizes (int32, tokens) and integer type of an ``.idx``, its structure checked.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    path = Path(path)
    size = size_of(path)
    content = path.read_bytes()
    if size < HEADER.size:
        raise UserError(f"{path} is cut off: {size} bytes; prepare the data again")
    magic, version, code, rows = HEADER.unpack_from(content)
    if magic != MAGIC or version != 1 or code not in DTYPES:
        raise UserError(f"{path} is not an index of fairseq's mmap format; prepare the data again")
    agree(path, "bytes", size, HEADER.size + rows * 12)
    sizes = np.frombuffer(content, dtype=np.int32, count=rows, offset=HEADER.size)
    pointers = np.frombuffer(content, dtype=np.int64, count=rows, offset=HEADER.size + rows * 4)
    ends = np.cumsum(sizes, dtype=np.int64) * np.dtype(DTYPES[code]).itemsize
    if (sizes < 1).any() or pointers[:1].any() or (pointers[1:] != ends[:-1]).any():
        raise UserError(f"{path} is damaged: its sizes and pointers disagree; prepare the data again")
    return sizes, DTYPES[code]


def size_of(path):
    """Bytes of a file; UserError when it cannot be read."""
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; prepare the data again") from error


def require_prepared(folder, names, digests, what):
    """Refuse files whose SHA-256 is not the one stated: finds any flipped bit.

    Args:
        folder: a prepared folder.
        names: of the files.
        digests: ``{name: sha256}`` of its manifest.
        what: what to prepare again: "data", "text".
    """
    for name in names:
        size_of(folder / name)
        if sha256(folder / name) != digests.get(name):
            raise UserError(
                f"{folder / name} is not the file that was prepared: its SHA-256 differs from the "
                f"manifest's; restore it, or prepare the {what} again"
            )


def agree(path, unit, found, expected):
    """Refuse a file whose content is not what its folder states."""
    if found != expected:
        raise UserError(
            f"{path} is damaged: {found} {unit} where {expected} were written; prepare the data again"
        )
