"""A flipped bit in any file of a prepared text folder is seen by every reader that uses the file."""

import pytest

from fairseq_plugin.corpus.folder import check_split, read_stream
from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.errors import UserError
from fairseq_plugin.text.codec import load_codec
from tests.corpus.made_text import prepare_text, wiki
from tests.storage.damage import flipped_bits

READERS = {
    "train.bin": lambda folder: read_stream(folder, "train"),
    "train.idx": lambda folder: read_stream(folder, "train"),
    "dict.txt": lambda folder: read_stream(folder, "train"),
    "merges.txt": load_codec,
    "vocab.json": load_codec,
    "codec.json": load_codec,
    "manifest.json": TextManifest.load,
}


@pytest.fixture
def data(tmp_path):
    return prepare_text(tmp_path, wiki(5))[1]


@pytest.mark.parametrize("name", READERS)
def test_no_flipped_bit_goes_unnoticed(data, name):
    for position in flipped_bits(data / name, 200):
        with pytest.raises(UserError, match=r"\.json" if "json" in name else name):
            READERS[name](data)
            pytest.fail(f"byte {position} of {name}")
        if name in ("train.bin", "train.idx", "dict.txt"):
            with pytest.raises(UserError, match=name):
                check_split(data, "train", deep=True)
    READERS[name](data)
