"""From a user's file of labelled rows to a folder that fairseq's commands read.

    read -> strip -> hold out -> labels -> tokenizer -> encode -> write -> rename

Every record of the file ends up in exactly one place: a row of a split, or the list of rejected
lines under its reason.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled import binary
from fairseq_plugin.labelled.encode import (
    count_lengths,
    count_reasons,
    count_repeats,
    encode_splits,
    lines_by_reason,
)
from fairseq_plugin.labelled.guess import describe, guess_source
from fairseq_plugin.labelled.labels import build_labels, check_variety
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.rows import clean_rows, read_raw_rows, shared_suffix
from fairseq_plugin.labelled.split import hold_out
from fairseq_plugin.storage.dictionary import NUM_SPECIALS, dictionary_ids, index_of_id, write_dictionary
from fairseq_plugin.storage.folders import Place, check_place, publish_prepared
from fairseq_plugin.storage.manifest import NAME
from fairseq_plugin.text.codec import load_codec, load_sentencepiece, train_bytes_codec, train_sentencepiece


@dataclass
class Request:
    """What to prepare; fields are the flags of ``scripts/prepare_labelled.py``.

    Attributes:
        train, valid, test: files; without ``valid`` a share ``held_out`` of train is held out.
        to: the folder to write.
        format, header, quoting, text_column, label_column: see :func:`guess_source`.
        label_texts: ``{name: text}``.
        codec: ``"gpt2"``, ``"bytes"`` or ``"sentencepiece"``.
        gpt2_bpe: folder of GPT-2's two files.
        vocab_size: ids of a trained codec.
        max_tokens: longest row, prompt and end included.
        overwrite: replace a different prepared folder.
    """

    train: str
    to: str
    valid: str | None = None
    test: str | None = None
    format: str = "auto"
    header: str = "auto"
    quoting: str = "auto"
    text_column: str | None = None
    label_column: str | None = None
    label_texts: dict = field(default_factory=dict)
    held_out: float = 0.1
    seed: int = 1
    codec: str = "gpt2"
    gpt2_bpe: str | None = None
    vocab_size: int | None = None
    sentencepiece_model: str | None = None
    max_tokens: int = 1024
    separator: str = "\t"
    keep_whitespace: bool = False
    overwrite: bool = False


@dataclass
class Prepared:
    """What :func:`prepare` did.

    Attributes:
        manifest: the folder's manifest.
        notes: what was chosen or is worth knowing, one line each.
        rejected: ``{split: [Rejection, ...]}`` with details.
        unchanged: the folder stood there already, byte for byte.
    """

    manifest: Manifest
    notes: list
    rejected: dict
    unchanged: bool = False


def prepare(request):
    """Prepare a folder; see the module.

    Args:
        request: a :class:`Request`.

    Returns:
        :class:`Prepared`.

    Raises:
        UserError: anything in the input that the user can mend. Nothing is written then.
    """
    _check_request(request)
    place = check_place(request.to, NAME)
    spec, note = guess_source(
        request.train,
        request.format,
        request.header,
        request.quoting,
        request.text_column,
        request.label_column,
    )
    spec.keep_whitespace = request.keep_whitespace
    rows, rejected, files = _read_splits(request, spec)
    check_variety(rows["train"])
    notes = [note]
    held_out = None
    if request.valid is None:
        held_out = request.held_out
        rows["train"], valid = hold_out(rows["train"], held_out, request.seed)
        rows = {"train": rows.pop("train"), "valid": valid, **rows}
        notes.append(
            f"valid: {held_out:.0%} of train held out, no sentence on both sides (seed {request.seed})"
        )
    codec = _make_codec(request, [row.text for row in rows["train"]])
    indices = index_of_id(codec)
    labels = build_labels(rows["train"], request.label_texts, request.separator, codec, indices)
    if len(labels) == 1:
        notes.append(f"every row has the label {labels[0].name!r}: is --label-column right?")
    notes += _single_labels(rows["train"])
    _check_labels(rows, labels, request)
    items, rows = encode_splits(rows, rejected, labels, codec, indices, request.max_tokens)
    for split, kept in rows.items():
        if not kept:
            raise UserError(
                f"the {split} split is empty: all its rows were rejected ({count_reasons(rejected[split])})"
            )
    manifest = Manifest(
        codec=codec.kind,
        separator=request.separator,
        vocabulary=NUM_SPECIALS + len(dictionary_ids(codec)),
        labels=labels,
        source=spec,
        source_files=files,
        held_out=held_out,
        seed=request.seed,
        splits={split: count_lengths(items[split]) for split in rows},
        rejected={split: lines_by_reason(rejections) for split, rejections in rejected.items()},
        repeats=count_repeats(rows),
        max_tokens_per_row=request.max_tokens,
    )
    _count_labels(manifest, rows)
    unchanged = _write(place, request.overwrite, manifest, codec, items, rows)
    return Prepared(manifest, notes, rejected, unchanged)


def _check_request(request):
    if request.max_tokens < 3:
        raise UserError(
            f"--max-tokens {request.max_tokens}: a row needs at least 3 tokens (label, sentence, end)"
        )
    if request.codec not in ("gpt2", "bytes", "sentencepiece"):
        raise UserError(f"--codec {request.codec}: choose gpt2, bytes or sentencepiece")


def _read_splits(request, spec):
    """Rows and rejections of the files given, cleaned; also sets ``spec.suffix``."""
    paths = {"train": request.train, "valid": request.valid, "test": request.test}
    raw, files = {}, {}
    for split, path in paths.items():
        if path is not None:
            raw[split] = read_raw_rows(path, spec)
            total = len(raw[split][0]) + len(raw[split][1])
            files[split] = {"path": Path(path).name, "sha256": sha256(path), "rows": total}
    if not spec.keep_whitespace:
        spec.suffix = shared_suffix(raw["train"][0])
    rows, rejected = {}, {}
    for split, (found, refused) in raw.items():
        rows[split], rejected[split] = clean_rows(found, refused, spec.keep_whitespace)
        if not rows[split]:
            why = f" ({count_reasons(rejected[split])})" if rejected[split] else ""
            raise UserError(
                f"{paths[split]} holds no usable row{why}; read as: {describe(paths[split], spec)}"
            )
    return rows, rejected, files


def _make_codec(request, texts):
    """The codec asked for; a trained one sees the training sentences only."""
    if request.codec == "gpt2":
        if request.gpt2_bpe is None:
            raise UserError("--codec gpt2 needs --gpt2-bpe DIR, the folder of encoder.json and vocab.bpe")
        codec = load_codec(request.gpt2_bpe)
        if codec.kind != "gpt2":
            raise UserError(f"--gpt2-bpe {request.gpt2_bpe} holds a {codec.kind} tokenizer, not GPT-2's BPE")
        return codec
    if request.codec == "sentencepiece" and request.sentencepiece_model is not None:
        return load_sentencepiece(request.sentencepiece_model)
    if request.vocab_size is None:
        other = " or --sentencepiece-model FILE" if request.codec == "sentencepiece" else ""
        raise UserError(f"--codec {request.codec} needs --vocab-size N{other}")
    train = train_bytes_codec if request.codec == "bytes" else train_sentencepiece
    return train(texts, request.vocab_size)


def _single_labels(rows):
    """A note on each label that stands in one row only, at most three: a typing error, or a header."""
    counts = Counter(row.label for row in rows)
    single = [row for row in rows if counts[row.label] == 1]
    return [
        f"the label {row.label!r} stands in one row only (line {row.line}): a slip, or a header?"
        for row in single[:3]
    ]


def _check_labels(rows, labels, request):
    """Every label of valid and test must be one of train's."""
    known = {label.name for label in labels}
    for split in ("valid", "test"):
        for row in rows.get(split, ()):
            if row.label not in known:
                path = getattr(request, split) or request.train
                raise UserError(
                    f"{path} line {row.line}: label {row.label!r} is not in train, which has "
                    f"{', '.join(map(repr, sorted(known)[:20]))}; mend the row, or choose --label-column"
                )


def _count_labels(manifest, rows):
    for split, kept in rows.items():
        counts = Counter(row.label for row in kept)
        for label in manifest.labels:
            label.counts[split] = counts[label.name]


def _write(place: Place, overwrite: bool, manifest, codec, items, rows) -> bool:
    """Write the folder, unless the very same one is there; True when it was."""
    position = {label.name: index for index, label in enumerate(manifest.labels)}

    def fill(building: Path) -> None:
        for split, kept in rows.items():
            labels = [position[row.label] for row in kept]
            lines = [row.line for row in kept]
            binary.write_split(building, split, items[split], labels, lines, manifest.vocabulary)
        counts = np.bincount(np.concatenate(items["train"]), minlength=manifest.vocabulary)
        write_dictionary(building, codec, counts)
        codec.save(building)
        manifest.files = {path.name: sha256(path) for path in sorted(building.iterdir())}
        manifest.save(building)

    return publish_prepared(place, overwrite, fill)
