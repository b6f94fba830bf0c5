"""What to prepare from running text: the flags of ``scripts/prepare_text.py``."""

from dataclasses import dataclass

from fairseq_plugin.storage.codec_choice import CodecChoice


@dataclass
class Request:
    """What to prepare.

    Attributes:
        train, valid, test: a text file, a folder of text files, or token tensors (``*.pt``).
        pattern: names of the files of a folder, as in a shell, several with commas.
        to: the folder to write.
        split: shares of ``train`` for train, valid and perhaps test, or None.
        documents: one of ``manifest.DOCUMENTS``, or ``"auto"``: wikitext where train looks like it, else
            file.
        codec, gpt2_bpe, vocab_size, sentencepiece_model: see :class:`CodecChoice`.
        overwrite: replace a different prepared folder.
        workers: encoding threads, >= 1.
    """

    train: str
    to: str
    valid: str | None = None
    test: str | None = None
    split: tuple[float, ...] | None = None
    documents: str = "auto"
    pattern: str = "*.txt"
    codec: str = "gpt2"
    gpt2_bpe: str | None = None
    vocab_size: int | None = None
    sentencepiece_model: str | None = None
    overwrite: bool = False
    workers: int = 1

    @property
    def codec_choice(self) -> CodecChoice:
        """The four flags that choose the tokenizer."""
        return CodecChoice(self.codec, self.gpt2_bpe, self.vocab_size, self.sentencepiece_model)
