"""What every codec promises: ``decode(encode(text)) == text``, and decoding never fails.

A codec is a table of byte strings, one per id, plus a way to cut text into ids. Decoding is the
same for all kinds: join the byte strings and read them as UTF-8. Nothing in a text can become a
special symbol, because specials have no text: ``</s>`` is four ordinary characters.
"""

import hashlib
import json
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write

META = "codec.json"
VERSION = 1


class Codec:
    """Text <-> ids.

    Attributes:
        kind: ``"gpt2"``, ``"bytes"`` or ``"sentencepiece"``.
        num_ids: ids are 0 .. num_ids - 1.
        end_id: the id that means "end of text" (GPT-2: 50256), or None. ``encode`` never emits it.
        files: the tokenizer's files, ``{name: bytes}``, as they were read.
        cut_before: the characters before which :mod:`fairseq_plugin.text.segments` may cut a long text.
    """

    kind = ""
    cut_before = "\n "

    def __init__(self, pieces, files, end_id=None):
        """
        Args:
            pieces: the bytes of each id, a list of length ``num_ids``; specials are ``b""``.
            files: ``{name: bytes}`` written by :meth:`save`.
            end_id: see the class.
        """
        self._pieces = pieces
        self.num_ids = len(pieces)
        self.end_id = end_id
        self.files = files

    def try_encode_batch(self, texts, continued=None):
        """Ids of many texts, with None where a text cannot be encoded exactly.

        Args:
            texts: list of ``str``.
            continued: for each text, whether it goes on where a longer text was cut before one of
                ``cut_before`` (list of bool); None: none does.

        Returns:
            A list as long as ``texts``; each entry a list of ids, or None when the text is not
            valid Unicode (lone surrogates) or the tokenizer would alter it.
        """
        raise NotImplementedError

    def encode_batch(self, texts):
        """Ids of many texts.

        Raises:
            UserError: a text cannot be encoded exactly.
        """
        texts = list(texts)
        rows = self.try_encode_batch(texts)
        for text, row in zip(texts, rows, strict=True):
            if row is None:
                shown = ascii(text if len(text) <= 60 else text[:57] + "...")
                raise UserError(f"the text {shown} {self.refusal(text)}")
        return rows

    def encode(self, text):
        """Ids of one text; see :meth:`encode_batch`."""
        return self.encode_batch([text])[0]

    def decode(self, ids):
        """Text of ids.

        Bytes that are not UTF-8 (ids cut in the middle of a character, or in an order no text
        has) become U+FFFD; every sequence of ids in range decodes.

        Args:
            ids: integers in 0 .. num_ids - 1.

        Raises:
            UserError: an id out of range.
        """
        return self.join(ids).decode("utf-8", errors="replace")

    def join(self, ids):
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

    def refusal(self, text):
        """Why ``try_encode_batch`` gave None for ``text``: the end of a sentence for a person."""
        if not is_unicode(text):
            return "is not valid Unicode: it holds a lone surrogate (a broken half of a character)"
        return (
            f"would be altered by this {self.kind} tokenizer (its normaliser or its missing characters): "
            "use --codec bytes, or a model trained here (identity normalisation, byte fallback)"
        )

    def digest(self):
        """SHA-256 of what every id stands for: the same for one tokenizer, however its files are written."""
        pieces = (len(piece).to_bytes(4, "big") + piece for piece in self._pieces)
        return hashlib.sha256(b"".join(pieces)).digest()

    def save(self, folder):
        """Write the tokenizer's files and ``codec.json`` (kind and SHA-256 of each file).

        Args:
            folder: an existing folder.
        """
        folder = Path(folder)
        hashes = {}
        for name, content in self.files.items():
            with atomic_write(folder / name, "wb") as stream:
                stream.write(content)
            hashes[name] = hashlib.sha256(content).hexdigest()
        with atomic_write(folder / META) as stream:
            json.dump({"version": VERSION, "kind": self.kind, "files": hashes}, stream, indent=1)
            stream.write("\n")


def is_unicode(text):
    """False when ``text`` holds a lone surrogate, which no UTF-8 file can store."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def read_file(path):
    """A tokenizer file's bytes; UserError when it is missing or unreadable."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the tokenizer file {path}: {error.strerror or error}") from error
