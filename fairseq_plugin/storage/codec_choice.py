"""The tokenizer that flags ask for: one behaviour for every script that prepares data."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fairseq_plugin.errors import UserError
from fairseq_plugin.text.codec import (
    Codec,
    load_codec,
    load_sentencepiece,
    train_bytes_codec,
    train_sentencepiece,
)

KINDS = ("gpt2", "bytes", "sentencepiece")
TITLES = {"gpt2": "GPT-2's byte-level BPE", "bytes": "byte-level BPE", "sentencepiece": "sentencepiece"}
BELONGS_TO = {
    "gpt2_bpe": ("gpt2",),
    "vocab_size": ("bytes", "sentencepiece"),
    "sentencepiece_model": ("sentencepiece",),
}
MOST_IDS = 1_000_000  # of a tokenizer trained here; its table alone is 3 GB of weights at width 768


@dataclass(frozen=True)
class CodecChoice:
    """The flags that choose a tokenizer; None where one was not given.

    Attributes:
        codec: ``"gpt2"``, ``"bytes"`` or ``"sentencepiece"``.
        gpt2_bpe: folder of GPT-2's two files.
        vocab_size: ids of a tokenizer trained here.
        sentencepiece_model: a given model.
    """

    codec: str = "gpt2"
    gpt2_bpe: str | None = None
    vocab_size: int | None = None
    sentencepiece_model: str | None = None

    def check(self) -> None:
        """Refuse flags that are missing, contradict each other or are out of range.

        Raises:
            UserError: naming the flag, its value and the mend.
        """
        if self.codec not in KINDS:
            raise UserError(f"--codec {self.codec}: choose gpt2, bytes or sentencepiece")
        for name, kinds in BELONGS_TO.items():
            value = getattr(self, name)
            if value is not None and self.codec not in kinds:
                flag = "--" + name.replace("_", "-")
                raise UserError(
                    f"{flag} {value} contradicts --codec {self.codec}: it is for {' or '.join(kinds)}; "
                    "leave it out"
                )
        if self.codec == "gpt2" and self.gpt2_bpe is None:
            raise UserError("--codec gpt2 needs --gpt2-bpe DIR, the folder of encoder.json and vocab.bpe")
        if self.sentencepiece_model is not None and self.vocab_size is not None:
            raise UserError(
                "--vocab-size is for a model trained here: leave it out, or --sentencepiece-model"
            )
        if self.codec != "gpt2" and self.vocab_size is None and self.sentencepiece_model is None:
            other = " or --sentencepiece-model FILE" if self.codec == "sentencepiece" else ""
            raise UserError(f"--codec {self.codec} needs --vocab-size N{other}")
        if self.vocab_size is not None and self.vocab_size < 256:
            raise UserError(f"--vocab-size {self.vocab_size} is too small: the bytes alone are 256 ids")
        if self.vocab_size is not None and self.vocab_size > MOST_IDS:
            raise UserError(f"--vocab-size {self.vocab_size} is too large: give at most {MOST_IDS:,}")

    def make(self, training_texts: Callable[[], Iterable[str]]) -> Codec:
        """The tokenizer, loaded or trained; call :meth:`check` before the work.

        Args:
            training_texts: gives the texts that a tokenizer trained here sees; not called for a given one.

        Raises:
            UserError: files that are missing or hold another kind of tokenizer.
        """
        if self.codec == "gpt2":
            codec = load_codec(str(self.gpt2_bpe))
            if codec.kind != "gpt2":
                raise UserError(f"--gpt2-bpe {self.gpt2_bpe} holds a {codec.kind} tokenizer, not GPT-2's BPE")
            return codec
        if self.sentencepiece_model is not None:
            return load_sentencepiece(self.sentencepiece_model)
        assert self.vocab_size is not None, "check() comes first"
        if self.codec == "bytes":
            return train_bytes_codec(training_texts(), self.vocab_size)
        return train_sentencepiece(training_texts(), self.vocab_size)
