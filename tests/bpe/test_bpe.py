"""``--bpe exact`` on fairseq's own registry: exact, and never dead on a special symbol."""

import pytest
from fairseq.data import encoders
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

import fairseq_plugin  # noqa: F401  (registers)
from fairseq_plugin.text.codec import train_bytes_codec
from scripts.reviews import make_reviews
from tests.text.random_texts import random_texts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codec")
    train_bytes_codec([row.text for row in make_reviews({"train": 500}, seed=1)["train"]], 300).save(folder)
    return folder


def build(*words):
    """The tokenizer as fairseq-interactive builds it from a command line."""
    from fairseq import options

    parser = options.get_interactive_generation_parser(default_task="language_modeling")
    args = options.parse_args_and_arch(parser, ["data", "--path", "x.pt", "--bpe", "exact", *map(str, words)])
    return encoders.build_bpe(convert_namespace_to_omegaconf(args).bpe)


def test_the_command_line_builds_it_and_texts_come_back(folder):
    bpe = build("--codec-path", folder)
    for text in random_texts(500, seed=8):
        symbols = bpe.encode(text)
        assert all(symbol.isdecimal() for symbol in symbols.split())
        assert bpe.decode(symbols) == text


def test_special_symbols_are_passed_over(folder):
    bpe = build("--codec-path", folder)
    first, rest = bpe.encode("ab").split(" ", 1)
    specials = "<s> </s> <pad> <unk> <mask> madeupword0001 -5 ٣ ² 9999999 1.5 <<unk>>"
    assert bpe.decode(f"{specials} {first} {specials} {rest} {specials}") == "ab"
    assert bpe.decode("") == "" == bpe.decode("</s>")


def test_a_word_begins_with_a_space(folder):
    bpe = build("--codec-path", folder)
    assert bpe.is_beginning_of_word(bpe.encode(" a"))
    assert not bpe.is_beginning_of_word(bpe.encode("a"))
    assert not bpe.is_beginning_of_word("</s>")


@pytest.mark.parametrize("words", [(), ("--codec-path", "no/such/folder")])
def test_a_missing_tokenizer_ends_with_one_line(words):
    with pytest.raises(SystemExit, match=r"^error: .*(--codec-path|no tokenizer at)"):
        build(*words)


def test_a_text_that_is_not_unicode_ends_with_one_line(folder):
    with pytest.raises(SystemExit, match=r"^error: .*surrogate"):
        build("--codec-path", folder).encode("\ud800")
