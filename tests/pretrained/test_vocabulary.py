"""Symbols and ids."""

import json

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.vocabulary import fingerprint, guess_end_id, read_symbols, token_id
from fairseq_plugin.text.codec import gpt2_codec


@pytest.mark.parametrize(
    "symbol, number",
    [
        ("0", 0),
        ("464", 464),
        ("007", None),
        ("", None),
        ("-1", None),
        ("4.0", None),
        ("²", None),
        ("１", None),
    ],
)
def test_a_token_id_is_a_plain_decimal(symbol, number):
    assert token_id(symbol) == number


def test_a_dictionary_is_read_as_fairseq_reads_it(tmp_path):
    from fairseq.data import Dictionary

    (tmp_path / "dict.txt").write_text("13 850\n262 800\n\u2028 3\nmadeupword0000 0\n", encoding="utf-8")
    symbols = read_symbols(tmp_path / "dict.txt")
    assert symbols == Dictionary.load(str(tmp_path / "dict.txt")).symbols


@pytest.mark.parametrize(
    "content, named",
    [
        (b"13 850\n262\n", "dict.txt, line 2: expected 'symbol count', found '262'"),
        (b"13 850\n262 x\n", "dict.txt, line 2: expected 'symbol count', found '262 x'"),
        (b"13 850\n26\xb2 3\n", "dict.txt is damaged: it is not UTF-8"),
        (b"13 850\n262 3\n13 5\n", "dict.txt, line 3: the symbol '13' is there twice"),
        (b"<pad> 850\n", "dict.txt, line 1: the symbol '<pad>' is there twice"),
    ],
)
def test_a_damaged_dictionary_is_named(tmp_path, content, named):
    """What fairseq, too, would refuse."""
    from fairseq.data import Dictionary

    (tmp_path / "dict.txt").write_bytes(content)
    with pytest.raises((Exception, SystemExit)):
        Dictionary.load(str(tmp_path / "dict.txt"))
    with pytest.raises(UserError, match=named):
        read_symbols(tmp_path / "dict.txt")


def test_fingerprints_tell_size_order_and_symbols_apart():
    prints = [tuple(fingerprint(s)) for s in (["a", "b"], ["b", "a"], ["a", "c"], ["a"], ["a\nb"])]
    assert len(set(prints)) == 5
    assert all(0 <= number < 2**31 for one in prints for number in one)
    assert fingerprint(["a", "b"]) == fingerprint(["a", "b"])


def test_fingerprints_tell_tokenizers_of_one_size_apart(codec, other_codec):
    symbols = list(map(str, range(codec.num_ids)))
    one, other = fingerprint(symbols, codec), fingerprint(symbols, other_codec)
    assert one[:3] == other[:3] and one[3:] != other[3:]
    assert fingerprint(symbols)[3:] == [0, 0]
    vocab, merges = codec.files.values()
    respelt = gpt2_codec("encoder.json", "vocab.bpe", (json.dumps(json.loads(vocab)).encode(), merges))
    assert fingerprint(symbols, respelt) == one, "how the files are written does not matter"


def test_only_gpt2s_own_ids_suggest_its_end_token():
    ids = list(map(str, range(50257)))
    assert guess_end_id(ids) == guess_end_id(ids[:-1]) == 50256
    assert guess_end_id([*ids, "50257"]) is None
    assert guess_end_id(ids[:8000]) is None
    assert guess_end_id(["the", "50256"]) is None
