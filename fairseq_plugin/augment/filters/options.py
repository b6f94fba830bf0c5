"""What a person may choose about filters, and the chain of filters that comes of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fairseq_plugin.augment.filters.acceptance import Acceptance
from fairseq_plugin.augment.filters.chain import KEYS, Filter, FilterChain
from fairseq_plugin.augment.filters.invented_words import AUTO, OFF, InventedWords
from fairseq_plugin.augment.filters.near_duplicates import LEAST_NEAR, NEAR, NearDuplicates
from fairseq_plugin.augment.filters.text_filters import (
    Bounds,
    Copies,
    Duplicates,
    Length,
    WholeText,
    Writable,
    control_characters,
    writable_texts,
)
from fairseq_plugin.augment.filters.user_function import Predicate
from fairseq_plugin.augment.judges.filter import LabelFidelity, LabelProbabilities
from fairseq_plugin.augment.judges.teacher import load_teacher
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.source import SourceSpec
from fairseq_plugin.text.codec import Codec
from fairseq_plugin.text.words import has_spaces

Examples = Sequence[tuple[int, str]]  # label index and text of each


@dataclass(frozen=True)
class FilterOptions:
    """Which samples are rejected; see :mod:`fairseq_plugin.augment.filters.flags`.

    Attributes:
        compare: when texts count as equal: a name out of :data:`~fairseq_plugin.augment.filters.chain.KEYS`.
        keep_copies: splits whose copies, and near-copies, are kept.
        min_words, max_words, min_tokens, max_tokens: see
            :class:`~fairseq_plugin.augment.filters.text_filters.Bounds`.
        near_duplicates: share of character 4-grams from which texts count as nearly equal, in [0.5, 1];
            None: they may be.
        invented_words: most words of a sentence that stand nowhere in train, a share in [0, 1];
            ``"auto"``: as many as in real sentences; ``"off"``: any number.
        predicate: a person's own function, ``module:function``.
        judge_threshold: least probability of a sample's label, in [0, 1]; None: any.
        keep_best: share of what is accepted that is kept, those with the most probable labels, in (0, 1];
            None: all.
        teacher: who tells these probabilities, a file or ``module:function``; None: the model itself.

    Raises:
        UserError: a value out of its range, naming the flag.
    """

    compare: str = "exact"
    keep_copies: tuple[str, ...] = ()
    min_words: int | None = None
    max_words: int | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None
    near_duplicates: float | None = NEAR
    invented_words: float | str = AUTO
    predicate: str | None = None
    judge_threshold: float | None = None
    keep_best: float | None = None
    teacher: str | None = None

    def __post_init__(self) -> None:
        for what in ("words", "tokens"):
            _check_bounds(what, getattr(self, f"min_{what}"), getattr(self, f"max_{what}"))
        near, invented, least = self.near_duplicates, self.invented_words, self.judge_threshold
        if least is not None and not 0 <= least <= 1:
            raise UserError(f"--judge-threshold {least:g} must be from 0 to 1")
        if self.keep_best is not None and not 0 < self.keep_best <= 1:
            raise UserError(f"--keep-best {self.keep_best:g} must be above 0 and at most 1")
        if near is not None and not LEAST_NEAR <= near <= 1:
            raise UserError(f"--near-duplicates {near:g} must be from {LEAST_NEAR:g} to 1, or off")
        if invented not in (AUTO, OFF) and not (not isinstance(invented, str) and 0 <= invented <= 1):
            raise UserError(f"--invented-words {invented} must be from 0 to 1, or {AUTO}, or {OFF}")

    @property
    def need_probabilities(self) -> bool:
        """Whether a rule asks how probable labels are."""
        return self.judge_threshold is not None or self.keep_best is not None

    def fidelity(self, labels: Sequence[str], load_model: Callable[[], LabelProbabilities]) -> LabelFidelity:
        """The judge of labels.

        Args:
            labels: names, by index.
            load_model: makes the judge where there is no teacher.
        """
        judge = load_model() if self.teacher is None else load_teacher(self.teacher, labels)
        return LabelFidelity(judge, len(labels), self.judge_threshold or 0.0)

    @property
    def bounds(self) -> Bounds:
        """How long a sample may be."""
        return Bounds(self.min_words, self.max_words, self.min_tokens, self.max_tokens)


def _check_bounds(what: str, least: int | None, most: int | None) -> None:
    for flag, value in ((f"--min-{what}", least), (f"--max-{what}", most)):
        if value is not None and value < 1:
            raise UserError(f"{flag} {value} must be at least 1")
    if least is not None and most is not None and least > most:
        raise UserError(f"--min-{what} {least} is more than --max-{what} {most}: no sample could be kept")


def make_filters(
    options: FilterOptions,
    real: Mapping[str, Examples],
    source: SourceSpec,
    codec: Codec,
    labels: Sequence[str],
    fidelity: LabelFidelity | None = None,
) -> FilterChain:
    """The filters that the options ask for.

    Args:
        options: see the class.
        real: the real examples by split; ``"train"`` is among them.
        source: the form of the rows to be written.
        codec: of the prepared data.
        labels: names, by index.
        fidelity: judges the labels; None: nothing does.

    Raises:
        UserError: a predicate that cannot be imported.
    """
    key, notes = KEYS[options.compare], []
    texts = {split: [text for _, text in examples] for split, examples in real.items()}
    compared = {split: own for split, own in texts.items() if split not in options.keep_copies}
    # First the rules that look at a sample alone: what they reject is no one's duplicate.
    filters: list[Filter] = [
        WholeText(control_characters(texts["train"])),
        Writable(writable_texts(source, codec)),
        Length(options.bounds),
        Copies({split: set(map(key, own)) for split, own in compared.items()}, key),
    ]
    if options.invented_words != OFF:
        found, note = _invented_words(options.invented_words, texts)
        filters += [found] if found else []
        notes += [note] if note else []
    if options.predicate is not None:
        filters.append(Predicate(options.predicate, labels))
    filters += [fidelity] if fidelity is not None else []  # after all that is cheaper
    filters.append(Duplicates(key))
    if options.near_duplicates is not None:
        filters.append(NearDuplicates(compared, options.near_duplicates))
    return FilterChain(filters, notes)


def make_acceptance(
    options: FilterOptions,
    real: Mapping[str, Examples],
    source: SourceSpec,
    codec: Codec,
    labels: Sequence[str],
    fidelity: LabelFidelity | None = None,
    asked: Sequence[int] | None = None,
) -> Acceptance:
    """What the options accept; see :func:`make_filters`, and for ``asked`` :class:`Acceptance`."""
    chain = make_filters(options, real, source, codec, labels, fidelity)
    confidence = fidelity.opinions.confidence if fidelity and options.keep_best is not None else None
    return Acceptance(chain, labels, asked, options.keep_best, confidence)


def _invented_words(
    most: float | str, texts: Mapping[str, Sequence[str]]
) -> tuple[InventedWords | None, str | None]:
    """The filter, and what a person should know where it is none, or rejects nothing."""
    if not has_spaces(texts["train"]):
        return (
            None,
            "Invented words were not looked for: most letters of train are of a script without spaces.",
        )
    found = InventedWords(texts["train"], texts.get("valid", ()), most)
    if most == AUTO and found.most >= 1:
        return found, "Invented words are no reason here: real sentences hold as many words that train lacks."
    return found, None
