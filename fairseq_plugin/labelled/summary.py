"""What was prepared, for a person: rows, labels, lengths, repeats, and every rejected row's reason."""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from fairseq_plugin.labelled.manifest import Label, Manifest
from fairseq_plugin.labelled.prepare import Prepared
from fairseq_plugin.labelled.source import (
    EMPTY,
    INEXACT,
    MALFORMED,
    TOO_LARGE,
    TOO_LONG,
    UNKNOWN_LABEL,
    Rejection,
)
from fairseq_plugin.storage.codec_choice import TITLES
from fairseq_plugin.text.table import aligned
from fairseq_plugin.text.words import folded_key

SHOWN_LINES = 5
REASONS = {
    EMPTY: "empty sentence",
    TOO_LONG: "longer than --max-row-tokens",
    TOO_LARGE: "larger than --max-bytes",
    MALFORMED: "malformed",
    INEXACT: "altered by the tokenizer",
    UNKNOWN_LABEL: "with a label that train lacks",
}


def format_summary(prepared: Prepared, folder: str | os.PathLike[str]) -> str:
    """The text that ``scripts/prepare_labelled.py`` prints.

    Args:
        prepared: what was prepared.
        folder: the prepared folder.
    """
    manifest = prepared.manifest
    lines = list(prepared.notes)
    lines.append(f"tokenizer: {TITLES[manifest.codec]}, {manifest.vocabulary:,} dictionary entries")
    lines += ["", *aligned(_split_rows(manifest)), ""]
    for split, rejections in prepared.rejected.items():
        lines += _rejections(split, rejections)
    lines += _repeats(manifest.repeats)
    lines += _twins(manifest.labels)
    lines.append(f"{'already there, unchanged' if prepared.unchanged else 'written'}: {folder}")
    return "\n".join(lines)


def _split_rows(manifest: Manifest) -> list[list[str]]:
    head = ["split", "rows", *(_label_title(label) for label in manifest.labels[:8])]
    if len(manifest.labels) > 8:
        head.append(f"+{len(manifest.labels) - 8} labels")
    rows = [[*head, "tokens", "mean", "median", "p95", "longest"]]
    for name, split in manifest.splits.items():
        counts = [label.counts[name] for label in manifest.labels]
        shown = counts[:8] + ([sum(counts[8:])] if len(counts) > 8 else [])
        lengths = split.lengths
        cells = [f"{count:,}" for count in (split.rows, *shown, split.tokens)]
        cells += [
            f"{lengths.mean:.2f}",
            f"{lengths.p50:g}",
            f"{lengths.p95:g}",
            str(split.longest),
        ]
        rows.append([name, *cells])
    return rows


def _label_title(label: Label) -> str:
    name, text = printable(label.name), printable(label.text)
    return name if name == text else f"{name} ({text})"


def printable(text: str, most: int = 60) -> str:
    """A text for a terminal: what is not printable is escaped (``\\x1b``), the rest after ``most`` cut."""
    shown = text if len(text) <= most else text[: most - 3] + "..."
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in shown)


def _rejections(split: str, rejections: Sequence[Rejection]) -> Iterator[str]:
    """One line per reason: how many, and the first with their line numbers."""
    ordered = sorted(rejections, key=lambda item: (item.reason, item.line))
    for reason, group in groupby(ordered, key=lambda item: item.reason):
        found = list(group)
        first = [
            f"{item.line}" + (f" ({printable(item.detail, 70)})" if item.detail else "")
            for item in found[:SHOWN_LINES]
        ]
        more = ", ..." if len(found) > SHOWN_LINES else ""
        yield f"{split}: {len(found):,} rejected, {REASONS[reason]}: line {', '.join(first)}{more}"


def _repeats(repeats: Mapping[str, int]) -> list[str]:
    lines = [
        f"train: {repeats['duplicates']:,} rows repeat an earlier row; "
        f"{repeats['two_labels']:,} sentences carry two labels (kept: they are yours to judge)"
    ]
    for split in ("valid", "test"):
        count = repeats.get(f"{split}_in_train")
        if count is not None:
            lines.append(f"{split}: {count:,} rows whose sentence is also in train")
    return lines


def _twins(labels: Sequence[Label]) -> Iterator[str]:
    """Labels that a person may have meant to be one."""
    ordered = sorted(labels, key=lambda label: folded_key(label.name))
    for _, group in groupby(ordered, key=lambda label: folded_key(label.name)):
        names = [repr(printable(label.name)) for label in group]
        if len(names) > 1:
            yield (
                f"WARNING: labels {' and '.join(names)} differ in case and blanks alone, and are learnt as "
                f"{len(names)} labels: where one is meant, write it in one way"
            )
