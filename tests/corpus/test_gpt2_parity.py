"""WikiText-2 and tinyshakespeare come out as OpenAI's own encoder cuts them, and back as they were."""

import numpy as np
import pytest

from fairseq_plugin.corpus import folder
from fairseq_plugin.corpus.prepare import Request, prepare
from tests.corpus.test_documents import documents_oracle

FILES = {"train": "wikitext-2/valid.txt", "valid": "wikitext-2/test.txt", "test": "tinyshakespeare/input.txt"}


@pytest.fixture(scope="module")
def data(shared_data, tmp_path_factory):
    to = tmp_path_factory.mktemp("real") / "prepared"
    paths = {split: str(shared_data / name) for split, name in FILES.items()}
    prepare(Request(**paths, to=str(to), gpt2_bpe=str(shared_data / "gpt2-bpe"), workers=2))
    return to


@pytest.fixture(scope="module")
def original(shared_data):
    """The encoder that OpenAI published, as fairseq ships it."""
    from fairseq.data.encoders.gpt2_bpe_utils import get_encoder

    return get_encoder(shared_data / "gpt2-bpe" / "encoder.json", shared_data / "gpt2-bpe" / "vocab.bpe")


@pytest.mark.slow
@pytest.mark.parametrize("split", FILES)
def test_every_document_has_the_original_encoders_ids(data, original, shared_data, split):
    """Each document encoded at once by the original; ours is cut into pieces and encoded by threads."""
    text = (shared_data / FILES[split]).read_bytes().decode()
    articles = documents_oracle(text, "wikitext")
    assert len(articles) == (1 if split == "test" else 60)  # as many as WikiText-2 has
    stream, codec = folder.read_stream(data, split), folder.load_codec(data)
    ends = np.flatnonzero(stream == 2)
    assert len(ends) == len(articles)
    for article, document in zip(articles, np.split(stream, ends[:-1] + 1), strict=True):
        assert folder.to_ids(document, codec) == [*original.encode(article), 50256]


@pytest.mark.slow
def test_every_line_has_the_original_encoders_ids(data, original, shared_data):
    codec = folder.load_codec(data)
    for name in FILES.values():
        lines = (shared_data / name).read_bytes().decode().split("\n")
        assert codec.encode_batch(lines) == [original.encode(line) for line in lines]


@pytest.mark.parametrize("split", FILES)
def test_the_text_is_the_files_bytes(data, shared_data, split):
    assert folder.read_text(data, split).encode() == (shared_data / FILES[split]).read_bytes()


def test_index_is_id_plus_four(data):
    codec = folder.load_codec(data)
    ids = [0, 198, 50255, 50256]
    assert folder.to_indices(ids, codec).tolist() == [4, 202, 50259, 2]
    assert folder.to_ids([4, 202, 50259, 2], codec) == ids
