"""Examples in fairseq's binary format: writing, exact reading, and checking before anyone trusts them.

Beside ``SPLIT.bin`` and ``SPLIT.idx`` (see :mod:`fairseq_plugin.storage.items`) are each example's label and
source line. fairseq trusts its files blindly; :func:`check_split` does not, and what is read here is hashed.
"""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError  # numpy reads old headers by Python's own tokenizer

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.other_columns import SUFFIX as CELLS
from fairseq_plugin.labelled.other_columns import parse_cells
from fairseq_plugin.labelled.source import Row
from fairseq_plugin.storage.dictionary import EOS, NUM_SPECIALS, dictionary_ids
from fairseq_plugin.storage.items import ItemWriter
from fairseq_plugin.storage.splits import SplitFiles, agree, read_verified
from fairseq_plugin.text.codec import load_codec

LABELS, ROWS = ".labels.npy", ".rows.npy"
SUFFIXES = (".bin", ".idx", LABELS, ROWS)
# What numpy raises on a damaged header, as seen with flipped bits and cut files.
DAMAGED = (
    EOFError, LookupError, MemoryError, OSError, OverflowError, SyntaxError, TokenError, TypeError,
    ValueError,
)  # fmt: skip


def write_split(
    folder: str | os.PathLike[str],
    split: str,
    items: Sequence[NDArray[np.int64]],
    labels: ArrayLike,
    lines: ArrayLike,
    num_symbols: int,
) -> None:
    """Write one split: ``.bin``, ``.idx``, ``.labels.npy`` and ``.rows.npy``.

    Args:
        folder: an existing folder.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        items: each example's dictionary indices up to and with ``</s>``.
        labels: label index of each example.
        lines: source line of each example.
        num_symbols: number of dictionary entries; decides the integer type.
    """
    write_items(folder, split, items, num_symbols)
    for name, values, dtype in ((LABELS, labels, np.int32), (ROWS, lines, np.int64)):
        with atomic_write(Path(folder) / f"{split}{name}", "wb") as stream:
            np.save(stream, np.asarray(values, dtype=dtype), allow_pickle=False)


def write_items(
    folder: str | os.PathLike[str], split: str, items: Sequence[NDArray[np.int64]], num_symbols: int
) -> None:
    """Write ``.bin`` and ``.idx``, as fairseq's own builder would."""
    if not items:
        raise UserError(f"the {split} split is empty: no row is left to write to {folder}")
    with ItemWriter(Path(folder) / split, num_symbols) as writer:
        for item in items:
            writer.add(item, [len(item)])


def check_split(folder: str | os.PathLike[str], split: str, deep: bool = False) -> Manifest:
    """Refuse a split whose files disagree with each other or with the manifest.

    Args:
        folder: a prepared folder.
        split: the split.
        deep: also compare every file of the split, and ``dict.txt``, with its SHA-256: finds any
            flipped bit.

    Returns:
        The folder's manifest.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    files = _open(folder, split)
    if deep:  # first, for it names the damaged file whatever the damage
        files.require_verified(SUFFIXES)
    index, stated = files.check(), files.manifest.splits[split]
    agree(files.folder / f"{split}.idx", "rows", len(index.sizes), stated.rows)
    for name in (LABELS, ROWS):
        path = files.folder / f"{split}{name}"
        agree(path, "rows", len(load_array(path)), stated.rows)
    manifest = files.manifest
    assert isinstance(manifest, Manifest)
    return manifest


def read_items(folder: str | os.PathLike[str], split: str) -> list[NDArray[np.int64]]:
    """The examples of a split, each its indices with ``</s>`` at the end; what is read is hashed."""
    check_split(folder, split)
    index, tokens = _open(folder, split).read()
    return np.split(tokens, np.cumsum(index.sizes[:-1], dtype=np.int64))


def read_labels(folder: str | os.PathLike[str], split: str) -> NDArray[np.int32]:
    """Label index of each example; what is read is hashed."""
    path = Path(folder) / f"{split}{LABELS}"
    return parse_array(_open(folder, split).read_verified(LABELS), path).astype(np.int32)


def read_texts(folder: str | os.PathLike[str], split: str) -> list[tuple[int, str]]:
    """Label index and text of each example in order, exactly as prepared; what is read is hashed.

    Raises:
        UserError: the split is damaged, or an example does not begin with its label's prompt.
    """
    manifest, codec = Manifest.load(folder), load_codec(folder)
    ids = np.asarray(dictionary_ids(codec))
    prompts = [np.asarray(label.prompt) for label in manifest.labels]
    labels, items = read_labels(folder, split), read_items(folder, split)
    texts = []
    for number, (label, item) in enumerate(zip(labels, items, strict=True)):
        is_known = 0 <= label < len(prompts)
        length = len(prompts[label]) if is_known else 0
        body = item[length:-1] - NUM_SPECIALS
        fits = is_known and np.array_equal(item[:length], prompts[label]) and item[-1:] == EOS
        if not fits or (body < 0).any() or (body >= len(ids)).any():
            raise UserError(
                f"{Path(folder) / split}.bin row {number} is damaged: it is not its label's prompt, a "
                "sentence and </s>; restore it, or prepare the data again"
            )
        texts.append((int(label), codec.decode(ids[body].tolist())))
    return texts


def read_prepared_rows(folder: str | os.PathLike[str], split: str) -> list[Row]:
    """The rows of a split with the name of their label, their source line and the source's other columns.

    Folders prepared before other columns were kept give rows without ``cells``; see
    :func:`keeps_other_columns`.
    """
    files = _open(folder, split)
    manifest = Manifest.load(folder)
    lines = parse_array(files.read_verified(ROWS), files.folder / f"{split}{ROWS}")
    rows = [
        Row(text, manifest.labels[label].name, int(line))
        for (label, text), line in zip(read_texts(folder, split), lines, strict=True)
    ]
    name = f"{split}{CELLS}"
    if name in manifest.files:
        content = read_verified(files.folder, name, manifest.files, files.what)
        cells = parse_cells(content, files.folder / name)
        agree(files.folder / name, "rows", len(cells), len(rows))
        for row, others in zip(rows, cells, strict=True):
            row.cells = others
    return rows


def keeps_other_columns(manifest: Manifest, split: str) -> bool:
    """False when the source has more than two columns and the folder was prepared before they were kept.

    Of a JSONL source the first object's keys count.
    """
    return len(manifest.source.columns) <= 2 or f"{split}{CELLS}" in manifest.files


def load_array(path: str | os.PathLike[str]) -> NDArray[np.signedinteger]:
    """An array of integers saved by us; never unpickles."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path} is missing or damaged ({error}); prepare the data again") from error
    return parse_array(content, path)


def parse_array(content: bytes, path: str | os.PathLike[str]) -> NDArray[np.signedinteger]:
    """:func:`load_array` of bytes; ``path`` for messages."""
    try:
        values = np.load(io.BytesIO(content), allow_pickle=False)
    except DAMAGED as error:
        raise UserError(f"{path} is missing or damaged ({error}); prepare the data again") from error
    if values.ndim != 1 or values.dtype.kind != "i":
        raise UserError(f"{path} is damaged: expected one row of integers; prepare the data again")
    return values


def _open(folder: str | os.PathLike[str], split: str) -> SplitFiles:
    files = SplitFiles(Path(folder), split, Manifest.load(folder), "data")
    files.require_known()
    return files
