"""``manifest.json`` of a prepared table."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fairseq_plugin.storage.manifest import Kind, load_manifest, save_manifest
from fairseq_plugin.storage.splits import SplitFiles, read_verified
from fairseq_plugin.tables.code.rare_texts import NAME as RARE_TEXTS
from fairseq_plugin.tables.code.rare_texts import RareTexts
from fairseq_plugin.tables.code.rows import NAME as CODE
from fairseq_plugin.tables.code.rows import RowCode
from fairseq_plugin.text.base import META
from fairseq_plugin.text.codec import load_codec

KIND = Kind(format="table", what="table", holds="a table", script="scripts/prepare_table.py")


@dataclass(frozen=True)
class SplitCounts:
    """Rows, tokens (ends included) and the longest row's tokens of a split."""

    rows: int
    tokens: int
    longest: int


@dataclass(frozen=True)
class SourceTable:
    """A file that was read: base name, SHA-256, rows, format, and whether its first line is a header."""

    path: str
    sha256: str
    rows: int
    format: str
    header: bool


@dataclass(frozen=True)
class TableManifest:
    """The manifest of a prepared table.

    Attributes:
        vocabulary: number of dictionary entries, fairseq's four specials included.
        longest: tokens of the longest possible row, its end included.
        order: ``fixed`` or ``random``.
        rare: categories and texts of fewer rows are not drawn, nor numbers but by their digits.
        tokenizer: fingerprint of the one whose tokens texts are written in (:meth:`Codec.digest`), in
            hexadecimal; None: texts are bytes.
        held_out: share of the table held out for valid, or None when a file was given.
        seed: of the held-out rows.
        splits: by name.
        source_files: by split.
        rejected: ``{split: {why: [line, ...]}}``, rows of valid and test that the code cannot hold, and
            empty lines.
        files: ``{name: sha256}`` of every file of the folder but the manifest.
    """

    vocabulary: int
    longest: int
    order: str
    rare: int
    held_out: float | None
    seed: int
    splits: dict[str, SplitCounts]
    source_files: dict[str, SourceTable]
    rejected: dict[str, dict[str, list[int]]]
    files: Mapping[str, str] = field(default_factory=dict)
    tokenizer: str | None = None

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``manifest.json`` into a folder."""
        save_manifest(folder, KIND, asdict(self))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "TableManifest":
        """Read the manifest of a prepared table.

        Raises:
            UserError: missing folder or file, not ours, of another version, or damaged.
        """
        return load_manifest(folder, KIND, cls._from_json)

    @classmethod
    def _from_json(cls, stated: dict[str, Any]) -> "TableManifest":
        return cls(
            vocabulary=int(stated["vocabulary"]),
            longest=int(stated["longest"]),
            order=str(stated["order"]),
            rare=int(stated["rare"]),
            held_out=stated["held_out"],
            seed=int(stated["seed"]),
            splits={name: SplitCounts(**split) for name, split in stated["splits"].items()},
            source_files={name: SourceTable(**file) for name, file in stated["source_files"].items()},
            rejected=dict(stated["rejected"]),
            files=dict(stated["files"]),
            tokenizer=stated.get("tokenizer"),  # folders of earlier versions have none
        )


def load_code(folder: str | os.PathLike[str], manifest: TableManifest) -> RowCode:
    """The code of a prepared table, from bytes that were hashed.

    Raises:
        UserError: missing or damaged.
    """
    content = read_verified(Path(folder), CODE, manifest.files, KIND.what)
    codec = None
    if manifest.tokenizer is not None:
        read_verified(Path(folder), META, manifest.files, KIND.what)  # has the digests of the others
        codec = load_codec(folder)
    code = RowCode.parse(content, Path(folder) / CODE, codec)
    if RARE_TEXTS in manifest.files:  # folders of earlier versions have none
        digests = read_verified(Path(folder), RARE_TEXTS, manifest.files, KIND.what)
        code.rare_texts = RareTexts.parse(digests)
    return code


def split_files(folder: str | os.PathLike[str], split: str, manifest: TableManifest) -> SplitFiles:
    """The files of one split, which the manifest must know."""
    files = SplitFiles(Path(folder), split, manifest, KIND.what)
    files.require_known()
    return files
