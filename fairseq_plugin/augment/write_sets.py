"""The text files and the binary form of an augmented set."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fairseq_plugin.augment.augmented_set import Options, WrittenFile, mark_formula
from fairseq_plugin.augment.filter_options import Examples
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled.binary import keeps_other_columns, read_prepared_rows
from fairseq_plugin.labelled.label_folders import write_label_folders
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.rows import Row, SourceSpec, read_rows, write_rows

SYNTHETIC = "synthetic"  # stem of the file without real rows, where train.* holds both


def write_sets(
    folder: Path,
    data: Path,
    kept: Examples,
    real: Mapping[str, Examples],
    manifest: Manifest,
    seed: int,
    options: Options,
) -> dict[str, WrittenFile]:
    """Write everything but the record and the report.

    Args:
        folder: where to.
        data: the prepared folder.
        kept: the samples.
        real: by split.
        manifest: of the prepared folder.
        seed: of the order, with ``--shuffle``.
        options: see the class.

    Returns:
        The text files by name.
    """
    synthetic = [Row(text, manifest.labels[label].name) for label, text in kept]
    rows = (read_prepared_rows(data, "train") if options.join_train else []) + synthetic
    num_real = len(rows) - len(synthetic)
    if options.shuffle:
        random.Random(seed).shuffle(rows)
    ending = manifest.source.format
    files = {f"train.{ending}": _write(folder / f"train.{ending}", rows, num_real, manifest.source, options)}
    if options.join_train:
        path = folder / f"{SYNTHETIC}.{ending}"
        files[path.name] = _write(path, synthetic, 0, manifest.source, options)
    if options.binary:
        examples = [(manifest.label_index(row.label), row.text) for row in rows]
        others = {split: pairs for split, pairs in real.items() if split != "train"}
        write_label_folders(folder / "binary", {"train": examples} | others, data)
    return files


def other_columns(manifest: Manifest, options: Options) -> str | None:
    """What becomes of the source's columns besides text and label, in words; None where there are none."""
    if len(manifest.source.columns) <= 2:
        return None
    if not options.join_train:
        return "empty: a synthetic row has none"
    if keeps_other_columns(manifest, "train"):
        return "real rows keep theirs; synthetic rows have none"
    return "empty, those of real rows too: the data were prepared by a version that did not keep them"


def _write(
    path: Path, rows: Sequence[Row], num_real: int, source: SourceSpec, options: Options
) -> WrittenFile:
    """Write a file, and read it back before it counts as written."""
    written, marked = list(rows), 0
    if options.spreadsheet_safe:
        written = [replace(row, text=mark_formula(row.text)) for row in rows]
        marked = sum(new.text != old.text for new, old in zip(written, rows))
    write_rows(path, written, source)
    read, rejected = read_rows(path, source)
    if rejected or list(map(_content, read)) != list(map(_content, written)):
        raise AssertionError(
            f"{path.name} does not read back to its {len(written)} rows: a bug, please report it"
        )
    return WrittenFile(
        rows=len(rows),
        real=num_real,
        synthetic=len(rows) - num_real,
        marked=marked,
        bytes=path.stat().st_size,
        sha256=sha256(path),
    )


def _content(row: Row) -> tuple[str, str, object]:
    # Cells that are all empty are read back as such, and a synthetic row has none.
    others = list(row.cells.values()) if isinstance(row.cells, dict) else row.cells
    return (
        row.text,
        row.label,
        others if others and any(value not in ("", None) for value in others) else None,
    )
