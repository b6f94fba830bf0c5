"""A split of a prepared text folder: its stream of tokens, and how they become ids and words."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairseq_plugin.corpus.folder import EOS, load_codec, read_stream
from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.vocabulary import read_symbols
from fairseq_plugin.storage.dictionary import id_of_index, index_of_id
from fairseq_plugin.storage.splits import require_verified
from fairseq_plugin.text.base import Codec


@dataclass(frozen=True)
class SplitText:
    """A split.

    Attributes:
        folder, split: where it came from.
        stream: int64, dictionary indices of all documents, ``</s>`` after each.
        counts: what the manifest counts in this split: documents, tokens, words, characters, bytes.
        symbols: the dictionary's symbols in order.
        codec: the tokenizer.
        sha256: of the stream; tells whether saved continuations belong to this text.
        id_of_index, index_of_id: int64; -1 where there is none.
    """

    folder: str
    split: str
    stream: NDArray[np.int64]
    counts: Mapping[str, int]
    symbols: Sequence[str]
    codec: Codec
    sha256: str
    id_of_index: NDArray[np.int64]
    index_of_id: NDArray[np.int64]

    def ids(self, indices: ArrayLike) -> list[int]:
        """Tokenizer ids of dictionary indices; ``</s>`` is left out.

        Raises:
            UserError: an index without an id.
        """
        indices = np.asarray(indices, dtype=np.int64)
        ids = self.id_of_index[indices[indices != EOS]]
        if (ids < 0).any():
            raise UserError(
                f"{self.folder}: the text holds a symbol of the dictionary that is not a token (<unk>, <pad>)"
            )
        return ids.tolist()

    def indices(self, ids: Sequence[int]) -> list[int]:
        """Dictionary indices of tokenizer ids.

        Raises:
            UserError: an id that the tokenizer does not have.
        """
        require_ids(ids, self.codec)
        return self.index_of_id[np.asarray(ids, dtype=np.int64)].tolist()

    def words(self, indices: ArrayLike) -> list[str]:
        """Whitespace words of dictionary indices; ``</s>`` ends a word and is not one itself."""
        indices = np.asarray(indices, dtype=np.int64)
        documents = np.split(indices, np.flatnonzero(indices == EOS))
        return [word for document in documents for word in self.codec.decode(self.ids(document)).split()]


def require_ids(ids: Iterable[int], codec: Codec) -> None:
    """Refuse ids that a tokenizer does not have.

    Raises:
        UserError: names the first.
    """
    for number in ids:
        if not 0 <= number < codec.num_ids:
            raise UserError(
                f"token id {number} is outside this tokenizer's 0 .. {codec.num_ids - 1}: the continuations "
                "come from another tokenizer"
            )


def load_split(folder: str | os.PathLike[str], split: str) -> SplitText:
    """Read a split of a prepared text folder, every file compared with the SHA-256 that the manifest has of
    it.

    Raises:
        UserError: no such folder or split, data of another kind, damaged files, or an empty split.
    """
    manifest = TextManifest.load(folder)
    if split not in manifest.splits:
        there = ", ".join(manifest.splits)
        mend = next((name for name in ("test", "valid", "train") if name in manifest.splits), None)
        raise UserError(f"--split {split}: {folder} has only {there}; give --split {mend}")
    # The split's own files are hashed as they are read; here the dictionary and the tokenizer.
    of_splits = tuple(f"{name}." for name in manifest.splits)
    names = [name for name in manifest.files if not name.startswith(of_splits)]
    require_verified(Path(folder), names, manifest.files, "text")
    if not manifest.splits[split].tokens:
        raise UserError(f"--split {split} of {folder} is empty: there is nothing to evaluate")
    stream = read_stream(folder, split)
    digest = hashlib.sha256(np.ascontiguousarray(stream, dtype="<i8").tobytes()).hexdigest()
    codec, counts = load_codec(folder), asdict(manifest.splits[split])
    symbols = read_symbols(Path(folder) / "dict.txt")
    ids = id_of_index(codec)
    if len(symbols) != len(ids):
        raise UserError(
            f"{Path(folder) / 'dict.txt'} has {len(symbols):,} symbols, its tokenizer makes {len(ids):,}; "
            "prepare the text again"
        )
    return SplitText(str(folder), split, stream, counts, symbols, codec, digest, ids, index_of_id(codec))
