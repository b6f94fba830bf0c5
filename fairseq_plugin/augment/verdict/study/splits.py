"""k rows per class to train on, k to choose with, drawn from a labelled set; its held-out rows measure.

Everything that learns or chooses (generator, filters, judge, early stopping) gets a :class:`Split` and
nothing else.
"""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.augment.pipeline.request import AugmentRequest
from fairseq_plugin.augment.verdict.held_rows import LEAST
from fairseq_plugin.augment.write_sets import Examples
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled.guess import guess_source
from fairseq_plugin.labelled.rows import Row, SourceSpec, read_rows, write_rows
from fairseq_plugin.labelled.split import sentence_key
from fairseq_plugin.reports.statistics import draw

ALL = 0  # k: all rows
DEV_SHARE = 10  # with all rows, one in so many is for dev
# Any text and label can be written in this form.
SPEC = SourceSpec("jsonl", header=False, columns=["text", "label"], text_column=0, label_column=1)


@dataclass(frozen=True)
class LabelledSet:
    """A whole set.

    Attributes:
        name: of its folder.
        labels: their names; an index into them is a label.
        pool: different sentences of train with one label each, none of them a sentence of ``test``.
        test: the rows that measure.
        test_name: the file they come from.
        digests: SHA-256 of the files by split.
        left_out: rows that are in neither, by reason.
    """

    name: str
    labels: list[str]
    pool: Examples
    test: Examples
    test_name: str
    digests: dict[str, str]
    left_out: dict[str, int]


@dataclass(frozen=True)
class Split:
    """What may be learnt from and chosen by.

    Attributes:
        train, dev: label index and text of each row; a class has at least as many rows in train as in dev.
    """

    train: Examples
    dev: Examples


def read_set(
    folder: Path,
    text_column: str | None = None,
    label_column: str | None = None,
    most_test: int | None = None,
) -> LabelledSet:
    """Read a folder with ``train.*`` and ``test.*`` (or ``valid.*``, ``dev.*``).

    Args:
        folder: the set.
        text_column, label_column: a name, or a position from 0; None: guessed.
        most_test: rows that measure, drawn from the file; None: all.

    Raises:
        UserError: no such file, too few rows, or columns that cannot be guessed.
    """
    files = AugmentRequest(to=folder, source=folder).files()
    held = "test" if "test" in files else "valid"
    if held not in files:
        raise UserError(
            f"--data {folder} holds no test.* and no valid.*: the study measures on held-out rows"
        )
    spec, _ = guess_source(files["train"], text_column=text_column, label_column=label_column)
    spec.keep_whitespace = False
    rows = {split: read_rows(files[split], spec)[0] for split in ("train", held)}
    labels = sorted({row.label for row in rows["train"]})
    index = {label: place for place, label in enumerate(labels)}
    test = [(index[row.label], row.text) for row in rows[held] if row.label in index]
    if len(test) < LEAST or len(labels) < 2:
        raise UserError(
            f"--data {folder}: {len(labels)} label(s) in train, {len(test)} rows in {files[held].name} with "
            f"one of them; the study needs two labels and {LEAST} rows"
        )
    pool, left_out = _pool([(index[row.label], row.text) for row in rows["train"]], test)
    left_out["a label of held-out rows that train lacks"] = len(rows[held]) - len(test)
    return LabelledSet(
        folder.resolve().name,
        labels,
        pool,
        draw(test, most_test or len(test), seed=1),
        files[held].name,
        {split: sha256(files[split]) for split in ("train", held)},
        {reason: count for reason, count in left_out.items() if count},
    )


def _pool(train: Examples, test: Examples) -> tuple[Examples, dict[str, int]]:
    """The rows of train that splits are drawn from, and how many are left out by reason."""
    labels: dict[str, set[int]] = defaultdict(set)
    for label, text in train:
        labels[sentence_key(text)].add(label)
    held = {sentence_key(text) for _, text in test}
    left_out, pool, seen = Counter[str](), [], set()
    for label, text in train:
        key = sentence_key(text)
        if key in held:
            left_out["a sentence of the held-out rows"] += 1
        elif len(labels[key]) > 1:
            left_out["a sentence with two labels"] += 1
        elif key in seen:
            left_out["a sentence that train repeats"] += 1
        else:
            pool.append((label, text))
        seen.add(key)
    return pool, dict(left_out)


def draw_split(whole: LabelledSet, k: int, number: int) -> Split:
    """The ``number``-th draw of k rows per class, and k more for dev.

    A class with fewer than 2 k rows gives half of them to each, train first; with ``ALL``, one row in
    :data:`DEV_SHARE` goes to dev. A smaller k of the same number takes a part of the same rows.
    """
    by_label: dict[int, list[str]] = defaultdict(list)
    for label, text in whole.pool:
        by_label[label].append(text)
    train: list[tuple[int, str]] = []
    dev: list[tuple[int, str]] = []
    for label, texts in sorted(by_label.items()):
        order = random.Random(f"{number} {whole.labels[label]}").sample(texts, len(texts))
        if k == ALL:
            num_dev = len(order) // DEV_SHARE
            num_train = len(order) - num_dev
        else:
            num_train = min(k, -(-len(order) // 2))
            num_dev = min(k, len(order) - num_train)
        train += [(label, text) for text in order[:num_train]]
        dev += [(label, text) for text in order[::-1][:num_dev]]  # from the other end
    if not dev:
        raise UserError(f"--data {whole.name}: every label has one row; nothing is left for dev")
    return Split(train, dev)


def write_split(folder: Path, split: Split, labels: list[str]) -> None:
    """Write ``train.jsonl`` and ``valid.jsonl``, for the commands that make a generator."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", split.train), ("valid", split.dev)):
        write_rows(folder / f"{name}.jsonl", [Row(text, labels[label]) for label, text in rows], SPEC)
