"""Our GPT-2 ids are GPT-2's: against OpenAI's own encoder (as fairseq ships it) and transformers'."""

import pytest

from fairseq_plugin.text.codec import load_codec
from tests.text.random_texts import random_texts


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "gpt2-bpe"


@pytest.fixture(scope="module")
def texts(shared_data):
    """Real sentences, raw lines with their line breaks, and 2,000 random texts."""
    lines = (shared_data / "wikitext-2" / "test.txt").read_text("utf-8").split("\n")[:800]
    real = (shared_data / "sst2" / "dev.tsv").read_text("utf-8").split("\n")
    play = (shared_data / "tinyshakespeare" / "input.txt").read_text("utf-8")[:20_000]
    return [*lines, *real, play, *random_texts(2000, seed=7)]


def test_ids_equal_the_original_encoder(folder, texts):
    from fairseq.data.encoders.gpt2_bpe_utils import get_encoder

    original = get_encoder(folder / "encoder.json", folder / "vocab.bpe")
    assert load_codec(folder).encode_batch(texts) == [original.encode(text) for text in texts]


def test_ids_equal_transformers(folder, texts, tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.json").write_bytes((folder / "encoder.json").read_bytes())
    (tmp_path / "merges.txt").write_bytes((folder / "vocab.bpe").read_bytes())
    theirs = transformers.GPT2Tokenizer.from_pretrained(tmp_path)
    # theirs turns <|endoftext|> in a text into the end token; ours must not
    plain = [text for text in texts if "<|endoftext|>" not in text]
    assert len(plain) > 3000
    codec = load_codec(folder)
    assert codec.encode_batch(plain) == [theirs.encode(text, add_special_tokens=False) for text in plain]


def test_known_ids(folder):
    codec = load_codec(folder)
    assert (codec.num_ids, codec.end_id) == (50257, 50256)
    assert codec.encode("</s>") == [3556, 82, 29]
    assert codec.encode("0\t1") == [15, 197, 16]
    assert codec.encode("<|endoftext|>") == [27, 91, 437, 1659, 5239, 91, 29]
