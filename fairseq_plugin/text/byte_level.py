"""Byte-level BPE: GPT-2's own from its two files, and one trained on the data.

Text is cut by GPT-2's pattern into words with their leading space; the UTF-8 bytes of a word are
256 printable characters ("Ġ" for a space) that merges join. All 256 are in the vocabulary, so any
text can be encoded; there is no normaliser, no added prefix space and no added special token.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import regex
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from fairseq_plugin.errors import UserError
from fairseq_plugin.text.base import Codec, is_unicode, read_file
from fairseq_plugin.text.training_text import cut_long_words

END_OF_TEXT = "<|endoftext|>"
NUM_BYTES = 256
# GPT-2's pattern. It cuts a word alone into that word, so words can be encoded one by one and remembered:
# most words of a text have been met before, and this takes a quarter of the time.
WORDS = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
MOST_KNOWN = 1 << 20  # characters, some 40 MB with their ids


class ByteLevelCodec(Codec):
    """A BPE over bytes; ``kind`` tells whose files it was built from."""

    def __init__(
        self,
        kind: str,
        vocab: dict[str, int],
        merges: list[tuple[str, str]],
        files: dict[str, bytes],
        end_id: int | None,
        origin: str,
    ) -> None:
        """
        Args:
            kind: ``"gpt2"`` or ``"bytes"``.
            vocab: the id of each token, 0 .. n - 1.
            merges: pairs of tokens, in order of rank.
            files: see :class:`Codec`.
            end_id: id of the end of text, never emitted, or None.
            origin: what to name in errors.
        """
        self.kind = kind
        super().__init__(_pieces(vocab, end_id, origin), files, end_id)
        for first, second in merges:  # the library would panic, not raise
            if not {first, second, first + second} <= vocab.keys():
                raise UserError(
                    f"{origin}: the merges do not fit the vocabulary, which lacks {first!r}, {second!r} or "
                    "both joined; the two files do not belong together"
                )
        self._tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
        self._tokenizer.pre_tokenizer = _splitter()

        self._known: dict[str, list[int]] = {}  # ids of the words met
        self._size = 0  # characters of these words

    def try_encode_batch(
        self, texts: Iterable[str], continued: Sequence[bool] | None = None
    ) -> list[list[int] | None]:
        known = self._known  # other threads may put a new dict in its place, and never take a word out of one
        words = [WORDS.findall(text, concurrent=True) if is_unicode(text) else None for text in texts]
        met = set(chain.from_iterable(found for found in words if found))
        new = [word for word in met if word not in known]  # a difference of sets would walk all known words
        if new:
            encoded = self._tokenizer.encode_batch_fast(new, add_special_tokens=False)
            known.update(zip(new, (encoding.ids for encoding in encoded), strict=True))
            self._size += sum(map(len, new))
            if self._size > MOST_KNOWN:
                self._known, self._size = {}, 0
        return [
            None if found is None else list(chain.from_iterable(map(known.__getitem__, found)))
            for found in words
        ]


def gpt2_codec(
    encoder_json: str | os.PathLike[str],
    vocab_bpe: str | os.PathLike[str],
    contents: Sequence[bytes] | None = None,
) -> ByteLevelCodec:
    """GPT-2's byte-level BPE from its two files.

    Args:
        encoder_json: path of ``encoder.json`` (Hugging Face: ``vocab.json``).
        vocab_bpe: path of ``vocab.bpe`` (Hugging Face: ``merges.txt``).
        contents: the bytes of both files when they were read already.
    """
    encoder, merges = contents or (read_file(encoder_json), read_file(vocab_bpe))
    vocab = parse_vocab(encoder, encoder_json)
    files = {"encoder.json": encoder, "vocab.bpe": merges}
    return ByteLevelCodec(
        "gpt2", vocab, parse_merges(merges, vocab_bpe), files, vocab.get(END_OF_TEXT), f"{encoder_json}"
    )


def bytes_codec(
    vocab_json: str | os.PathLike[str], merges_txt: str | os.PathLike[str], contents: Sequence[bytes]
) -> ByteLevelCodec:
    """The codec that :func:`train_bytes_codec` made, from the bytes of its two files."""
    vocab = parse_vocab(contents[0], vocab_json)
    files = {"vocab.json": contents[0], "merges.txt": contents[1]}
    return ByteLevelCodec("bytes", vocab, parse_merges(contents[1], merges_txt), files, None, f"{vocab_json}")


def train_bytes_codec(texts: Iterable[str], vocab_size: int) -> ByteLevelCodec:
    """A byte-level BPE trained on texts, in time linear in their length.

    Args:
        texts: the training sentences.
        vocab_size: number of ids wanted, at least 256; fewer come back when the texts have too
            few pairs that occur twice.
    """
    if vocab_size < NUM_BYTES:
        raise UserError(f"--vocab-size {vocab_size} is too small: a byte-level codec needs at least 256")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _splitter()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,  # a pair seen once would only memorise one example
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    valid = (text for text in texts if is_unicode(text))
    tokenizer.train_from_iterator(cut_long_words(valid, WORDS), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocab = json.dumps(model["vocab"], ensure_ascii=False, indent=0).encode()
    merges = "".join(f"{a} {b}\n" for a, b in model["merges"])
    return bytes_codec("vocab.json", "merges.txt", (vocab, f"#version: 0.2\n{merges}".encode()))


def parse_vocab(content: bytes, path: str | os.PathLike[str]) -> dict[str, int]:
    """The id of each token, from a JSON vocabulary whose ids are exactly 0 .. n - 1."""
    try:
        vocab = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a JSON vocabulary: {error}") from error
    if not isinstance(vocab, dict) or not all(type(number) is int for number in vocab.values()):
        raise UserError(f"{path} is not a vocabulary: expected one JSON object of token: id")
    if sorted(vocab.values()) != list(range(len(vocab))):
        raise UserError(f"{path} is damaged: its {len(vocab)} ids are not exactly 0 .. {len(vocab) - 1}")
    return vocab


def parse_merges(content: bytes, path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """The pairs of a merges file: a ``#version`` line, then two tokens a line."""
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a merges file: {error}") from error
    merges = []
    for number, line in enumerate(lines, start=1):
        line = line.removesuffix("\r")
        if not line or (number == 1 and line.startswith("#version")):
            continue
        first, _, second = line.partition(" ")
        if not first or not second or " " in second:
            raise UserError(f"{path} line {number}: expected two tokens and one space, found {line[:60]!r}")
        merges.append((first, second))
    return merges


def _splitter() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def _byte_of_character() -> dict[str, int]:
    """GPT-2's table: printable bytes stand for themselves, the others for U+0100 onwards."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(NUM_BYTES) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    table.update({chr(NUM_BYTES + n): byte for n, byte in enumerate(others)})
    return table


def _pieces(vocab: Mapping[str, int], end_id: int | None, origin: str) -> list[bytes]:
    """The bytes of each id, and the checks that make the round trip certain."""
    table = _byte_of_character()
    missing = [byte for character, byte in table.items() if character not in vocab]
    if missing:
        raise UserError(
            f"{origin}: {len(missing)} of the 256 bytes are not in the vocabulary (first: {missing[0]}), "
            "so some texts could not be written; this is not a byte-level BPE"
        )
    pieces = [b""] * len(vocab)
    for token, number in vocab.items():
        if number == end_id:
            continue  # the end has no text
        try:
            pieces[number] = bytes(table[character] for character in token)
        except KeyError as error:
            raise UserError(
                f"{origin}: the token {token!r} (id {number}) holds {error}, which stands for no byte; "
                "special tokens besides <|endoftext|> are not supported"
            ) from error
    return pieces
