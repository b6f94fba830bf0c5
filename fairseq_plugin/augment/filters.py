"""Which generated samples are kept, and the one reason why each other one is not.

Every sample gets exactly one verdict, so ``in = out + rejected`` holds by construction, and
:func:`tally` checks it all the same. Where several reasons apply, the first in :data:`REASONS` is given.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from fairseq_plugin.reports.tally import Counts, Tally

SPLITS = ("test", "valid", "train")  # a copy of held-out text is the gravest, so it is named first

REASONS = {
    "special": "holds a symbol that is not text",
    "not_ended": "was cut before its end token",
    "empty": "has no text",
    "broken": "holds a broken character: bytes that are not UTF-8 (U+FFFD)",
    "control_characters": "holds a control character, or half of a surrogate pair, that train does not hold",
    "unwritable": "cannot be written in the source's file format, or not encoded again exactly",
    "copy_of_test": "is a sentence of the test set",
    "copy_of_valid": "is a sentence of the valid set",
    "copy_of_train": "is a sentence of the training set",
    "conflict": "was generated under two labels, so neither can be trusted",
    "duplicate": "repeats an earlier sample of its label",
}

# C0 without tab and line feed, DEL, C1, surrogates.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Judgeable(Protocol):
    """What :func:`find_reasons` looks at."""

    @property
    def text(self) -> str: ...

    @property
    def ended(self) -> bool: ...

    @property
    def special(self) -> bool: ...


def exact_key(text: str) -> str:
    """Compare texts as they are, without the white space around them."""
    return text.strip()


def folded_key(text: str) -> str:
    """Compare texts without regard to upper and lower case and to the amount of white space."""
    return " ".join(text.casefold().split())


KEYS: dict[str, Callable[[str], str]] = {"exact": exact_key, "folded": folded_key}


def control_characters(texts: Iterable[str]) -> frozenset[str]:
    """The control characters and unpaired surrogates in some texts; a tab or line feed is neither."""
    return frozenset(character for text in texts for character in _CONTROL.findall(text))


def find_reasons(
    samples: Sequence[Judgeable],
    labels: Sequence[int],
    known: Mapping[str, Collection[str]],
    representable: Callable[[str], bool],
    key: Callable[[str], str] = exact_key,
    keep_copies: Collection[str] = (),
    controls: Collection[str] = (),
) -> list[str | None]:
    """Judge every sample.

    Args:
        samples: in the order of their ids.
        labels: their label indices.
        known: split -> the keys of its real sentences.
        representable: text -> whether the output formats can hold it.
        key: text -> what is compared; :func:`exact_key` or :func:`folded_key`.
        keep_copies: splits whose copies are kept.
        controls: control characters that a text may hold: those of the training set.

    Returns:
        One entry per sample: ``None`` for a kept one, else a name out of :data:`REASONS`.
        Among equal samples of one label the one with the lowest id is kept.
    """
    keys = [key(sample.text) for sample in samples]
    splits = [split for split in SPLITS if split not in keep_copies and split in known]

    def own_reason(sample: Judgeable, key_: str) -> str | None:
        reason = _reason_of_text(sample, representable, controls)
        copied = (f"copy_of_{split}" for split in splits if key_ in known[split])
        return reason or next(copied, None)

    reasons = list(map(own_reason, samples, keys))
    labels_of_key: dict[str, set[int]] = {}
    for key_, label, reason in zip(keys, labels, reasons):
        if reason is None:
            labels_of_key.setdefault(key_, set()).add(label)
    seen = set()
    for index, key_ in enumerate(keys):
        if reasons[index] is not None:
            continue
        if len(labels_of_key[key_]) > 1:
            reasons[index] = "conflict"
        elif key_ in seen:
            reasons[index] = "duplicate"
        seen.add(key_)
    return reasons


def _reason_of_text(
    sample: Judgeable, representable: Callable[[str], bool], controls: Collection[str]
) -> str | None:
    """The reason that a sample gives by itself, whatever the real sentences and other samples are."""
    if sample.special:
        return "special"
    if not sample.ended:
        return "not_ended"
    if not sample.text.strip():
        return "empty"
    if "\ufffd" in sample.text:
        return "broken"
    if any(character not in controls for character in _CONTROL.findall(sample.text)):
        return "control_characters"
    return None if representable(sample.text) else "unwritable"


def tally(labels: Sequence[int], reasons: Sequence[str | None], names: Sequence[str]) -> Tally:
    """Count verdicts.

    Args:
        labels: label index per sample.
        reasons: from :func:`find_reasons`.
        names: name per label index.
    """
    by_label: list[list[str | None]] = [[] for _ in names]
    for label, reason in zip(labels, reasons, strict=True):
        by_label[label].append(reason)
    found = Tally(_counts(reasons), dict(zip(names, map(_counts, by_label), strict=True)))
    for part in ("generated", "kept", "rejected"):
        assert getattr(found.total, part) == sum(getattr(own, part) for own in found.labels.values()), part
    return found


def _counts(reasons: Sequence[str | None]) -> Counts:
    found = Counter(reasons)
    kept = found.pop(None, 0)
    unknown = set(found) - set(REASONS)
    assert not unknown, unknown
    by_reason = {reason: found[reason] for reason in REASONS}
    counts = Counts(len(reasons), kept, sum(found.values()), by_reason)
    assert counts.generated == counts.kept + counts.rejected
    return counts
