"""Any text on one line, and back: backslash escapes for what would end a line or a field."""

import re

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BACK = {written: character for character, written in _ESCAPES.items()}


def escape(text):
    """Replace backslash, newline, carriage return and tab by ``\\\\ \\n \\r \\t``."""
    return re.sub(r"[\\\n\r\t]", lambda match: _ESCAPES[match[0]], text)


def unescape(text):
    """The inverse of :func:`escape`; any other backslash stays as it is."""
    return re.sub(r"\\[\\nrt]", lambda match: _BACK[match[0]], text)


class CodecBpe:
    """A codec in the shape of a fairseq BPE: text <-> decimal ids joined by spaces."""

    def __init__(self, codec):
        self.codec = codec

    def encode(self, text):
        return " ".join(map(str, self.codec.encode(text)))

    def decode(self, symbols):
        """Text of symbols; whatever is no id of this codec stands for no text and is passed over.

        That covers ``</s>``, ``<unk>``, ``<mask>`` and the ``madeupword0000`` that pads a dictionary.
        """
        return self.codec.decode(
            int(symbol)
            for symbol in symbols.split()
            if symbol.isascii() and symbol.isdigit() and int(symbol) < self.codec.num_ids
        )


class OneLineBpe:
    """Show the texts of any fairseq BPE on one line: the stock commands print a line per result."""

    def __init__(self, bpe):
        self.bpe = bpe

    def encode(self, text):
        return self.bpe.encode(unescape(text))

    def decode(self, symbols):
        return escape(self.bpe.decode(symbols))
