"""A prepared text folder, read back: streams of dictionary indices, ids and text, checked before use.

An item of ``SPLIT.bin`` is a document's tokens and ``</s>``; a document of more than ``PIECE`` tokens stands
in several items, only the last of which ends with ``</s>``. Joined, the items are the split's stream.
"""

import itertools
from pathlib import Path

import numpy as np

from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.dictionary import DICTIONARY, EOS, NUM_SPECIALS, id_of_index, index_of_id
from fairseq_plugin.storage.items import agree, read_index, require_prepared, size_of
from fairseq_plugin.text.codec import load_codec

__all__ = [
    "EOS", "PIECE", "check_split", "item_sizes", "load_codec", "read_stream", "read_text", "text_of",
    "to_ids", "to_indices",
]  # fmt: skip

# fairseq copies every item that a sample touches, so a whole book as one item would be copied for each
# sample; and it keeps sizes in 16 bits. Prime, so that samples of --tokens-per-sample N < PIECE begin with a
# piece (where fairseq puts </s> before the sample, and not the token that stands there) only once in N
# pieces.
PIECE = 8191
SUFFIXES = (".bin", ".idx")


def check_split(folder, split, deep=False):
    """Refuse a split whose files disagree with each other or with the manifest.

    Args:
        folder: a prepared text folder.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        deep: also compare the split's files and ``dict.txt`` with their SHA-256: finds any flipped bit.

    Returns:
        The folder's :class:`TextManifest`.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    folder = Path(folder)
    manifest = TextManifest.load(folder)
    if split not in manifest.splits:
        raise UserError(f"{folder} has no split {split!r}; it has {', '.join(manifest.splits)}")
    if deep:  # first, for it names the damaged file whatever the damage
        names = (DICTIONARY, *(split + suffix for suffix in SUFFIXES))
        require_prepared(folder, names, manifest.files, "text")
    sizes, dtype = read_index(folder / f"{split}.idx")
    tokens = int(sizes.sum(dtype=np.int64))
    agree(folder / f"{split}.idx", "tokens", tokens, manifest.splits[split]["tokens"])
    size = size_of(folder / f"{split}.bin")
    agree(folder / f"{split}.bin", "bytes", size, tokens * np.dtype(dtype).itemsize)
    return manifest


def read_stream(folder, split):
    """All documents of a split, one after the other.

    Args:
        folder: a prepared text folder.
        split: ``"train"``, ``"valid"`` or ``"test"``.

    Returns:
        int64 array ``(tokens,)`` of dictionary indices (id + 4), ``</s>`` = 2 after each document and none
        before the first.

    Raises:
        UserError: see :func:`check_split`; or an index that the dictionary does not have.
    """
    manifest = check_split(folder, split)
    path = Path(folder) / f"{split}.bin"
    _, dtype = read_index(path.with_suffix(".idx"))
    stream = np.fromfile(path, dtype=dtype).astype(np.int64)
    strange = (stream >= manifest.vocabulary) | ((stream < NUM_SPECIALS) & (stream != EOS))
    if strange.any():
        where = int(strange.argmax())
        raise UserError(
            f"{path} is damaged: token {where} is {stream[where]}, which is neither </s> nor one of the "
            f"{manifest.vocabulary} dictionary entries; restore it, or prepare the text again"
        )
    ends = np.flatnonzero(stream == EOS) + 1
    if len(ends) != manifest.splits[split]["documents"] or ends[-1:] != [len(stream)]:
        raise UserError(f"{path} is damaged: its document ends are not those written; prepare the text again")
    return stream


def item_sizes(folder, split):
    """Tokens of each item of ``SPLIT.bin``, an int32 array that sums to the stream's length."""
    check_split(folder, split)
    return read_index(Path(folder) / f"{split}.idx")[0]


def to_ids(indices, codec):
    """The codec's ids of dictionary indices.

    Args:
        indices: integers (array or list), each ``</s>`` or an id's index.
        codec: the folder's codec; ``</s>`` becomes its ``end_id``.

    Returns:
        A list of ids.

    Raises:
        UserError: an index that no id has: ``<s>``, ``<pad>``, ``<unk>``, one outside the dictionary, or
            ``</s>`` for a codec without an end.
    """
    indices = np.asarray(indices, dtype=np.int64)
    table = id_of_index(codec)
    table[EOS] = -1 if codec.end_id is None else codec.end_id
    inside = (indices >= 0) & (indices < len(table))
    found = np.where(inside, table[np.where(inside, indices, 0)], -1)
    if (found < 0).any():
        wrong = int(indices[found < 0][0])
        raise UserError(f"dictionary index {wrong} stands for no id of this {codec.kind} tokenizer")
    return found.tolist()


def to_indices(ids, codec):
    """Dictionary indices of ids, an int64 array; the end of text becomes ``</s>``."""
    return index_of_id(codec)[np.asarray(ids, dtype=np.int64)]


def text_of(indices, codec):
    """The text of a part of a stream; ends (``</s>``) have no text."""
    indices = np.asarray(indices, dtype=np.int64)
    ends = np.flatnonzero(indices == EOS)
    ids = to_ids(indices[indices != EOS], codec)
    # Document by document, so that bytes cut off at one's end cannot join those of the next.
    starts = [0, *(ends - np.arange(len(ends))), len(ids)]
    return "".join(codec.decode(ids[start:end]) for start, end in itertools.pairwise(starts))


def read_text(folder, split):
    """The text of a split: its documents joined, exactly as they stood in the files."""
    return text_of(read_stream(folder, split), load_codec(folder))
