"""A long text encoded in pieces has the ids of the whole."""

import re
from itertools import chain, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.text.codec import load_codec, load_sentencepiece, train_bytes_codec
from fairseq_plugin.text.segments import SegmentCutter
from tests.corpus.made_text import llama_like_model, sentences
from tests.text.random_texts import LOOKALIKES, ODD, random_texts

# White space of every kind beside letters, digits, signs and contractions, so that many places look like
# cuts.
NASTY = st.text(st.sampled_from(f" \n \n  \n\n\t\r{ODD}ab'sl1!.\u00e9\u4e2d\u0301\U0001f600"), max_size=60)
MIXED = st.lists(st.one_of(NASTY, st.sampled_from([*LOOKALIKES, "it's ", "we 'll", " \n"])), max_size=12).map(
    "".join
)


@pytest.fixture(scope="session")
def trained():
    return train_bytes_codec([*sentences(500), " \n \n  \n\n" * 5], 400)


def pieces_of(text, size, cut_before="\n ", steps=1):
    """Pieces of a text that arrives in ``steps`` characters at a time."""
    cutter = SegmentCutter(cut_before, size)
    found = [
        piece for start in range(0, len(text), steps) for piece in cutter.feed(text[start : start + steps])
    ]
    return [*found, cutter.finish()]


@settings(max_examples=400, deadline=None)
@given(text=MIXED, size=st.integers(1, 9))
def test_pieces_have_the_ids_of_the_whole(trained, text, size):
    pieces = pieces_of(text, size)
    assert "".join(pieces) == text
    assert list(chain(*trained.encode_batch(pieces))) == trained.encode(text)


@settings(max_examples=400, deadline=None)
@given(text=MIXED, size=st.integers(1, 9))
def test_pieces_have_gpt2s_ids_of_the_whole(shared_data, text, size):
    codec = _gpt2(shared_data)
    assert list(chain(*codec.encode_batch(pieces_of(text, size)))) == codec.encode(text)


_loaded = {}


def _gpt2(shared_data):
    if "gpt2" not in _loaded:
        _loaded["gpt2"] = load_codec(shared_data / "gpt2-bpe")
    return _loaded["gpt2"]


@settings(max_examples=200, deadline=None)
@given(text=MIXED, size=st.integers(1, 9), steps=st.integers(1, 7))
def test_cuts_do_not_depend_on_how_the_text_arrives(text, size, steps):
    assert pieces_of(text, size, steps=steps) == pieces_of(text, size, steps=max(len(text), 1))


def test_every_cut_is_one_white_space_between_others():
    for text in random_texts(500, seed=8):
        pieces = pieces_of(text, 1)
        for left, right in pairwise(pieces):
            assert re.match(r"[\n ]\S", right) and re.search(r"\S$", left)


def test_ordinary_text_is_cut_everywhere_it_may():
    assert pieces_of("It is\nso, isn't it", 1) == ["It", " is", "\nso,", " isn't", " it"]
    assert pieces_of("It is\nso, isn't it", 1, cut_before=" ") == ["It", " is\nso,", " isn't", " it"]
    assert pieces_of("It is\nso, isn't it", 7) == ["It is\nso,", " isn't it"]
    assert pieces_of("a  b\n\nc", 1) == ["a  b\n\nc"]
    assert pieces_of("", 5) == [""]


def test_memory_is_bounded_by_the_distance_of_two_places():
    cutter = SegmentCutter(size=100)
    longest = 0
    for _ in range(2000):
        for piece in cutter.feed("some words of a long text without a newline "):
            longest = max(longest, len(piece))
    assert longest < 110
    assert len(cutter.finish()) < 200


def test_a_given_sentencepiece_model_that_adds_a_space_survives_cuts(llama_like):
    """Models such as Llama's put a space before every text; in the middle of one there is none to add."""
    text = " ".join(sentences(40))
    pieces = pieces_of(text, 50, cut_before=llama_like.cut_before)
    assert len(pieces) > 10
    encoded = llama_like.encode_batch(pieces[:1]) + llama_like.try_encode_batch(
        pieces[1:], [True] * (len(pieces) - 1)
    )
    assert llama_like.decode(list(chain(*encoded))) == text


@pytest.fixture(scope="module")
def llama_like(tmp_path_factory):
    codec = load_sentencepiece(llama_like_model(tmp_path_factory.mktemp("sp")))
    assert codec.encode("a film") != codec.encode(" a film")  # it does add one
    return codec
