"""From a user's file of labelled rows to a folder that fairseq's commands read.

    read -> strip -> hold out -> labels -> tokenizer -> encode -> write -> rename

Every record of the file ends up in exactly one place: an example of a split, or the list of rejected
lines under its reason.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled import binary
from fairseq_plugin.labelled.encode import (
    Encoded,
    count_lengths,
    count_reasons,
    count_repeats,
    encode_splits,
    lines_by_reason,
)
from fairseq_plugin.labelled.guess import describe, guess_source
from fairseq_plugin.labelled.labels import build_labels, check_variety, listed
from fairseq_plugin.labelled.manifest import Manifest, SourceFile
from fairseq_plugin.labelled.other_columns import write_cells
from fairseq_plugin.labelled.request import Request
from fairseq_plugin.labelled.rows import clean_rows, read_raw_rows, shared_suffix
from fairseq_plugin.labelled.source import UNKNOWN_LABEL, Rejection, Row, SourceSpec
from fairseq_plugin.labelled.split import hold_out
from fairseq_plugin.storage.dictionary import NUM_SPECIALS, dictionary_ids, index_of_id, write_dictionary
from fairseq_plugin.storage.folders import check_place, publish_prepared
from fairseq_plugin.storage.manifest import NAME
from fairseq_plugin.text.codec import Codec

__all__ = ["Prepared", "Request", "prepare"]


@dataclass
class Prepared:
    """What :func:`prepare` did.

    Attributes:
        manifest: the folder's manifest.
        notes: what was chosen or is worth knowing, one line each.
        rejected: by split, with details.
        unchanged: the same folder was there already, byte for byte.
    """

    manifest: Manifest
    notes: list[str]
    rejected: dict[str, list[Rejection]]
    unchanged: bool = False


@dataclass
class Source:
    """What was read from the user's files.

    Attributes:
        spec: form of the training file.
        files: that were read, by split.
        rows: of every split, cleaned.
        rejected: by split.
        notes: for a person, one line each.
    """

    spec: SourceSpec
    files: dict[str, SourceFile]
    rows: dict[str, list[Row]]
    rejected: dict[str, list[Rejection]]
    notes: list[str]


def prepare(request: Request) -> Prepared:
    """Prepare a folder; see the module.

    Raises:
        UserError: anything in the input that the user can mend. Nothing is written then.
    """
    request.check()
    place = check_place(request.to, NAME)
    source = _read(request)
    codec = request.codec_choice.make(lambda: [row.text for row in source.rows["train"]])
    manifest, encoded = _encode(request, source, codec)
    unchanged = publish_prepared(
        place, request.overwrite, lambda building: _fill(building, manifest, codec, encoded)
    )
    return Prepared(manifest, source.notes, source.rejected, unchanged)


def _read(request: Request) -> Source:
    """Rows of all splits, a part of train held out where no valid file is given."""
    spec, note = guess_source(
        request.train,
        request.format,
        request.header,
        request.quoting,
        request.text_column,
        request.label_column,
        request.max_bytes,
    )
    spec.keep_whitespace = request.keep_whitespace
    rows, rejected, files = _read_splits(request, spec)
    check_variety(rows["train"])
    notes = [note, *_not_utf8(request.paths, rejected)]
    if request.valid is None:
        train, valid = hold_out(rows["train"], request.held_out, request.seed)
        rows = {"train": train, "valid": valid, **{name: rows[name] for name in rows if name != "train"}}
        notes.append(
            f"valid: {request.held_out:.0%} of train held out, no sentence on both sides "
            f"(seed {request.seed})"
        )
    return Source(spec, files, rows, rejected, notes)


def _read_splits(
    request: Request, spec: SourceSpec
) -> tuple[dict[str, list[Row]], dict[str, list[Rejection]], dict[str, SourceFile]]:
    """Rows and rejections of the files given, cleaned; also sets ``spec.suffix``."""
    paths = request.paths
    raw, files = {}, {}
    for split, path in paths.items():
        raw[split] = read_raw_rows(path, spec, request.max_bytes)
        num_records = len(raw[split][0]) + len(raw[split][1])
        folder = Path(path).resolve().parent.name
        files[split] = SourceFile(Path(path).name, sha256(path), num_records, folder)
    if not spec.keep_whitespace:
        spec.suffix = shared_suffix(raw["train"][0])
    rows, rejected = {}, {}
    for split, (found, refused) in raw.items():
        rows[split], rejected[split] = clean_rows(found, refused, spec.keep_whitespace)
        if not rows[split]:
            why = f" ({count_reasons(rejected[split])})" if rejected[split] else ""
            if broken := next(iter(_not_utf8(paths, {split: rejected[split]})), ""):
                raise UserError(broken.removeprefix("WARNING: "))
            raise UserError(
                f"{paths[split]} holds no usable row{why}; read as: {describe(paths[split], spec)}"
            )
    return rows, rejected, files


def _not_utf8(paths: Mapping[str, str], rejected: Mapping[str, Sequence[Rejection]]) -> Iterator[str]:
    """A line on each file with rows that are not UTF-8: rarely a few bad rows, mostly another encoding."""
    for split, refused in rejected.items():
        found = [rejection.damage for rejection in refused if rejection.damage is not None]
        if found and split in paths:
            # One that looks otherwise tells more than many that might be either.
            first = next((damage for damage in found if not damage.is_western), found[0])
            yield f"WARNING: {len(found):,} rows left out: {first.refusal(paths[split])}"


def _encode(request: Request, source: Source, codec: Codec) -> tuple[Manifest, dict[str, Encoded]]:
    """Labels, examples, and the manifest that states them (but for ``files``)."""
    indices = index_of_id(codec)
    train = source.rows["train"]
    labels = build_labels(train, request.label_texts, request.separator, codec, indices)
    if len(labels) == 1:
        source.notes.append(f"every row has the label {labels[0].name!r}: is --label-column right?")
    source.notes += _single_labels(train)
    _check_labels(source, request)
    encoded = encode_splits(source.rows, source.rejected, labels, codec, request.max_tokens, indices)
    for split, examples in encoded.items():
        if not examples.rows:
            why = count_reasons(source.rejected[split])
            raise UserError(f"the {split} split is empty: all its rows were rejected ({why})")
        counts = Counter(row.label for row in examples.rows)
        for label in labels:
            label.counts[split] = counts[label.name]
    manifest = Manifest(
        codec=codec.kind,
        separator=request.separator,
        vocabulary=NUM_SPECIALS + len(dictionary_ids(codec)),
        labels=labels,
        source=source.spec,
        source_files=source.files,
        held_out=request.held_out if request.valid is None else None,
        seed=request.seed,
        splits={split: count_lengths(examples.items) for split, examples in encoded.items()},
        rejected={split: lines_by_reason(refused) for split, refused in source.rejected.items()},
        repeats=count_repeats({split: examples.rows for split, examples in encoded.items()}),
        max_tokens_per_row=request.max_tokens,
    )
    return manifest, encoded


def _single_labels(rows: Sequence[Row]) -> list[str]:
    """A note on each label that only one row has, at most three: a typing error, or a header."""
    counts = Counter(row.label for row in rows)
    single = [row for row in rows if counts[row.label] == 1]
    return [
        f"the label {listed([row.label])} is in one row only (line {row.line}): a slip, or a header?"
        for row in single[:3]
    ]


def _check_labels(source: Source, request: Request) -> None:
    """Every label of valid and test must be one of train's; other rows are refused or, if asked, rejected."""
    known = {row.label for row in source.rows["train"]}
    for split in ("valid", "test"):
        strange = [row for row in source.rows.get(split, ()) if row.label not in known]
        if strange and not request.drop_unknown_labels:
            path = getattr(request, split) or request.train
            first = strange[0]
            raise UserError(
                f"{path} line {first.line}: label {listed([first.label])} is not in train, which has "
                f"{listed(sorted(known))}; mend or remove the row, add rows of this label to train, choose "
                "--label-column, or give --drop-unknown-labels"
            )
        if strange:
            source.rejected[split] += [Rejection(row.line, UNKNOWN_LABEL, repr(row.label)) for row in strange]
            source.rows[split] = [row for row in source.rows[split] if row.label in known]


def _fill(building: Path, manifest: Manifest, codec: Codec, encoded: Mapping[str, Encoded]) -> None:
    """Write everything into a folder; sets ``manifest.files``."""
    position = {label.name: index for index, label in enumerate(manifest.labels)}
    for split, examples in encoded.items():
        labels = [position[row.label] for row in examples.rows]
        lines = [row.line for row in examples.rows]
        binary.write_split(building, split, examples.items, labels, lines, manifest.vocabulary)
        write_cells(building, split, examples.rows)
    counts = np.bincount(np.concatenate(encoded["train"].items), minlength=manifest.vocabulary)
    write_dictionary(building, dictionary_ids(codec), counts)
    codec.save(building)
    manifest.files = {path.name: sha256(path) for path in sorted(building.iterdir())}
    manifest.save(building)
