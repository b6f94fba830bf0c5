"""What a person may choose about filters, and the chain of filters that comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairseq_plugin.augment.filters import KEYS, Filter, FilterChain
from fairseq_plugin.augment.text_filters import (
    Copies,
    Duplicates,
    WholeText,
    Writable,
    control_characters,
    writable_texts,
)
from fairseq_plugin.labelled.source import SourceSpec
from fairseq_plugin.text.codec import Codec

Examples = Sequence[tuple[int, str]]  # label index and text of each


@dataclass(frozen=True)
class FilterOptions:
    """Which samples are rejected; see the flags of ``scripts/collect.py``.

    Attributes:
        compare: when texts count as equal: a name out of :data:`~fairseq_plugin.augment.filters.KEYS`.
        keep_copies: splits whose copies are kept.
    """

    compare: str = "exact"
    keep_copies: tuple[str, ...] = ()


def make_filters(
    options: FilterOptions, real: Mapping[str, Examples], source: SourceSpec, codec: Codec
) -> FilterChain:
    """The filters that the options ask for.

    Args:
        options: see the class.
        real: the real examples by split; ``"train"`` is among them.
        source: the form of the rows to be written.
        codec: of the prepared data.
    """
    key = KEYS[options.compare]
    known = {
        split: {key(text) for _, text in examples}
        for split, examples in real.items()
        if split not in options.keep_copies
    }
    filters: list[Filter] = [
        WholeText(control_characters(text for _, text in real["train"])),
        Writable(writable_texts(source, codec)),
        Copies(known, key),
        Duplicates(key),
    ]
    return FilterChain(filters)
