"""Is a file UTF-16 or UTF-32? Told from its first bytes, for a message that names what it is."""

import codecs

LOOK_AT = 4096  # bytes
_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_ZEROS = (  # positions, modulo 4, that are zero in every character of most scripts
    ((1, 2, 3), "UTF-32LE"),
    ((0, 1, 2), "UTF-32BE"),
    ((1, 3), "UTF-16LE"),
    ((0, 2), "UTF-16BE"),
)
_MOST = 0.7


def wide_encoding(content: bytes) -> str | None:
    """``"UTF-16"``, ``"UTF-32LE"`` ... when a file that begins with these bytes is that; None for others.

    Without a byte order mark, the zero bytes of line ends, spaces and Latin letters tell.
    """
    for mark, name in _MARKS:
        if content.startswith(mark):
            return name
    content = content[: min(len(content), LOOK_AT) // 4 * 4]
    if b"\0" not in content:
        return None
    shares = [content[start::4].count(0) * 4 / len(content) for start in range(4)]
    for positions, name in _ZEROS:
        if all((share >= _MOST) == (position in positions) for position, share in enumerate(shares)):
            return name
    return _by_line_ends(content)


def _by_line_ends(content: bytes) -> str | None:
    """UTF-16 of scripts without zero bytes: not UTF-8, and full of two-byte line ends, tabs and spaces."""
    try:
        content.decode("utf-8")
        return None
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return None
    counts = {}
    for name in ("UTF-16LE", "UTF-16BE"):
        text = content.decode(name, errors="replace")
        common = sum(text.count(character) for character in "\n\t ")
        counts[name] = common if "\ufffd" not in text[:-1] else 0
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else None


def refusal(path: object, name: str) -> str:
    """What to tell about a file in this encoding: the line for a person."""
    return f"{path} is {name}; save it as UTF-8 (iconv -f {name} -t UTF-8)"
