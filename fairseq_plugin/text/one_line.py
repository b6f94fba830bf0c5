"""Any text on one line, and back: backslash escapes for what would end a line or a field."""

import re
from typing import Protocol

from fairseq_plugin.text.base import Codec

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BACK = {written: character for character, written in _ESCAPES.items()}


class Bpe(Protocol):
    """What fairseq asks of a tokenizer: text <-> symbols joined by spaces."""

    def encode(self, x: str, /) -> str: ...

    def decode(self, x: str, /) -> str: ...


def escape(text: str) -> str:
    """Replace backslash, newline, carriage return and tab by ``\\\\ \\n \\r \\t``."""
    return re.sub(r"[\\\n\r\t]", lambda match: _ESCAPES[match[0]], text)


def unescape(text: str) -> str:
    """The inverse of :func:`escape`; any other backslash stays as it is."""
    return re.sub(r"\\[\\nrt]", lambda match: _BACK[match[0]], text)


class CodecBpe:
    """A codec in the shape of a fairseq BPE: text <-> decimal ids joined by spaces."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec

    def encode(self, text: str) -> str:
        return " ".join(map(str, self.codec.encode(text)))

    def decode(self, symbols: str) -> str:
        """Text of symbols; whatever is not an id of this codec has no text and is left out.

        That covers ``</s>``, ``<unk>``, ``<mask>`` and the ``madeupword0000`` that pads a dictionary.
        """
        return self.codec.decode(
            int(symbol)
            for symbol in symbols.split()
            if symbol.isascii() and symbol.isdigit() and int(symbol) < self.codec.num_ids
        )


class OneLineBpe:
    """Show the texts of any fairseq BPE on one line: the stock commands print a line per result."""

    def __init__(self, bpe: Bpe) -> None:
        self.bpe = bpe

    def encode(self, text: str) -> str:
        return self.bpe.encode(unescape(text))

    def decode(self, symbols: str) -> str:
        return escape(self.bpe.decode(symbols))
