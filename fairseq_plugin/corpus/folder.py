"""A prepared text folder, read back: streams of dictionary indices, ids and text, checked before use.

An item of ``SPLIT.bin`` is a document's tokens and ``</s>``; a document of more than ``PIECE`` tokens is
in several items, only the last of which ends with ``</s>``. Joined, the items are the split's stream.
"""

import itertools
import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.dictionary import EOS, NUM_SPECIALS, id_of_index, index_of_id
from fairseq_plugin.storage.splits import SplitFiles
from fairseq_plugin.text.codec import Codec, load_codec

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


def check_split(folder: str | os.PathLike[str], split: str, deep: bool = False) -> TextManifest:
    """Refuse a split whose files disagree with each other or with the manifest.

    Args:
        folder: a prepared text folder.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        deep: also compare the split's files and ``dict.txt`` with their SHA-256: finds any flipped bit.

    Returns:
        The folder's manifest.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    files, manifest = _open(folder, split)
    if deep:  # first, for it names the damaged file whatever the damage
        files.require_verified(SUFFIXES)
    files.check()
    return manifest


def read_stream(folder: str | os.PathLike[str], split: str) -> NDArray[np.int64]:
    """All documents of a split, one after the other; what is read is hashed, ``dict.txt`` too.

    Args:
        folder: a prepared text folder.
        split: ``"train"``, ``"valid"`` or ``"test"``.

    Returns:
        ``(tokens,)``, dictionary indices (id + 4), ``</s>`` = 2 after each document, none
        before the first.

    Raises:
        UserError: see :func:`check_split`; or an index that the dictionary does not have.
    """
    files, manifest = _open(folder, split)
    files.require_verified(())  # the dictionary: who reads the stream reads it beside
    path = files.folder / f"{split}.bin"
    _, stream = files.read()
    is_strange = (stream >= manifest.vocabulary) | ((stream < NUM_SPECIALS) & (stream != EOS))
    if is_strange.any():
        where = int(is_strange.argmax())
        raise UserError(
            f"{path} is damaged: token {where} is {stream[where]}, which is neither </s> nor one of the "
            f"{manifest.vocabulary} dictionary entries; restore it, or prepare the text again"
        )
    ends = np.flatnonzero(stream == EOS) + 1
    if len(ends) != manifest.splits[split].documents or ends[-1:] != [len(stream)]:
        raise UserError(f"{path} is damaged: its document ends are not those written; prepare the text again")
    return stream


def item_sizes(folder: str | os.PathLike[str], split: str) -> NDArray[np.int32]:
    """Tokens of each item of ``SPLIT.bin``; they sum to the stream's length."""
    return _open(folder, split)[0].check().sizes


def _open(folder: str | os.PathLike[str], split: str) -> tuple[SplitFiles, TextManifest]:
    manifest = TextManifest.load(folder)
    files = SplitFiles(Path(folder), split, manifest, "text")
    files.require_known()
    return files, manifest


def to_ids(indices: ArrayLike, codec: Codec) -> list[int]:
    """The codec's ids of dictionary indices.

    Args:
        indices: integers, each ``</s>`` or an id's index.
        codec: the folder's codec; ``</s>`` becomes its ``end_id``.

    Raises:
        UserError: an index that no id has: ``<s>``, ``<pad>``, ``<unk>``, one outside the dictionary, or
            ``</s>`` for a codec without an end.
    """
    asked = np.asarray(indices, dtype=np.int64)
    table = id_of_index(codec)
    table[EOS] = -1 if codec.end_id is None else codec.end_id
    is_inside = (asked >= 0) & (asked < len(table))
    found = np.where(is_inside, table[np.where(is_inside, asked, 0)], -1)
    if (found < 0).any():
        wrong = int(asked[found < 0][0])
        raise UserError(f"dictionary index {wrong} stands for no id of this {codec.kind} tokenizer")
    return found.tolist()


def to_indices(ids: ArrayLike, codec: Codec) -> NDArray[np.int64]:
    """Dictionary indices of ids; the end of text becomes ``</s>``."""
    return index_of_id(codec)[np.asarray(ids, dtype=np.int64)]


def text_of(indices: ArrayLike, codec: Codec) -> str:
    """The text of a part of a stream; ends (``</s>``) have no text."""
    return "".join(_parts(indices, codec))


def _parts(indices: ArrayLike, codec: Codec) -> list[str]:
    """The texts before, between and after ends."""
    stream = np.asarray(indices, dtype=np.int64)
    ends = np.flatnonzero(stream == EOS)
    ids = to_ids(stream[stream != EOS], codec)
    # Document by document, so that bytes cut off at one's end cannot join those of the next.
    starts = [0, *(ends - np.arange(len(ends))), len(ids)]
    return [codec.decode(ids[start:end]) for start, end in itertools.pairwise(starts)]


def read_text(folder: str | os.PathLike[str], split: str) -> str:
    """The text of a split: its documents joined, exactly as they were in the files."""
    return text_of(read_stream(folder, split), load_codec(folder))


def read_documents(folder: str | os.PathLike[str], split: str) -> list[str]:
    """The text of each document of a split."""
    return _parts(read_stream(folder, split), load_codec(folder))[:-1]  # nothing is behind the last end
