"""Rows in fairseq's binary format: writing, exact reading, and checking before anyone trusts them.

Beside ``SPLIT.bin`` and ``SPLIT.idx`` (see :mod:`fairseq_plugin.storage.items`) stand each row's label and
source line. fairseq trusts its files blindly; :func:`check_split` does not.
"""

from pathlib import Path

import numpy as np

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.storage.dictionary import DICTIONARY, EOS, NUM_SPECIALS, dictionary_ids, index_of_id
from fairseq_plugin.storage.folders import whole_folder
from fairseq_plugin.storage.items import ItemWriter, agree, read_index, require_prepared, size_of
from fairseq_plugin.text.codec import load_codec

SUFFIXES = (".bin", ".idx", ".labels.npy", ".rows.npy")
# What numpy raises on a damaged header, as seen with flipped bits and cut files.
DAMAGED = (EOFError, LookupError, MemoryError, OSError, OverflowError, SyntaxError, TypeError, ValueError)


def write_split(folder, split, items, labels, lines, vocabulary):
    """Write one split: ``.bin``, ``.idx``, ``.labels.npy`` and ``.rows.npy``.

    Args:
        folder: an existing folder.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        items: list of int64 arrays, each a row's dictionary indices up to and with ``</s>``.
        labels: label index of each row.
        lines: source line of each row.
        vocabulary: number of dictionary entries; decides the integer type.
    """
    write_items(folder, split, items, vocabulary)
    for name, values, dtype in ((".labels.npy", labels, np.int32), (".rows.npy", lines, np.int64)):
        with atomic_write(Path(folder) / f"{split}{name}", "wb") as stream:
            np.save(stream, np.asarray(values, dtype=dtype), allow_pickle=False)


def write_items(folder, split, items, vocabulary):
    """Write ``.bin`` and ``.idx``, as fairseq's own builder would."""
    if not items:
        raise UserError(f"the {split} split is empty: no row is left to write to {folder}")
    with ItemWriter(Path(folder) / split, vocabulary) as writer:
        for item in items:
            writer.add(item, [len(item)])


def check_split(folder, split, deep=False):
    """Refuse a split whose files disagree with each other or with the manifest.

    Args:
        folder: a prepared folder.
        split: the split.
        deep: also compare every file of the split, and ``dict.txt``, with its SHA-256: finds any
            flipped bit.

    Returns:
        The folder's :class:`Manifest`.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    folder = Path(folder)
    manifest = Manifest.load(folder)
    if split not in manifest.splits:
        known = ", ".join(manifest.splits)
        raise UserError(f"{folder} has no split {split!r}; it has {known}")
    if deep:  # first, for it names the damaged file whatever the damage
        names = (DICTIONARY, *(split + suffix for suffix in SUFFIXES))
        require_prepared(folder, names, manifest.files, "data")
    stated = manifest.splits[split]
    sizes, dtype = read_index(folder / f"{split}.idx")
    agree(folder / f"{split}.idx", "rows", len(sizes), stated["rows"])
    agree(folder / f"{split}.idx", "tokens", int(sizes.sum(dtype=np.int64)), stated["tokens"])
    expected = int(sizes.sum(dtype=np.int64)) * np.dtype(dtype).itemsize
    agree(folder / f"{split}.bin", "bytes", size_of(folder / f"{split}.bin"), expected)
    for name in (".labels.npy", ".rows.npy"):
        agree(folder / f"{split}{name}", "rows", len(load_array(folder / f"{split}{name}")), stated["rows"])
    return manifest


def read_items(folder, split):
    """The rows of a checked split as arrays of dictionary indices.

    Returns:
        A list of int64 arrays; ``</s>`` is the last entry of each.
    """
    check_split(folder, split)
    sizes, dtype = read_index(Path(folder) / f"{split}.idx")
    tokens = np.fromfile(Path(folder) / f"{split}.bin", dtype=dtype).astype(np.int64)
    return np.split(tokens, np.cumsum(sizes[:-1], dtype=np.int64))


def read_labels(folder, split):
    """Label index of each row, an int32 array."""
    return load_array(Path(folder) / f"{split}.labels.npy")


def read_texts(folder, split):
    """Label and text of each row, exactly as prepared.

    Returns:
        A list of ``(label index, text)`` in the order of the split.

    Raises:
        UserError: the split is damaged, or a row does not begin with its label's prompt.
    """
    manifest, codec = Manifest.load(folder), load_codec(folder)
    ids = np.asarray(dictionary_ids(codec))
    prompts = [np.asarray(label.prompt) for label in manifest.labels]
    labels, items = read_labels(folder, split), read_items(folder, split)
    rows = []
    for number, (label, item) in enumerate(zip(labels, items, strict=True)):
        known = 0 <= label < len(prompts)
        length = len(prompts[label]) if known else 0
        body = item[length:-1] - NUM_SPECIALS
        fits = known and np.array_equal(item[:length], prompts[label]) and item[-1:] == EOS
        if not fits or (body < 0).any() or (body >= len(ids)).any():
            raise UserError(
                f"{Path(folder) / split}.bin row {number} is damaged: it is not its label's prompt, a "
                "sentence and </s>; restore it, or prepare the data again"
            )
        rows.append((int(label), codec.decode(ids[body].tolist())))
    return rows


def write_label_folders(destination, rows, folder):
    """Write ``input0/`` and ``label/``, as fairseq's ``sentence_prediction`` task reads them.

    Args:
        destination: the folder to make or replace.
        rows: ``{split: [(label index, text), ...]}``.
        folder: a prepared folder: its tokenizer, dictionary and labels are used.
    """
    manifest, codec = Manifest.load(folder), load_codec(folder)
    indices = index_of_id(codec)
    names = label_symbols([label.name for label in manifest.labels])
    with whole_folder(destination) as building:
        (building / "input0").mkdir()
        (building / "label").mkdir()
        for split, pairs in rows.items():
            encoded = codec.encode_batch([text for _, text in pairs])
            items = [np.append(indices[ids], EOS) for ids in encoded]
            write_items(building / "input0", split, items, manifest.vocabulary)
            labels = [np.array([NUM_SPECIALS + label, EOS]) for label, _ in pairs]
            write_items(building / "label", split, labels, NUM_SPECIALS + len(names))
        with atomic_write(building / "input0" / DICTIONARY, "wb") as stream:
            stream.write((Path(folder) / DICTIONARY).read_bytes())
        with atomic_write(building / "label" / DICTIONARY) as stream:
            for index, name in enumerate(names):
                count = sum(label == index for label, _ in rows.get("train", ()))
                stream.write(f"{name} {count}\n")


def label_symbols(names):
    """Names usable in a ``dict.txt``, which splits at whitespace; else positions, for all."""
    taken = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"}
    plain = all(name.split() == [name] and name not in taken for name in names)
    return list(names) if plain else [f"label{index}" for index in range(len(names))]


def load_array(path):
    """An array of integers saved by us; never unpickles."""
    try:
        values = np.load(path, allow_pickle=False)
    except DAMAGED as error:
        raise UserError(f"{path} is missing or damaged ({error}); prepare the data again") from error
    if values.ndim != 1 or values.dtype.kind != "i":
        raise UserError(f"{path} is damaged: expected one row of integers; prepare the data again")
    return values
