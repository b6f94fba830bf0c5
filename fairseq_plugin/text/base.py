"""What every codec promises: ``decode(encode(text)) == text``, and decoding never fails.

A codec is a table of byte strings, one per id, plus a way to cut text into ids. Decoding is the
same for all kinds: join the byte strings and read them as UTF-8. Nothing in a text can become a
special symbol, because specials have no text: ``</s>`` is four ordinary characters.
"""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write

META = "codec.json"
VERSION = 1


class Codec(ABC):
    """Text <-> ids.

    Attributes:
        kind: ``"gpt2"``, ``"bytes"`` or ``"sentencepiece"``.
        num_ids: ids are 0 .. num_ids - 1. (The dictionary has other ``num_symbols``: fairseq adds its own.)
        end_id: the id that means "end of text" (GPT-2: 50256), or None. ``encode`` never emits it.
        files: the bytes of the tokenizer's files by name, as they were read.
        cut_before: the characters before which :mod:`fairseq_plugin.text.segments` may cut a long text.
    """

    kind: str = ""
    cut_before: str = "\n "

    def __init__(self, pieces: list[bytes], files: dict[str, bytes], end_id: int | None = None) -> None:
        """
        Args:
            pieces: the bytes of each id; specials are ``b""``.
            files: see the class; written by :meth:`save`.
            end_id: see the class.
        """
        self._pieces = pieces
        self.num_ids = len(pieces)
        self.end_id = end_id
        self.files = files

    @abstractmethod
    def try_encode_batch(
        self, texts: Iterable[str], continued: Sequence[bool] | None = None
    ) -> list[list[int] | None]:
        """Ids of many texts, in time linear in their length, with None where one cannot be encoded exactly.

        Args:
            texts: the texts.
            continued: for each text, whether it goes on where a longer text was cut before one of
                ``cut_before``; None: none does.

        Returns:
            The ids of each text, or None when it is not valid Unicode (lone surrogates) or the tokenizer
            would alter it.
        """

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """Ids of many texts.

        Raises:
            UserError: a text cannot be encoded exactly.
        """
        texts, encoded = list(texts), []
        for text, ids in zip(texts, self.try_encode_batch(texts), strict=True):
            if ids is None:
                shown = ascii(text if len(text) <= 60 else text[:57] + "...")
                raise UserError(f"the text {shown} {self.refusal(text)}")
            encoded.append(ids)
        return encoded

    def encode(self, text: str) -> list[int]:
        """Ids of one text; see :meth:`encode_batch`."""
        return self.encode_batch([text])[0]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids.

        Bytes that are not UTF-8 (ids cut in the middle of a character, or in an order no text
        has) become U+FFFD; every sequence of ids in range decodes.

        Args:
            ids: in 0 .. num_ids - 1.

        Raises:
            UserError: an id out of range.
        """
        return self.join(ids).decode("utf-8", errors="replace")

    def join(self, ids: Iterable[int]) -> bytes:
        """The bytes that ids stand for; see :meth:`decode`."""
        pieces = []
        for token in ids:
            if not 0 <= token < self.num_ids:
                raise UserError(
                    f"token id {token} is outside this tokenizer's 0 .. {self.num_ids - 1}: "
                    f"the ids come from another tokenizer ({self.kind} is loaded)"
                )
            pieces.append(self._pieces[token])
        return b"".join(pieces)

    def refusal(self, text: str) -> str:
        """Why ``try_encode_batch`` gave None for ``text``: the end of a sentence for a person."""
        if not is_unicode(text):
            return "is not valid Unicode: it holds a lone surrogate (a broken half of a character)"
        return (
            f"would be altered by this {self.kind} tokenizer (its normaliser or its missing characters): "
            "use --codec bytes, or a model trained here (identity normalisation, byte fallback)"
        )

    def digest(self) -> bytes:
        """SHA-256 of what every id stands for: the same for one tokenizer, however its files are written."""
        pieces = (len(piece).to_bytes(4, "big") + piece for piece in self._pieces)
        return hashlib.sha256(b"".join(pieces)).digest()

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the tokenizer's files and ``codec.json`` (kind, SHA-256 of each) into an existing folder."""
        folder, hashes = Path(folder), {}
        for name, content in self.files.items():
            with atomic_write(folder / name, "wb") as stream:
                stream.write(content)
            hashes[name] = hashlib.sha256(content).hexdigest()
        with atomic_write(folder / META) as stream:
            json.dump({"version": VERSION, "kind": self.kind, "files": hashes}, stream, indent=1)
            stream.write("\n")


def is_unicode(text: str) -> bool:
    """False when ``text`` holds a lone surrogate, which no UTF-8 file can store."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def read_file(path: str | os.PathLike[str]) -> bytes:
    """A tokenizer file's bytes; UserError when it is missing or unreadable."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the tokenizer file {path}: {error.strerror or error}") from error
