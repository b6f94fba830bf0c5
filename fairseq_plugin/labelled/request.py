"""What to prepare from labelled rows: the flags of ``scripts/prepare_labelled.py``."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.source import MAX_BYTES
from fairseq_plugin.storage.codec_choice import CodecChoice


@dataclass
class Request:
    """What to prepare.

    Attributes:
        train, valid, test: files; without ``valid`` a share ``held_out`` of train is held out.
        to: the folder to write.
        format, header, quoting, text_column, label_column: see :func:`guess_source`.
        label_texts: ``{name: text}``.
        seed: of the held-out part.
        codec, gpt2_bpe, vocab_size, sentencepiece_model: see :class:`CodecChoice`.
        max_tokens: longest example, prompt and end included.
        max_bytes: largest row, all its columns included.
        overwrite: replace a different prepared folder.
        drop_unknown_labels: leave out, and count, rows of valid and test whose label train lacks.
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
    label_texts: Mapping[str, str] = field(default_factory=dict)
    held_out: float = 0.1
    seed: int = 1
    codec: str = "gpt2"
    gpt2_bpe: str | None = None
    vocab_size: int | None = None
    sentencepiece_model: str | None = None
    max_tokens: int = 1024
    max_bytes: int = MAX_BYTES
    separator: str = "\t"
    keep_whitespace: bool = False
    overwrite: bool = False
    drop_unknown_labels: bool = False

    @property
    def codec_choice(self) -> CodecChoice:
        """The four flags that choose the tokenizer."""
        return CodecChoice(self.codec, self.gpt2_bpe, self.vocab_size, self.sentencepiece_model)

    @property
    def paths(self) -> dict[str, str]:
        """The files given, by split."""
        given = {"train": self.train, "valid": self.valid, "test": self.test}
        return {split: path for split, path in given.items() if path is not None}

    def check(self) -> None:
        """Refuse values that cannot be meant, before any file is read.

        Raises:
            UserError: naming the flag, its value and the mend.
        """
        if self.max_tokens < 3:
            raise UserError(
                f"--max-row-tokens {self.max_tokens}: a row needs at least 3 tokens (label, sentence, end)"
            )
        if self.max_bytes < 1:
            raise UserError(f"--max-bytes {self.max_bytes} must be at least 1")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"--seed {self.seed} must be between 0 and 2^63 - 1")
        self.codec_choice.check()
