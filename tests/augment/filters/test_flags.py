"""The flags of the filters: what they ask for, and back."""

import argparse

import pytest

from fairseq_plugin.augment.filters.flags import add_filter_flags, filter_options_of, words_of
from fairseq_plugin.augment.filters.options import FilterOptions


@pytest.mark.parametrize(
    "options",
    [
        FilterOptions(),
        FilterOptions(compare="folded", keep_copies=("train", "valid"), min_words=2, max_tokens=50),
        FilterOptions(near_duplicates=None, invented_words="off", predicate="mine:keep"),
        FilterOptions(near_duplicates=0.75, invented_words=0.25),
    ],
)
def test_options_written_as_flags_are_read_back_the_same(options):
    parser = argparse.ArgumentParser()
    add_filter_flags(parser)
    assert filter_options_of(parser.parse_args(words_of(options))) == options
