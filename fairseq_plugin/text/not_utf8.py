"""Where a file is not UTF-8, what it looks like instead, and how to mend it: one answer for every reader."""

import re
import shlex
from dataclasses import dataclass

_HIGH = re.compile(rb"[\x80-\xff]+")
# Beside ASCII, Western European text has letters, and Windows's quotes, dashes and signs.
_SIGNS = b"\x80\x85\xa0\xa1\xa3\xa7\xa9\xaa\xab\xae\xb0\xb4\xb7\xba\xbb\xbf"
_WESTERN = {*range(0xC0, 0xFF), *range(0x91, 0x98), *_SIGNS}
_MOST_IN_A_ROW = 1.5  # bytes: alphabets of their own, and text of several bytes per character, have more
LATIN = "Latin-1 or Windows-1252"


@dataclass(frozen=True)
class NotUtf8:
    """The first byte of a line or file that is not UTF-8.

    Attributes:
        line: from 1.
        byte: of the line, from 1.
        value: of the byte.
        is_western: the bytes around look like Latin-1 or Windows-1252.
    """

    line: int
    byte: int
    value: int
    is_western: bool

    @classmethod
    def of(cls, error: UnicodeDecodeError, line: int = 1, before: int = 0) -> "NotUtf8":
        """From Python's own error on some lines of a file.

        Args:
            error: its ``object`` is what looks are judged by.
            line: the first of them.
            before: bytes of this line that are not in the error's object.
        """
        content = error.object[: error.start]
        begin = content.rfind(b"\n") + 1
        byte = error.start - begin + 1 + (before if begin == 0 else 0)
        value = error.object[error.start]
        return cls(line + content.count(b"\n"), byte, value, _looks_western(error.object))

    def __str__(self) -> str:
        """Where it is.

        >>> str(NotUtf8(3, 6, 0xE9, True))
        'line 3, byte 6 is 0xe9'
        """
        return f"line {self.line}, byte {self.byte} is 0x{self.value:02x}"

    def mend(self, path: object) -> str:
        """What it looks like and what helps: the end of a sentence."""
        if not self.is_western:
            return "save it as UTF-8 (iconv -f ITS-ENCODING -t utf-8), or mend the bytes"
        return f"it looks like {LATIN}: iconv -f windows-1252 -t utf-8 {shlex.quote(str(path))} > NEW-FILE"

    def refusal(self, path: object, flag: str = "") -> str:
        """What to tell about a file that is refused for it: the line for a person.

        Args:
            path: of the file.
            flag: that named it, if any.
        """
        return f"{flag} {path} is not UTF-8: {self}; {self.mend(path)}".lstrip()


def _looks_western(content: bytes) -> bool:
    """High bytes are few at a time, mean something in that encoding, and none of them are UTF-8."""
    runs = _HIGH.findall(content)
    num_high = sum(map(len, runs))
    if not content.decode("utf-8", errors="ignore").isascii():
        return False  # UTF-8 that was damaged
    return num_high <= _MOST_IN_A_ROW * len(runs) and _WESTERN.issuperset(b"".join(runs))
