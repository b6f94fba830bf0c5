"""Label texts and prompts that no sentence can imitate.

A row is prompt + sentence + end. Where the prompt ends is known by its length, not searched for,
and no prompt is the beginning of another: whatever a sentence holds, the label stays what it was.
"""

from collections import Counter
from itertools import pairwise

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.manifest import Label

MIN_ROWS = 20


def check_variety(rows):
    """Refuse labels that are nearly as many as the rows: the wrong column was read."""
    num_labels = len({row.label for row in rows})
    if len(rows) >= MIN_ROWS and num_labels > len(rows) / 2:
        raise UserError(
            f"{num_labels:,} different labels in {len(rows):,} rows: the label column seems to hold "
            "something else; pass --label-column"
        )


def build_labels(rows, texts, separator, codec, indices):
    """The labels of the training rows, sorted by name, with checked prompts.

    Args:
        rows: the training rows.
        texts: ``{name: text}`` for labels whose text is not their name.
        separator: stands between label text and sentence.
        codec: the codec.
        indices: dictionary index of each id.

    Raises:
        UserError: a text for an unknown label, two equal texts, a text that holds the separator,
            or a prompt that begins another.
    """
    counts = Counter(row.label for row in rows)
    names = sorted(counts)
    if not separator:
        raise UserError("--separator is empty: nothing would tell a label from its sentence")
    for name in texts:
        if name not in counts:
            known = ", ".join(map(repr, names[:20]))
            raise UserError(f"--label-text {name}=...: train has no label {name!r}; it has {known}")
    labels = [Label(name, texts.get(name, name), []) for name in names]
    for label in labels:
        _check_text(label, separator)
        label.prompt = [int(indices[token]) for token in codec.encode(label.text + separator)]
    _check_prefixes(labels)
    return labels


def _check_text(label, separator):
    if not label.text.strip() or separator in label.text or "\n" in label.text:
        raise UserError(
            f"label {label.name!r} would read {label.text!r}: a label's text may not be empty, nor hold a "
            f"line break or the separator {separator!r}; pass --label-text '{label.name}=...' or another "
            "--separator"
        )


def _check_prefixes(labels):
    """No prompt may equal or begin another, in tokens; neighbours in sorted order show it."""
    ordered = sorted(labels, key=lambda label: label.prompt)
    for first, second in pairwise(ordered):
        if second.prompt[: len(first.prompt)] == first.prompt:
            raise UserError(
                f"labels {first.name!r} and {second.name!r}: the text {first.text!r} cannot be told from the "
                f"beginning of {second.text!r}; give them different texts with --label-text"
            )
