"""``manifest.json`` of a prepared text folder: what it holds, where it came from and how it was made."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write

NAME = "manifest.json"
FORMAT = "text"
VERSION = 1
DOCUMENTS = ("file", "blank-lines", "line", "wikitext")
END_TOKENS = "end-tokens"  # documents of token tensors: they end at GPT-2's 50256
COUNTS = ("documents", "tokens", "bytes", "characters", "words", "longest")
SCRIPT = "scripts/prepare_text.py"


@dataclass
class TextManifest:
    """The manifest of a prepared text folder.

    Attributes:
        codec: kind of tokenizer: ``"gpt2"``, ``"bytes"`` or ``"sentencepiece"``.
        vocabulary: number of dictionary entries, fairseq's four specials included.
        documents: what a document is: one of ``DOCUMENTS``, or ``"end-tokens"`` for token tensors.
        splits: ``{split: {"documents", "tokens", "bytes", "characters", "words", "longest"}}``. Tokens
            include one end per document; bytes (UTF-8), characters and words (runs between white space) are
            those of the text, ends not counted; longest is a document's tokens, its end included.
        source: ``{"files": {split: [{"path": base name, "sha256", "bytes"}]}, "split": fractions or None}``:
            with fractions, all files stand under ``"train"``, which was cut into the splits in order.
        files: ``{name: sha256}`` of dict.txt, the tokenizer and every split's files.
    """

    codec: str
    vocabulary: int
    documents: str
    splits: dict
    source: dict
    files: dict = field(default_factory=dict)

    def save(self, folder):
        """Write ``manifest.json`` into a folder."""
        with atomic_write(Path(folder) / NAME) as stream:
            stated = {"format": FORMAT, "version": VERSION, **asdict(self)}
            json.dump(stated, stream, indent=1, ensure_ascii=False)
            stream.write("\n")

    @classmethod
    def load(cls, folder):
        """Read the manifest of a prepared folder.

        Raises:
            UserError: missing folder or file, not ours, of another version or kind of data, or damaged.
        """
        path = Path(folder) / NAME
        if not Path(folder).is_dir():
            raise UserError(f"no folder {folder}; prepare text with {SCRIPT}")
        if not path.is_file():
            raise UserError(f"{folder} has no {NAME}: it is no prepared text; use {SCRIPT}")
        try:
            stated = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{path} is damaged: {error}; prepare the text again") from error
        found = stated.get("format") if isinstance(stated, dict) else None
        if found == "labelled":
            raise UserError(
                f"{folder} holds labelled rows, not running text: use --task conditional_augmentation "
                f"with it, or prepare a text with {SCRIPT}"
            )
        if found != FORMAT:
            raise UserError(f"{path} is not a manifest of prepared text; use {SCRIPT}")
        if stated.get("version") != VERSION:
            raise UserError(
                f"{path} has version {stated.get('version')!r}, this code reads {VERSION}; prepare again"
            )
        try:
            return cls._from_json(stated)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error!r}); prepare the text again") from error

    @classmethod
    def _from_json(cls, stated):
        splits = {name: dict(split) for name, split in stated["splits"].items()}
        for split in splits.values():
            if not all(type(split[name]) is int and split[name] >= 0 for name in COUNTS):
                raise ValueError("splits")
        if stated["documents"] not in (*DOCUMENTS, END_TOKENS):
            raise ValueError("documents")
        return cls(
            codec=str(stated["codec"]),
            vocabulary=int(stated["vocabulary"]),
            documents=stated["documents"],
            splits=splits,
            source=dict(stated["source"]),
            files=dict(stated["files"]),
        )
