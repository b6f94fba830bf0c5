"""Filters as a person asks for them: the flags, what they allow, and the chain that comes of them."""

import argparse

import pytest

from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.filters.flags import add_filter_flags, filter_options_of
from fairseq_plugin.augment.filters.options import FilterOptions, make_filters
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.text.codec import load_codec
from scripts import collect, generate
from tests.augment.made_generation import make_data

NEEDED = {
    collect: ["results", "--data", "d", "--to", "t"],
    generate: ["--data", "d", "--to", "t", "--path", "p", "--per-label", "5"],
}


def options(*arguments):
    parser = argparse.ArgumentParser()
    add_filter_flags(parser)
    return filter_options_of(parser.parse_args(arguments))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"))


def chain_of(data, chosen, **real):
    manifest = Manifest.load(data)
    texts = {split: read_texts(data, split) for split in ("train", "valid", "test")} | real
    names = [label.name for label in manifest.labels]
    return make_filters(chosen, texts, manifest.source, load_codec(data), names)


def check(chain, *texts):
    return chain.check([Candidate(n, 0, text, "5", len(text) + 1, True) for n, text in enumerate(texts)])


def test_without_flags_the_defaults_count():
    assert options() == FilterOptions()


def test_both_scripts_have_the_same_flags():
    flags = ["--min-words", "2", "--near-duplicates", "off", "--keep-copies", "valid", "train"]
    chosen = filter_options_of(generate.build_parser().parse_args([*NEEDED[generate], *flags]))
    assert chosen == filter_options_of(collect.parse([*NEEDED[collect], *flags])) == options(*flags)
    assert chosen == FilterOptions(min_words=2, near_duplicates=None, keep_copies=("train", "valid"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--min-words 0", "--min-words 0 must be at least 1"),
        ("--min-words 9 --max-words 8", "--min-words 9 is more than --max-words 8"),
        ("--min-tokens 9 --max-tokens 8", "--min-tokens 9 is more than --max-tokens 8"),
        ("--near-duplicates 0.3", "--near-duplicates 0.3 must be from 0.5 to 1, or off"),
        ("--near-duplicates nan", "--near-duplicates nan must be"),
        ("--near-duplicates no", "--near-duplicates 'no' is neither a number"),
        ("--invented-words 1.5", "--invented-words 1.5 must be from 0 to 1, or auto, or off"),
        ("--judge-threshold 1.5", "--judge-threshold 1.5 must be from 0 to 1"),
        ("--keep-best 0", "--keep-best 0 must be above 0 and at most 1"),
        ("--invented-words none", "--invented-words 'none' is neither"),
    ],
)
def test_values_out_of_range_are_refused_with_their_flag(flags, said):
    with pytest.raises(UserError, match=said):
        options(*flags.split())


def test_length_counts_words_and_tokens(data):
    chain = chain_of(data, FilterOptions(min_words=2, max_words=4, min_tokens=6, max_tokens=15))
    found = check(chain, "film", "a bad", "a b", "a bad film of it", "a bad bad film b")
    assert found == ["too_short", None, "too_short", "too_long", "too_long"]
    assert "--min-words 2, --min-tokens 6" in chain.reasons["too_short"]


def test_what_one_rule_rejects_is_no_ones_duplicate(data):
    chosen = FilterOptions(max_tokens=30, invented_words=0.4, near_duplicates=0.5)
    long, short = "a film of the year with heart and wit", "a film of the year with wit"
    assert check(chain_of(data, chosen), long, short) == ["too_long", None]


def test_near_copies_are_kept_on_request_with_copies(data):
    copied = "a dull and lifeless mess!"
    assert check(chain_of(data, FilterOptions()), copied) == ["near_copy_of_train"]
    assert check(chain_of(data, FilterOptions(keep_copies=("train",))), copied) == [None]
    assert check(chain_of(data, FilterOptions(near_duplicates=None)), copied) == [None]


def test_invented_words_are_off_without_spaces_and_it_is_said(data):
    chinese = [(0, "这部电影很好"), (1, "这部电影不好")]
    chain = chain_of(data, FilterOptions(), train=chinese)
    assert "invented_words" not in chain.reasons and "a script without spaces" in chain.notes[0]
    chain = chain_of(data, FilterOptions(invented_words="off"), train=chinese)
    assert "invented_words" not in chain.reasons and chain.notes == []
    different = [(0, "one two three"), (1, "four five")]
    chain = chain_of(data, FilterOptions(), train=different)
    assert check(chain, "six") == [None] and "as many words that train lacks" in chain.notes[0]
