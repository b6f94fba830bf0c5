"""``manifest.json`` of a prepared text folder: what it holds, where it came from and how it was made."""

from dataclasses import asdict, dataclass, field

from fairseq_plugin.storage.manifest import Kind, load_manifest, save_manifest

DOCUMENTS = ("file", "blank-lines", "line", "wikitext")
END_TOKENS = "end-tokens"  # documents of token tensors: they end at GPT-2's 50256
COUNTS = ("documents", "tokens", "bytes", "characters", "words", "longest")
SCRIPT = "scripts/prepare_text.py"
KIND = Kind(
    format="text",
    version=1,
    what="text",
    holds="prepared text",
    script=SCRIPT,
    others={
        "labelled": "holds labelled rows, not running text: use --task conditional_augmentation "
        f"with it, or prepare a text with {SCRIPT}"
    },
)


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
        save_manifest(folder, KIND, asdict(self))

    @classmethod
    def load(cls, folder):
        """Read the manifest of a prepared folder.

        Raises:
            UserError: missing folder or file, not ours, of another version or kind of data, or damaged.
        """
        return load_manifest(folder, KIND, cls._from_json)

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
