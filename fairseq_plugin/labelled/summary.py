"""What was prepared, for a person: rows, labels, lengths, repeats, and every rejected row's reason."""

from itertools import groupby

from fairseq_plugin.text.table import aligned

SHOWN_LINES = 5
REASONS = {
    "empty": "empty sentence",
    "too_long": "longer than --max-tokens",
    "malformed": "malformed",
    "inexact": "altered by the tokenizer",
}


def format_summary(prepared, folder):
    """The text that ``scripts/prepare_labelled.py`` prints.

    Args:
        prepared: what :func:`~fairseq_plugin.labelled.prepare.prepare` returned.
        folder: the prepared folder.
    """
    manifest = prepared.manifest
    lines = list(prepared.notes)
    kind = {"gpt2": "GPT-2's byte-level BPE", "bytes": "byte-level BPE", "sentencepiece": "sentencepiece"}
    lines.append(f"tokenizer: {kind[manifest.codec]}, {manifest.vocabulary:,} dictionary entries")
    lines += ["", *aligned(_split_rows(manifest)), ""]
    for split, rejections in prepared.rejected.items():
        lines += _rejections(split, rejections)
    lines += _repeats(manifest.repeats)
    lines.append(f"{'already there, unchanged' if prepared.unchanged else 'written'}: {folder}")
    return "\n".join(lines)


def _split_rows(manifest):
    head = ["split", "rows", *(_label_title(label) for label in manifest.labels[:8])]
    if len(manifest.labels) > 8:
        head.append(f"+{len(manifest.labels) - 8} labels")
    rows = [[*head, "tokens", "mean", "median", "p95", "longest"]]
    for name, split in manifest.splits.items():
        counts = [label.counts[name] for label in manifest.labels]
        shown = counts[:8] + ([sum(counts[8:])] if len(counts) > 8 else [])
        lengths = split["lengths"]
        cells = [f"{count:,}" for count in (split["rows"], *shown, split["tokens"])]
        cells += [
            f"{lengths['mean']:.2f}",
            f"{lengths['p50']:g}",
            f"{lengths['p95']:g}",
            str(split["longest"]),
        ]
        rows.append([name, *cells])
    return rows


def _label_title(label):
    return label.name if label.name == label.text else f"{label.name} ({label.text})"


def _rejections(split, rejections):
    """One line per reason: how many, and the first with their line numbers."""
    ordered = sorted(rejections, key=lambda item: (item.reason, item.line))
    lines = []
    for reason, group in groupby(ordered, key=lambda item: item.reason):
        group = list(group)
        first = [
            f"{item.line}" + (f" ({item.detail[:70]})" if item.detail else "") for item in group[:SHOWN_LINES]
        ]
        more = ", ..." if len(group) > SHOWN_LINES else ""
        lines.append(f"{split}: {len(group):,} rejected, {REASONS[reason]}: line {', '.join(first)}{more}")
    return lines


def _repeats(repeats):
    lines = [
        f"train: {repeats['duplicates']:,} rows repeat an earlier row; "
        f"{repeats['two_labels']:,} sentences carry two labels (kept: they are yours to judge)"
    ]
    for split in ("valid", "test"):
        count = repeats.get(f"{split}_in_train")
        if count is not None:
            lines.append(f"{split}: {count:,} rows whose sentence stands in train")
    return lines
