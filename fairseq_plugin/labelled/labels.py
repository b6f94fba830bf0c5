"""Label texts and prompts that no sentence can imitate.

An example is prompt + sentence + end. Where the prompt ends is known by its length, not searched for,
and no prompt is the beginning of another: whatever a sentence holds, the label stays what it was.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.manifest import Label
from fairseq_plugin.labelled.source import Row
from fairseq_plugin.text.codec import Codec

MIN_ROWS = 20


def check_variety(rows: Sequence[Row]) -> None:
    """Refuse labels that are nearly as many as the rows: the wrong column was read."""
    num_labels = len({row.label for row in rows})
    if len(rows) >= MIN_ROWS and num_labels > len(rows) / 2:
        raise UserError(
            f"{num_labels:,} different labels in {len(rows):,} rows: the label column seems to hold "
            "something else; pass --label-column"
        )


def build_labels(
    rows: Sequence[Row],
    texts: Mapping[str, str],
    separator: str,
    codec: Codec,
    indices: NDArray[np.int64],
) -> list[Label]:
    """The labels of the training rows, sorted by name, with checked prompts.

    Args:
        rows: the training rows.
        texts: ``{name: text}`` for labels whose text is not their name.
        separator: between label text and sentence.
        codec: the tokenizer.
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
            known = listed(names)
            raise UserError(f"--label-text {name!r}=...: train has no label {name!r}; it has {known}")
    labels = [Label(name, texts.get(name, name), []) for name in names]
    for label in labels:
        _check_text(label, separator)
    for label, ids in zip(
        labels, codec.encode_batch(label.text + separator for label in labels), strict=True
    ):
        label.prompt = indices[ids].tolist()
    _check_prefixes(labels)
    return labels


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names for a message: quoted, control characters escaped, not too many and none too long."""
    shown = ", ".join(repr(name if len(name) <= 60 else name[:57] + "...") for name in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _check_text(label: Label, separator: str) -> None:
    if not label.text.strip() or separator in label.text or "\n" in label.text:
        raise UserError(
            f"label {label.name[:60]!r} would read {label.text[:60]!r}: a label's text may not be empty, "
            f"nor hold a line break or the separator {separator!r}; pass --label-text NAME=TEXT or another "
            "--separator"
        )


def _check_prefixes(labels: Sequence[Label]) -> None:
    """No prompt may equal or begin another, in tokens; neighbours in sorted order show it."""
    ordered = sorted(labels, key=lambda label: label.prompt)
    for first, second in pairwise(ordered):
        if second.prompt[: len(first.prompt)] == first.prompt:
            raise UserError(
                f"labels {first.name[:60]!r} and {second.name[:60]!r}: the text {first.text[:60]!r} "
                f"cannot be told from the beginning of {second.text[:60]!r}; "
                "give them different texts with --label-text"
            )
