"""``manifest.json``: what a prepared folder holds, where it came from and how it was made."""

from dataclasses import asdict, dataclass, field

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.rows import SourceSpec
from fairseq_plugin.storage.manifest import Kind, load_manifest, save_manifest

KIND = Kind(
    format="labelled",
    version=1,
    what="data",
    holds="labelled data",
    script="scripts/prepare_labelled.py",
)


@dataclass
class Label:
    """A class.

    Attributes:
        name: as it stands in the user's file.
        text: what the model reads, ``name`` unless told otherwise.
        prompt: dictionary indices of ``text + separator``: how every row of this label begins.
        counts: rows by split.
    """

    name: str
    text: str
    prompt: list
    counts: dict = field(default_factory=dict)


@dataclass
class Manifest:
    """The manifest of a prepared folder.

    Attributes:
        codec: kind of tokenizer: ``"gpt2"``, ``"bytes"`` or ``"sentencepiece"``.
        separator: between label text and sentence.
        vocabulary: number of dictionary entries, fairseq's four specials included.
        labels: list of :class:`Label`, sorted by name; labels.npy counts in this order.
        source: :class:`SourceSpec` of the training file.
        source_files: ``{split: {"path": base name, "sha256": ..., "rows": records read}}``.
        held_out: fraction held out of train for valid, or None when a file was given.
        seed: of the held-out split.
        splits: ``{split: {"rows", "tokens", "longest", "lengths": {"mean", "p50", "p95"}}}``;
            tokens count prompt, sentence and end.
        rejected: ``{split: {reason: [line, ...]}}``.
        repeats: ``{"duplicates", "two_labels", "valid_in_train", "test_in_train"}``: rows of train
            equal to an earlier one; sentences of train under two labels; held rows met in train.
        max_tokens_per_row: rows above it were refused.
        files: ``{name: sha256}`` of dict.txt and every split's files.
    """

    codec: str
    separator: str
    vocabulary: int
    labels: list
    source: SourceSpec
    source_files: dict
    held_out: float | None
    seed: int
    splits: dict
    rejected: dict
    repeats: dict
    max_tokens_per_row: int
    files: dict = field(default_factory=dict)

    def label(self, name):
        """The label of this name, or of this text.

        Raises:
            UserError: there is none; the message lists those known.
        """
        return self.labels[self.label_index(name)]

    def label_index(self, name):
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

    def to_json(self):
        source = self.source.to_json()
        source.update(files=self.source_files, held_out=self.held_out, seed=self.seed)
        return {
            "codec": self.codec,
            "separator": self.separator,
            "vocabulary": self.vocabulary,
            "labels": [asdict(label) for label in self.labels],
            "source": source,
            "splits": self.splits,
            "rejected": self.rejected,
            "repeats": self.repeats,
            "max_tokens_per_row": self.max_tokens_per_row,
            "files": self.files,
        }

    def save(self, folder):
        """Write ``manifest.json`` into a folder."""
        save_manifest(folder, KIND, self.to_json())

    @classmethod
    def load(cls, folder):
        """Read the manifest of a prepared folder.

        Raises:
            UserError: missing folder or file, not ours, of another version, or damaged.
        """
        return load_manifest(folder, KIND, cls._from_json)

    @classmethod
    def _from_json(cls, stated):
        source = stated["source"]
        labels = [Label(**label) for label in stated["labels"]]
        if not labels or not all(isinstance(index, int) for label in labels for index in label.prompt):
            raise ValueError("labels")
        for split in stated["splits"].values():
            if not all(isinstance(split[name], int) for name in ("rows", "tokens", "longest")):
                raise ValueError("splits")
        return cls(
            codec=stated["codec"],
            separator=stated["separator"],
            vocabulary=int(stated["vocabulary"]),
            labels=labels,
            source=SourceSpec.from_json(source),
            source_files=dict(source["files"]),
            held_out=source["held_out"],
            seed=source["seed"],
            splits={name: dict(split) for name, split in stated["splits"].items()},
            rejected=dict(stated["rejected"]),
            repeats=dict(stated["repeats"]),
            max_tokens_per_row=int(stated["max_tokens_per_row"]),
            files=dict(stated["files"]),
        )
