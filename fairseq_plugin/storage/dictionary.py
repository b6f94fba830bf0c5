"""fairseq's dictionary over a codec's ids: index = id + 4, and the end of text is ``</s>``.

fairseq puts its own ``<s> <pad> </s> <unk>`` at 0 .. 3, then the lines of ``dict.txt``. We write one line per
id in the order of ids, so that a symbol is its id in decimal and nothing depends on frequencies.
"""

from pathlib import Path

import numpy as np

from fairseq_plugin.files import atomic_write

EOS = 2
NUM_SPECIALS = 4
DICTIONARY = "dict.txt"


def dictionary_ids(codec):
    """The ids that have a dictionary symbol, in order: all but the end, which is ``</s>``."""
    return [token for token in range(codec.num_ids) if token != codec.end_id]


def index_of_id(codec):
    """Dictionary index of each id, an int64 array ``(num_ids,)``; the end's is ``</s>``."""
    ids = dictionary_ids(codec)
    indices = np.full(codec.num_ids, EOS, dtype=np.int64)
    indices[ids] = np.arange(NUM_SPECIALS, NUM_SPECIALS + len(ids))
    return indices


def id_of_index(codec):
    """Id of each dictionary index, an int64 array ``(dictionary entries,)``; -1 for the four specials."""
    return np.array([-1] * NUM_SPECIALS + dictionary_ids(codec), dtype=np.int64)


def write_dictionary(folder, codec, counts):
    """``dict.txt``: one line ``id count`` per id, in order of ids.

    Args:
        folder: an existing folder.
        codec: the codec.
        counts: occurrences in train by dictionary index, specials included.
    """
    with atomic_write(Path(folder) / DICTIONARY) as stream:
        for index, token in enumerate(dictionary_ids(codec), start=NUM_SPECIALS):
            stream.write(f"{token} {int(counts[index])}\n")
