"""The flags that say which samples are accepted: the same for every script that accepts samples."""

import argparse
from dataclasses import fields

from fairseq_plugin.augment.filters.chain import KEYS
from fairseq_plugin.augment.filters.invented_words import AUTO, OFF
from fairseq_plugin.augment.filters.near_duplicates import NEAR
from fairseq_plugin.augment.filters.options import FilterOptions
from fairseq_plugin.augment.filters.text_filters import SPLITS
from fairseq_plugin.errors import UserError


def add_filter_flags(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add them, in a group of their own.

    Returns:
        The group, for flags of one script alone.
    """
    group = parser.add_argument_group("what is accepted")
    add = group.add_argument
    compare = "when sentences count as equal: exactly, or without regard to case and spacing (default: exact)"
    add("--compare", choices=sorted(KEYS), default="exact", help=compare)
    copies = "keep copies and near-copies of sentences of these splits (train, valid, test)"
    add("--keep-copies", nargs="+", default=[], choices=sorted(SPLITS), metavar="SPLIT", help=copies)
    add("--min-words", type=int, metavar="N", help="fewest words, as white space separates them")
    add("--max-words", type=int, metavar="N", help="most words")
    add("--min-tokens", type=int, metavar="N", help="fewest tokens of the model, the end token included")
    add("--max-tokens", type=int, metavar="N", help="most tokens")
    near = (
        f"share of character 4-grams, 0.5 to 1, from which a sentence is a near-copy or near-duplicate; {OFF}"
    )
    add("--near-duplicates", default=str(NEAR), metavar="SHARE", help=f"{near}: keep them (default: {NEAR})")
    invented = "most words of a sentence that stand nowhere in train, a share"
    default = f"{AUTO}: what 95 %% of real sentences keep to; {OFF}: any (default: {AUTO})"
    add("--invented-words", default=AUTO, metavar="SHARE", help=f"{invented}; {default}")
    predicate = (
        "a Python function of yours: called with text and label, it returns whether to keep the sample"
    )
    add("--predicate", metavar="MODULE:FUNCTION", help=predicate)
    threshold = "least probability of a sample's label, 0 to 1, by the model itself (Bayes)"
    add("--judge-threshold", type=float, metavar="P", help=threshold)
    best = "of each label keep this share of what is accepted: where the label is the most probable"
    add("--keep-best", type=float, metavar="SHARE", help=f"{best} (LAMBADA: 0.1)")
    teacher = "tells the probabilities instead of the model: a TSV file with the texts and a column of scores"
    function = "per label, or a Python function of texts and labels' names"
    add("--teacher", metavar="FILE|MODULE:FUNCTION", help=f"{teacher} {function}")
    return group


def filter_options_of(args: argparse.Namespace) -> FilterOptions:
    """What the flags ask for.

    Raises:
        UserError: a value that is no number, or out of its range.
    """
    near, invented = args.near_duplicates, args.invented_words
    return FilterOptions(
        compare=args.compare,
        keep_copies=tuple(sorted(set(args.keep_copies))),
        min_words=args.min_words,
        max_words=args.max_words,
        min_tokens=args.min_tokens,
        max_tokens=args.max_tokens,
        near_duplicates=None if near == OFF else _number("--near-duplicates", near),
        invented_words=invented if invented in (AUTO, OFF) else _number("--invented-words", invented),
        predicate=args.predicate,
        judge_threshold=args.judge_threshold,
        keep_best=args.keep_best,
        teacher=args.teacher,
    )


def words_of(options: FilterOptions) -> list[str]:
    """The flags on a command line that ask for these options; none for a default.

    >>> words_of(FilterOptions(keep_copies=("train",), near_duplicates=None))
    ['--keep-copies', 'train', '--near-duplicates', 'off']
    """
    words: list[str] = []
    for own in fields(options):
        value = getattr(options, own.name)
        if value != own.default:
            values = value if isinstance(value, tuple) else [OFF if value is None else value]
            words += ["--" + own.name.replace("_", "-"), *map(str, values)]
    return words


def _number(flag: str, written: str) -> float:
    try:
        return float(written)
    except ValueError:
        raise UserError(f"{flag} {written!r} is neither a number nor a word it knows; see --help") from None
