"""``manifest.json`` of a prepared text folder: what it holds, where it came from and how it was made."""

import os
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from fairseq_plugin.storage.manifest import Kind, load_manifest, save_manifest

DOCUMENTS = ("file", "blank-lines", "line", "wikitext")
END_TOKENS = "end-tokens"  # documents of token tensors: they end at GPT-2's 50256
SCRIPT = "scripts/prepare_text.py"
KIND = Kind(
    format="text",
    what="text",
    holds="prepared text",
    script=SCRIPT,
    others={
        "labelled": "holds labelled rows, not running text: use --task conditional_augmentation "
        f"with it, or prepare a text with {SCRIPT}"
    },
)


@dataclass
class TextCounts:
    """What a split holds.

    Attributes:
        documents: number of documents.
        tokens: of all documents, one end each included.
        bytes, characters, words: of the text (UTF-8; words are runs between white space), ends not counted.
        longest: a document's tokens, its end included.
    """

    documents: int = 0
    tokens: int = 0
    bytes: int = 0
    characters: int = 0
    words: int = 0
    longest: int = 0

    @classmethod
    def from_json(cls, stated: dict[str, Any]) -> "TextCounts":
        """From the manifest's dictionary; ValueError when it is not one of ours."""
        found = cls(**{item.name: stated[item.name] for item in fields(cls)})
        if not all(type(count) is int and count >= 0 for count in asdict(found).values()):
            raise ValueError("splits")
        return found


@dataclass
class TextManifest:
    """The manifest of a prepared text folder.

    Attributes:
        codec: kind of tokenizer: ``"gpt2"``, ``"bytes"`` or ``"sentencepiece"``.
        vocabulary: number of dictionary entries, fairseq's four specials included.
        documents: what a document is: one of ``DOCUMENTS``, or ``"end-tokens"`` for token tensors.
        splits: by name.
        source: ``{"files": {split: [{"path": base name, "sha256", "bytes"}]}, "split": fractions or None}``:
            with fractions, all files are under ``"train"``, which was cut into the splits in order.
        files: ``{name: sha256}`` of dict.txt, the tokenizer and every split's files.
    """

    codec: str
    vocabulary: int
    documents: str
    splits: dict[str, TextCounts]
    source: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``manifest.json`` into a folder."""
        save_manifest(folder, KIND, asdict(self))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "TextManifest":
        """Read the manifest of a prepared folder.

        Raises:
            UserError: missing folder or file, not ours, of another version or kind of data, or damaged.
        """
        return load_manifest(folder, KIND, cls._from_json)

    @classmethod
    def _from_json(cls, stated: dict[str, Any]) -> "TextManifest":
        if stated["documents"] not in (*DOCUMENTS, END_TOKENS):
            raise ValueError("documents")
        return cls(
            codec=str(stated["codec"]),
            vocabulary=int(stated["vocabulary"]),
            documents=stated["documents"],
            splits={name: TextCounts.from_json(split) for name, split in stated["splits"].items()},
            source=dict(stated["source"]),
            files=dict(stated["files"]),
        )
