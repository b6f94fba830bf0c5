"""Rows of text -> rows of tokens, and the counts that go into the manifest."""

from collections import Counter, defaultdict

import numpy as np
from tqdm import tqdm

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.rows import Rejection
from fairseq_plugin.storage.dictionary import EOS

CHUNK = 4096  # rows encoded between two steps of the progress bar


def encode_splits(rows, rejected, labels, codec, indices, max_tokens):
    """Token rows of every split; rows that are too long or would be altered join ``rejected``.

    Returns:
        ``({split: [int64 array, ...]}, {split: [Row, ...]})``, of equal lengths.
    """
    prompts = {label.name: np.asarray(label.prompt, dtype=np.int64) for label in labels}
    end = np.array([EOS])
    items, kept = {}, {}
    for split, found in rows.items():
        items[split], kept[split] = [], []
        rejected.setdefault(split, [])
        for start in tqdm(
            range(0, len(found), CHUNK), desc=f"encoding {split}", unit="x4096 rows", disable=None
        ):
            chunk = found[start : start + CHUNK]
            encoded = codec.try_encode_batch([row.text for row in chunk])
            for row, ids in zip(chunk, encoded, strict=True):
                if ids is None:
                    rejected[split].append(Rejection(row.line, "inexact", codec.refusal(row.text)))
                    continue
                length = len(prompts[row.label]) + len(ids) + 1
                if length > max_tokens:
                    rejected[split].append(Rejection(row.line, "too_long", f"{length} tokens"))
                    continue
                items[split].append(np.concatenate((prompts[row.label], indices[ids], end)))
                kept[split].append(row)
    missing = sorted(set(prompts) - {row.label for row in kept["train"]})
    if missing:
        raise UserError(
            f"no training row of label {missing[0]!r} is left ({count_reasons(rejected['train'])}); "
            "raise --max-tokens, choose another --codec, or mend the rows"
        )
    return items, kept


def count_lengths(items):
    """Rows, tokens and lengths of one split, as the manifest keeps them."""
    lengths = np.array([len(item) for item in items])
    p50, p95 = np.percentile(lengths, (50, 95))
    return {
        "rows": len(items),
        "tokens": int(lengths.sum()),
        "longest": int(lengths.max()),
        "lengths": {"mean": round(float(lengths.mean()), 3), "p50": float(p50), "p95": float(p95)},
    }


def count_repeats(rows):
    """What repeats within and across splits; see :class:`Manifest`.

    Args:
        rows: ``{split: [Row, ...]}``.
    """
    labels_of = defaultdict(set)
    for row in rows["train"]:
        labels_of[row.text].add(row.label)
    different = {(row.text, row.label) for row in rows["train"]}
    repeats = {
        "duplicates": len(rows["train"]) - len(different),
        "two_labels": sum(len(labels) > 1 for labels in labels_of.values()),
    }
    for split in rows:
        if split != "train":
            repeats[f"{split}_in_train"] = sum(row.text in labels_of for row in rows[split])
    return repeats


def lines_by_reason(rejections):
    """``{reason: [line, ...]}`` with every reason, in the order of lines."""
    lines = {"empty": [], "too_long": [], "malformed": [], "inexact": []}
    for rejection in sorted(rejections, key=lambda item: item.line):
        lines[rejection.reason].append(rejection.line)
    return lines


def count_reasons(rejections):
    """ "3 empty, 1 malformed" """
    return ", ".join(
        f"{count} {reason}" for reason, count in Counter(item.reason for item in rejections).items()
    )
