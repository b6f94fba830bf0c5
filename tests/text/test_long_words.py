"""A word of any length is encoded whole and trained on in linear time."""

import random
import time
from itertools import chain

import pytest

from fairseq_plugin.text import byte_level, pieces
from fairseq_plugin.text.codec import train_bytes_codec, train_sentencepiece
from fairseq_plugin.text.training_text import LONGEST_WORD, cut_long_words
from scripts.reviews import make_reviews
from tests.text.random_texts import random_texts

PATTERNS = {"bytes": byte_level.WORDS, "sentencepiece": pieces.WORDS}
TRAIN = {"bytes": train_bytes_codec, "sentencepiece": train_sentencepiece}


@pytest.fixture(scope="module")
def sentences():
    return [row.text for row in make_reviews({"train": 500}, seed=3)["train"]]


@pytest.mark.parametrize("kind", PATTERNS)
def test_only_long_words_are_cut(kind):
    """Whatever is cut joins to the text, no word is longer than asked for, and no short word is cut."""
    words = PATTERNS[kind]
    for text in [*random_texts(300, seed=11), "abcdefghij k", " " * 30, "a b" * 20, "!?!?!?!?'s it", ""]:
        for longest in (1, 2, 5, 1000):
            parts = list(cut_long_words([text], words, longest))
            assert "".join(parts) == text
            found = chain(*(words.findall(part) for part in parts))
            assert all(len(word) <= max(longest, 3) for word in found)  # a part may begin with "'re"
            whole = words.findall(text)
            if all(len(word) <= longest for word in whole):
                assert parts == [text]


@pytest.mark.parametrize("kind", TRAIN)
def test_a_word_of_400_kilobytes_is_trained_on_in_seconds(kind, sentences):
    """The trainers alone take most of a minute for it: their time is quadratic in a word's length."""
    letters = random.Random(1).choices("abcdefghijklmnop", k=400_000)
    words = ["a" * 400_000] if kind == "sentencepiece" else ["a" * 400_000, "".join(letters)]
    begin = time.perf_counter()
    codec = TRAIN[kind]([*sentences, *words], 1000)
    assert time.perf_counter() - begin < 15
    assert codec.decode(codec.encode(words[-1])) == words[-1]
    assert LONGEST_WORD < 400_000


@pytest.mark.parametrize("kind", TRAIN)
@pytest.mark.parametrize("filler", ["a", " ", "!", "\n", "\u2581", "\u4e2d", "\U0001f600", "a\u2581"])
def test_a_long_word_is_encoded_in_seconds_and_comes_back(kind, filler, sentences):
    codec = TRAIN[kind](sentences, 400)
    text = filler * (400_000 // len(filler))
    begin = time.perf_counter()
    (ids,) = codec.try_encode_batch([text])
    assert time.perf_counter() - begin < 15
    assert ids is not None
    assert codec.decode(ids) == text


def test_a_long_words_ids_are_gpt2s(shared_data):
    """No cut at encoding: OpenAI's own encoder gives the same, in quadratic time."""
    from fairseq.data.encoders.gpt2_bpe_utils import get_encoder

    from fairseq_plugin.text.codec import load_codec

    folder = shared_data / "gpt2-bpe"
    original = get_encoder(folder / "encoder.json", folder / "vocab.bpe")
    text = "".join(random.Random(2).choices("etaoinshr", k=3 * LONGEST_WORD))
    assert load_codec(folder).encode(text) == original.encode(text)
