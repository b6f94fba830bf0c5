"""The text files and the binary form of an augmented set."""

import random
from collections.abc import Mapping
from pathlib import Path

from fairseq_plugin.augment.augmented_set import Options, WrittenFile
from fairseq_plugin.augment.filters.options import Examples
from fairseq_plugin.augment.jobs.row_files import write_parts
from fairseq_plugin.labelled.binary import keeps_other_columns, read_prepared_rows
from fairseq_plugin.labelled.label_folders import write_label_folders
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.rows import Row

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
    if options.shuffle:
        random.Random(seed).shuffle(rows)
    sets = {"train": rows} | ({SYNTHETIC: synthetic} if options.join_train else {})
    names, files = [label.name for label in manifest.labels], {}
    for stem, own in sets.items():
        files |= write_parts(
            folder, stem, own, len(own), manifest.source, names, spreadsheet_safe=options.spreadsheet_safe
        )
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
