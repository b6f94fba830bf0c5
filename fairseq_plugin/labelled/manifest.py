"""``manifest.json``: what a prepared folder holds, where it came from and how it was made."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.source import SourceSpec
from fairseq_plugin.storage.manifest import Kind, load_manifest, save_manifest

KIND = Kind(
    format="labelled",
    what="data",
    holds="labelled data",
    script="scripts/prepare_labelled.py",
)


_SAY_NOTHING = ("train", "training", "data", "source", "prepared")  # as names of data


@dataclass
class Label:
    """A class.

    Attributes:
        name: as it is in the user's file.
        text: what the model reads, ``name`` unless told otherwise.
        prompt: dictionary indices of ``text + separator``: how every example of this label begins.
        counts: examples by split.
    """

    name: str
    text: str
    prompt: list[int]
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Lengths:
    """Tokens of an example, over a split: mean, median and 95th percentile."""

    mean: float
    p50: float
    p95: float


@dataclass(frozen=True)
class SplitCounts:
    """What a split holds; tokens count prompt, sentence and end."""

    rows: int
    tokens: int
    longest: int
    lengths: Lengths

    @classmethod
    def from_json(cls, stated: dict[str, Any]) -> "SplitCounts":
        """From the manifest's dictionary; ValueError when it is not one of ours."""
        counts = [stated[name] for name in ("rows", "tokens", "longest")]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError("splits")
        rows, tokens, longest = counts
        return cls(rows, tokens, longest, Lengths(**stated["lengths"]))


@dataclass(frozen=True)
class SourceFile:
    """A file that was read.

    Attributes:
        path: its base name.
        sha256: of its bytes.
        rows: number of records.
        folder: name of the folder that it lay in; empty in manifests of earlier versions.
    """

    path: str
    sha256: str
    rows: int
    folder: str = ""


@dataclass
class Manifest:
    """The manifest of a prepared folder.

    Attributes:
        codec: kind of tokenizer: ``"gpt2"``, ``"bytes"`` or ``"sentencepiece"``.
        separator: between label text and sentence.
        vocabulary: number of dictionary entries, fairseq's four specials included.
        labels: sorted by name; labels.npy counts in this order.
        source: form of the training file.
        source_files: by split.
        held_out: fraction held out of train for valid, or None when a file was given.
        seed: of the held-out split.
        splits: by name.
        rejected: ``{split: {reason: [line, ...]}}``.
        repeats: ``{"duplicates", "two_labels", "valid_in_train", "test_in_train"}``: rows of train
            equal to an earlier one; sentences of train under two labels; held rows met in train.
        max_tokens_per_row: rows above it were refused.
        files: ``{name: sha256}`` of every file of the folder but the manifest.
    """

    codec: str
    separator: str
    vocabulary: int
    labels: list[Label]
    source: SourceSpec
    source_files: dict[str, SourceFile]
    held_out: float | None
    seed: int
    splits: dict[str, SplitCounts]
    rejected: dict[str, dict[str, list[int]]]
    repeats: dict[str, int]
    max_tokens_per_row: int
    files: dict[str, str] = field(default_factory=dict)

    def data_name(self, folder: str | os.PathLike[str]) -> str:
        """What a person calls the data: the training file's name, or a folder's where that tells nothing.

        Args:
            folder: the prepared folder. Its name comes next; then that of the folder the training file lay
                in, and that of the prepared folder's parent.
        """
        place, source = Path(folder).resolve(), self.source_files["train"]
        prepared = place.name.partition("-from-")[0]  # data-from-gpt2: of scripts/augment.py --from
        names = [Path(source.path).stem, prepared, source.folder, place.parent.name]
        return next((name for name in names if name and name.lower() not in _SAY_NOTHING), place.name)

    def label(self, name: str) -> Label:
        """The label of this name, or of this text.

        Raises:
            UserError: there is none; the message lists those known.
        """
        return self.labels[self.label_index(name)]

    def label_index(self, name: str) -> int:
        """Position of a label in ``labels``; see :meth:`label`."""
        for attribute in ("name", "text"):
            for index, label in enumerate(self.labels):
                if getattr(label, attribute) == name:
                    return index
        known = ", ".join(
            repr(label.name) if label.name == label.text else f"{label.name!r} ({label.text!r})"
            for label in self.labels
        )
        raise UserError(f"unknown label {name!r}; this data has {known}")

    def to_json(self) -> dict[str, Any]:
        """As it is in the file, without format, version and digest."""
        source = self.source.to_json()
        files = {split: asdict(file) for split, file in self.source_files.items()}
        source.update(files=files, held_out=self.held_out, seed=self.seed)
        return {
            "codec": self.codec,
            "separator": self.separator,
            "vocabulary": self.vocabulary,
            "labels": [asdict(label) for label in self.labels],
            "source": source,
            "splits": {name: asdict(split) for name, split in self.splits.items()},
            "rejected": self.rejected,
            "repeats": self.repeats,
            "max_tokens_per_row": self.max_tokens_per_row,
            "files": self.files,
        }

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``manifest.json`` into a folder."""
        save_manifest(folder, KIND, self.to_json())

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "Manifest":
        """Read the manifest of a prepared folder.

        Raises:
            UserError: missing folder or file, not ours, of another version, or damaged.
        """
        return load_manifest(folder, KIND, cls._from_json)

    @classmethod
    def _from_json(cls, stated: dict[str, Any]) -> "Manifest":
        source = stated["source"]
        labels = [Label(**label) for label in stated["labels"]]
        if not labels or not all(isinstance(index, int) for label in labels for index in label.prompt):
            raise ValueError("labels")
        return cls(
            codec=stated["codec"],
            separator=stated["separator"],
            vocabulary=int(stated["vocabulary"]),
            labels=labels,
            source=SourceSpec.from_json(source),
            source_files={split: SourceFile(**file) for split, file in source["files"].items()},
            held_out=source["held_out"],
            seed=source["seed"],
            splits={name: SplitCounts.from_json(split) for name, split in stated["splits"].items()},
            rejected=dict(stated["rejected"]),
            repeats=dict(stated["repeats"]),
            max_tokens_per_row=int(stated["max_tokens_per_row"]),
            files=dict(stated["files"]),
        )
