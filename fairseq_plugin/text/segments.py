"""Long texts in pieces that a codec encodes as it would encode the whole.

A piece ends where a single space or newline is between two characters that are not white space, and the
next piece begins with it. GPT-2's pattern always cuts there:

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+

No alternative goes on from a character that is not white space to one that is, so a word
ends before the place. And the text left of it is cut as if it were alone, because the one look-ahead,
``\\s+(?!\\S)``, asks for the end of a run of white space, and no run touches the place from the left.
Sentencepiece's pieces take a space at their beginning only.
"""

import re

# More than any engine takes for white space: controls, all Unicode spaces, the byte order mark, zero widths.
_WHITE = r"\s\x00-\x20\x7f-\xa0\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
SEGMENT = 16_384  # characters; short pieces stay in the processor's cache


class SegmentCutter:
    """Cuts a text that arrives bit by bit; where it is cut does not depend on how it arrived.

    Memory: a piece of ``size`` characters, and what follows it up to the next place to cut.
    """

    def __init__(self, before: str = "\n ", size: int | None = None) -> None:
        """
        Args:
            before: the white space that may begin a piece: some of newline and space.
            size: least characters of a piece, but for the last, >= 1; None: ``SEGMENT``.
        """
        self._place = re.compile(rf"(?<=[^{_WHITE}])[{re.escape(before)}](?=[^{_WHITE}])")
        self._size = size or SEGMENT
        self._open = ""
        self._searched = 0  # no place before this position of _open

    def feed(self, text: str) -> list[str]:
        """The pieces that are complete now."""
        open_text, start, pieces = self._open + text, 0, []
        position = max(self._searched, self._size)
        while match := self._place.search(open_text, position):
            pieces.append(open_text[start : match.start()])
            start = match.start()
            position = start + self._size
        self._open = open_text[start:]
        # The last character's right neighbour is not known yet.
        self._searched = max(len(self._open) - 1, 0)
        return pieces

    def finish(self) -> str:
        """The rest of the text, maybe empty; the cutter is ready for the next text."""
        rest, self._open, self._searched = self._open, "", 0
        return rest
