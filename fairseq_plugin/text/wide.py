"""Is a file UTF-16 or UTF-32? Told from its first bytes, for a message that names what it is."""

import codecs

LOOK_AT = 4096  # bytes
_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_MOST = 0.7  # share of zero bytes that tells


def wide_encoding(content: bytes) -> str | None:
    """``"UTF-16"``, ``"UTF-32LE"`` ... when a file that begins so is that; None for UTF-8 and others.

    Without a byte order mark, the zero bytes of line ends, spaces and Latin letters tell.
    """
    for mark, name in _MARKS:
        if content.startswith(mark):
            return name
    content = content[: min(len(content), LOOK_AT) // 4 * 4]
    if b"\0" not in content:
        return None
    is_zero = [content[start::4].count(0) * 4 >= _MOST * len(content) for start in range(4)]
    if is_zero[2:] == [True, True] and not is_zero[0]:
        return "UTF-32LE"
    if is_zero[:2] == [True, True] and not is_zero[3]:
        return "UTF-32BE"
    if is_zero[1::2] == [True, True] and not any(is_zero[::2]):
        return "UTF-16LE"
    if is_zero[::2] == [True, True] and not any(is_zero[1::2]):
        return "UTF-16BE"
    return _by_line_ends(content)


def _by_line_ends(content: bytes) -> str | None:
    """UTF-16 of scripts without zero bytes: all zeros are at odd or all at even places, and beside blanks."""
    zeros = [place for place, byte in enumerate(content) if byte == 0]
    parities = {place % 2 for place in zeros}
    if len(zeros) < 3 or len(parities) == 2:
        return None
    is_little = parities == {1}
    blanks = [place for place, byte in enumerate(content) if byte in b"\n\t "]
    zero_at = set(zeros)
    paired = [place for place in blanks if (place + 1 if is_little else place - 1) in zero_at]
    if len(paired) < _MOST * len(blanks) or b"\n" not in {content[place : place + 1] for place in paired}:
        return None
    return "UTF-16LE" if is_little else "UTF-16BE"


def refusal(path: object, name: str) -> str:
    """What to tell about a file in this encoding: the line for a person."""
    return f"{path} is {name}; save it as UTF-8 (iconv -f {name} -t UTF-8)"
