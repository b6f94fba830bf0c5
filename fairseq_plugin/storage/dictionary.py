"""fairseq's dictionary over a codec's ids: index = id + 4, and the end of text is ``</s>``.

fairseq puts its own ``<s> <pad> </s> <unk>`` at 0 .. 3, then the lines of ``dict.txt``. We write one line per
id in the order of ids, so that a symbol is its id in decimal and nothing depends on frequencies.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write, sha256
from fairseq_plugin.text.base import Codec

EOS = 2
NUM_SPECIALS = 4
DICTIONARY = "dict.txt"


def check_dictionary(folder: str | os.PathLike[str], recorded: Mapping[str, str]) -> None:
    """Refuse a ``dict.txt`` that is not the one that was prepared, before fairseq reads it.

    Args:
        folder: the prepared folder.
        recorded: ``{name: sha256}`` of its manifest.

    Raises:
        UserError: it is missing, damaged, or of another preparation.
    """
    path = Path(folder) / DICTIONARY
    if not path.is_file():
        raise UserError(f"there is no {path}; prepare the data again")
    if recorded.get(DICTIONARY, sha256(path)) != sha256(path):
        raise UserError(
            f"{path} is not the file that manifest.json records: it is damaged, or the folder is mixed from "
            "two preparations; prepare it again"
        )


def dictionary_ids(codec: Codec) -> list[int]:
    """The ids that have a dictionary symbol, in order: all but the end, which is ``</s>``."""
    return [token for token in range(codec.num_ids) if token != codec.end_id]


def index_of_id(codec: Codec) -> NDArray[np.int64]:
    """Dictionary index of each id, ``(num_ids,)``; the end's is ``</s>``."""
    ids = dictionary_ids(codec)
    indices = np.full(codec.num_ids, EOS, dtype=np.int64)
    indices[ids] = np.arange(NUM_SPECIALS, NUM_SPECIALS + len(ids))
    return indices


def id_of_index(codec: Codec) -> NDArray[np.int64]:
    """Id of each dictionary index, ``(dictionary entries,)``; -1 for the four specials."""
    return np.array([-1] * NUM_SPECIALS + dictionary_ids(codec), dtype=np.int64)


def write_dictionary(folder: str | os.PathLike[str], ids: Iterable[int], counts: NDArray[np.int64]) -> None:
    """``dict.txt``: one line ``id count`` per id, in order of ids.

    Args:
        folder: an existing folder.
        ids: of the symbols, such as :func:`dictionary_ids` of a tokenizer.
        counts: occurrences in train by dictionary index, specials included.
    """
    with atomic_write(Path(folder) / DICTIONARY) as stream:
        for index, token in enumerate(ids, start=NUM_SPECIALS):
            stream.write(f"{token} {int(counts[index])}\n")
