"""Sentencepiece, given or trained, with an exact round trip or a refusal.

Sentencepiece writes a space as U+2581, so a text that holds U+2581 itself would come back with
spaces. Where the model has byte pieces, that one character is written as its three bytes: exact,
and no escape character is needed. Every other loss (a normaliser, a character without a piece) is
found by decoding again, and the text is refused.
"""

import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence

import regex
import sentencepiece

from fairseq_plugin.errors import UserError
from fairseq_plugin.text.base import Codec, is_unicode, read_file
from fairseq_plugin.text.training_text import cut_long_words

SPACE = "\u2581"
MODEL = "sentencepiece.model"
NUM_FIXED = 257  # the unknown symbol and the bytes
REPLACEMENT = "\ufffd".encode()
WORDS = regex.compile("[^ ]+")  # what the trainer takes for words: of all white space it knows the space only


class SentencePieceCodec(Codec):
    """A sentencepiece model as a codec."""

    kind = "sentencepiece"
    cut_before = " "

    def __init__(self, model: bytes, origin: str | os.PathLike[str]) -> None:
        """
        Args:
            model: the bytes of a ``.model`` file.
            origin: what to name in errors.
        """
        try:
            # Parsing garbage raises RuntimeError; an empty string is accepted, hence the size.
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
            size = self._processor.vocab_size()
        except Exception as error:
            raise UserError(f"{origin} is not a sentencepiece model: {error}") from error
        if size == 0:
            raise UserError(f"{origin} is not a sentencepiece model: it holds no pieces")
        super().__init__([_bytes_of(self._processor, number) for number in range(size)], {MODEL: model})
        # Models such as Llama's put a space before every text; decoding takes it away again.
        self._adds_space = self._processor.normalize("a").startswith(SPACE)
        self._space_ids = self._byte_ids(SPACE.encode())

    def _byte_ids(self, content: bytes) -> list[int] | None:
        """Ids of the byte pieces that spell ``content``, or None when the model has no byte pieces."""
        by_byte = {
            int(self._processor.id_to_piece(number)[1:-1], 16): number
            for number in range(self.num_ids)
            if self._processor.is_byte(number)
        }
        return [by_byte[byte] for byte in content] if len(by_byte) == 256 else None

    def try_encode_batch(
        self, texts: Iterable[str], continued: Sequence[bool] | None = None
    ) -> list[list[int] | None]:
        texts = list(texts)
        if self._adds_space and continued is not None and any(continued):
            # The space that begins a continued text is the one that the model adds.
            starts = zip(texts, continued, strict=True)
            return self.try_encode_batch([text[1:] if goes_on else text for text, goes_on in starts])
        between = [] if self._space_ids is None or self._adds_space else self._space_ids
        parts, whose = [], []
        for number, text in enumerate(texts):
            if is_unicode(text):
                pieces = text.split(SPACE) if between else [text]
                parts.extend(pieces)
                whose.extend([number] * len(pieces))
        found: list[list[int] | None] = [None] * len(texts)
        for number, ids in zip(whose, self._processor.encode(parts), strict=True):
            before = found[number]
            if before is None:
                found[number] = ids
            else:
                before += between  # in place: a text may hold this character a million times
                before += ids
        return [
            ids if ids is not None and self.decode(ids) == text else None
            for text, ids in zip(texts, found, strict=True)
        ]

    def decode(self, ids: Iterable[int]) -> str:
        text = super().decode(ids)
        return text[1:] if self._adds_space and text.startswith(" ") else text


def load_sentencepiece(path: str | os.PathLike[str]) -> SentencePieceCodec:
    """A given sentencepiece model, from its ``.model`` file."""
    return SentencePieceCodec(read_file(path), path)


def train_sentencepiece(texts: Iterable[str], vocab_size: int) -> SentencePieceCodec:
    """A unigram sentencepiece model trained on texts: identity normalisation, byte fallback.

    Args:
        texts: the training sentences.
        vocab_size: the most ids wanted; 257 of them are the unknown symbol and the bytes, and at
            most half of the others single characters (rarer ones are written as bytes).
    """
    model = io.BytesIO()
    valid = list(cut_long_words((text for text in texts if is_unicode(text)), WORDS))
    sentences = _common_characters(valid, (vocab_size - NUM_FIXED) // 2)
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(text for text in sentences if text),
            model_writer=model,
            vocab_size=vocab_size,
            model_type="unigram",
            hard_vocab_limit=False,
            byte_fallback=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            max_sentence_length=1 << 20,
            num_threads=1,  # the same model on every machine
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise UserError(
            f"sentencepiece could not train {vocab_size} pieces on this text: {reason}; "
            "choose another --vocab-size (300 or more)"
        ) from error
    return SentencePieceCodec(model.getvalue(), "the trained model")


def _common_characters(texts: Sequence[str], budget: int) -> list[str]:
    """The texts with the ``budget`` most frequent characters only.

    The trainer insists on a piece for (nearly) every character it sees, and fails when there are
    more than pieces. Those left out here are written as bytes, as all unseen ones are.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    rare: dict[int, str | None]
    rare = dict.fromkeys(ord(character) for character, _ in counts.most_common()[max(budget, 1) :])
    # A NUL or a tab would make the trainer skip the whole sentence; U+2581 is never a piece of ours.
    rare |= {0: " ", ord("\t"): " ", ord(SPACE): None}
    return [text.translate(rare) for text in texts]


def _bytes_of(processor: sentencepiece.SentencePieceProcessor, number: int) -> bytes:
    """The text of one piece as UTF-8 bytes."""
    piece = processor.id_to_piece(number)
    if processor.is_byte(number):
        return bytes([int(piece[1:-1], 16)])
    if processor.is_control(number):
        return b""
    if processor.is_unknown(number):
        return REPLACEMENT
    return piece.replace(SPACE, " ").encode("utf-8")
