"""Rows of text -> examples of tokens, and the counts that go into the manifest."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.manifest import Label, Lengths, SplitCounts
from fairseq_plugin.labelled.source import EMPTY, INEXACT, MALFORMED, TOO_LARGE, TOO_LONG, Rejection, Row
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.text.codec import Codec

# Rows that are encoded at once: the tokenizers take about 200 bytes of memory for a byte of text.
CHUNK_ROWS, CHUNK_CHARACTERS = 4096, 1 << 20


@dataclass(frozen=True)
class Encoded:
    """The examples of one split: dictionary indices up to and with ``</s>``, and the row of each."""

    items: list[NDArray[np.int64]]
    rows: list[Row]


def encode_splits(
    rows: Mapping[str, Sequence[Row]],
    rejected: dict[str, list[Rejection]],
    labels: Sequence[Label],
    codec: Codec,
    max_tokens: int,
    indices: NDArray[np.int64],
) -> dict[str, Encoded]:
    """Examples of every split; rows that are too long or would be altered join ``rejected``.

    Args:
        rows: by split.
        rejected: by split; grows.
        labels: with their prompts.
        codec: the tokenizer.
        max_tokens: longest example.
        indices: dictionary index of each id.
    """
    prompts = {label.name: np.asarray(label.prompt, dtype=np.int64) for label in labels}
    end = np.array([EOS])
    encoded = {}
    for split, found in rows.items():
        items, kept, refused = [], [], rejected.setdefault(split, [])
        with tqdm(total=len(found), desc=f"encoding {split}", unit="rows", disable=None) as bar:
            for chunk in chunks(found):
                all_ids = codec.try_encode_batch([row.text for row in chunk])
                for row, ids in zip(chunk, all_ids, strict=True):
                    if ids is None:
                        refused.append(Rejection(row.line, INEXACT, codec.refusal(row.text)))
                        continue
                    length = len(prompts[row.label]) + len(ids) + 1
                    if length > max_tokens:
                        refused.append(Rejection(row.line, TOO_LONG, f"{length} tokens"))
                        continue
                    items.append(np.concatenate((prompts[row.label], indices[ids], end)))
                    kept.append(row)
                bar.update(len(chunk))
        encoded[split] = Encoded(items, kept)
    missing = sorted(set(prompts) - {row.label for row in encoded["train"].rows})
    if missing:
        raise UserError(
            f"no training row of label {missing[0][:60]!r} is left ({count_reasons(rejected['train'])}); "
            + _mend(rejected["train"])
        )
    return encoded


def _mend(rejections: Iterable[Rejection]) -> str:
    """What helps against these reasons: only flags that have to do with them."""
    reasons = {rejection.reason for rejection in rejections}
    flags = {
        TOO_LONG: "raise --max-row-tokens",
        TOO_LARGE: "raise --max-bytes",
        INEXACT: "choose another --codec",
    }
    return ", ".join([*(told for reason, told in flags.items() if reason in reasons), "or mend the rows"])


def chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in order, so many at a time that their texts are encoded in bounded memory."""
    chunk, size = [], 0
    for row in rows:
        if chunk and (len(chunk) == CHUNK_ROWS or size + len(row.text) > CHUNK_CHARACTERS):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += len(row.text)
    if chunk:
        yield chunk


def count_lengths(items: Sequence[NDArray[np.int64]]) -> SplitCounts:
    """Rows, tokens and lengths of one split, as the manifest keeps them."""
    lengths = np.array([len(item) for item in items])
    p50, p95 = np.percentile(lengths, (50, 95))
    return SplitCounts(
        rows=len(items),
        tokens=int(lengths.sum()),
        longest=int(lengths.max()),
        lengths=Lengths(mean=round(float(lengths.mean()), 3), p50=float(p50), p95=float(p95)),
    )


def count_repeats(rows: Mapping[str, Sequence[Row]]) -> dict[str, int]:
    """What repeats within and across splits; see :class:`~fairseq_plugin.labelled.manifest.Manifest`."""
    labels_of: dict[str, set[str]] = defaultdict(set)
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


def lines_by_reason(rejections: Iterable[Rejection]) -> dict[str, list[int]]:
    """``{reason: [line, ...]}`` in the order of lines, with every reason that needs no flag."""
    lines: dict[str, list[int]] = {reason: [] for reason in (EMPTY, TOO_LONG, MALFORMED, INEXACT, TOO_LARGE)}
    for rejection in sorted(rejections, key=lambda item: item.line):
        lines.setdefault(rejection.reason, []).append(rejection.line)
    return lines


def count_reasons(rejections: Iterable[Rejection]) -> str:
    """Such as "3 empty, 1 malformed"."""
    return ", ".join(
        f"{count} {reason}" for reason, count in Counter(item.reason for item in rejections).items()
    )
