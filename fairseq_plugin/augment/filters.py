"""Which generated samples are kept, and the one reason why each other one is not.

Every sample gets exactly one verdict, so ``in = out + rejected`` holds by construction, and
:func:`tally` checks it all the same. Where several reasons apply, the first in :data:`REASONS` is given.
"""

from collections import Counter

SPLITS = ("test", "valid", "train")  # a copy of held-out text is the gravest, so it is named first

REASONS = {
    "special": "holds a symbol that is not text",
    "not_ended": "was cut before its end token",
    "empty": "has no text",
    "broken": "holds a broken character: bytes that are no UTF-8 (U+FFFD)",
    "unwritable": "cannot be written in the source's file format, or not encoded again exactly",
    "copy_of_test": "is a sentence of the test set",
    "copy_of_valid": "is a sentence of the valid set",
    "copy_of_train": "is a sentence of the training set",
    "conflict": "was generated under two labels, so neither can be trusted",
    "duplicate": "repeats an earlier sample of its label",
}


def exact_key(text):
    """Compare texts as they stand, without the white space around them."""
    return text.strip()


def folded_key(text):
    """Compare texts without regard to upper and lower case and to the amount of white space."""
    return " ".join(text.casefold().split())


KEYS = {"exact": exact_key, "folded": folded_key}


def find_reasons(samples, labels, known, representable, key=exact_key, keep_copies=()):
    """Judge every sample.

    Args:
        samples: list of objects with ``text``, ``ended`` and ``special``, in the order of their ids.
        labels: their label indices.
        known: dict split -> set of keys of the real sentences.
        representable: text -> whether the output formats can hold it.
        key: text -> what is compared; :func:`exact_key` or :func:`folded_key`.
        keep_copies: splits whose copies are kept.

    Returns:
        A list as long as ``samples``: ``None`` for a kept sample, else a name out of :data:`REASONS`.
        Among equal samples of one label the one with the lowest id is kept.
    """
    keys = [key(sample.text) for sample in samples]
    reasons = [
        _own_reason(sample, key_, known, representable, keep_copies) for sample, key_ in zip(samples, keys)
    ]
    labels_of_key = {}
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


def _own_reason(sample, key, known, representable, keep_copies):
    """The reason that a sample gives by itself, whatever the other samples are."""
    if sample.special:
        return "special"
    if not sample.ended:
        return "not_ended"
    if not sample.text.strip():
        return "empty"
    if "\ufffd" in sample.text:
        return "broken"
    if not representable(sample.text):
        return "unwritable"
    for split in SPLITS:
        if split not in keep_copies and key in known.get(split, ()):
            return f"copy_of_{split}"
    return None


def tally(labels, reasons, names):
    """Count verdicts.

    Args:
        labels: label index per sample.
        reasons: from :func:`find_reasons`.
        names: name per label index.

    Returns:
        ``{"generated", "kept", "rejected", "reasons": {reason: n}, "labels": {name: the same four}}``;
        every reason is listed, also with 0.
    """
    total = _counts(reasons)
    by_label = {
        name: _counts([reason for label, reason in zip(labels, reasons) if label == index])
        for index, name in enumerate(names)
    }
    for part in ("generated", "kept", "rejected"):
        assert total[part] == sum(counts[part] for counts in by_label.values()), part
    return {**total, "labels": by_label}


def _counts(reasons):
    found = Counter(reasons)
    kept = found.pop(None, 0)
    unknown = set(found) - set(REASONS)
    assert not unknown, unknown
    counts = {
        "generated": len(reasons),
        "kept": kept,
        "rejected": sum(found.values()),
        "reasons": {reason: found[reason] for reason in REASONS},
    }
    assert counts["generated"] == counts["kept"] + counts["rejected"]
    return counts
