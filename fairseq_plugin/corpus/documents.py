"""Where documents begin, and where a text is cut into train, valid and test; not a character is lost.

A text travels as ``(text, new)``: a stretch of it, and whether a document begins there. Joined, the stretches
are the text. Lines end at ``\\n`` and nowhere else.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping

HEADING = re.compile(
    r" = (?![= ]).*(?<![= ]) = ?\r?\n?"
)  # " = Title = "; deeper ones are " = = Section = = "
STRETCH = 1 << 18  # characters


def find_documents(blocks: Iterable[str], mode: str) -> Iterator[tuple[str, bool]]:
    """The documents of one file.

    Blank lines (nothing but white space) belong to the document before them; those at the very beginning to
    the first one. A document of ``line`` is a line with the blank lines after it; one of ``blank-lines``
    begins after a blank line; one of ``wikitext`` begins with a heading of the first level at the beginning
    of the file or after a blank line; one of ``file`` is the whole file.

    Args:
        blocks: its text.
        mode: one of ``manifest.DOCUMENTS``.

    Yields:
        ``(text, new)``. Memory: but for ``file``, the longest line.
    """
    if mode == "file":
        yield from ((block, number == 0) for number, block in enumerate(blocks))
        return
    stretch: list[str] = []
    new, size, has_text, after_blank = True, 0, False, True
    for line in lines_of(blocks):
        blank = not line or line.isspace()
        if not blank and has_text and _begins(mode, line, after_blank):
            yield "".join(stretch), new
            new, stretch, size = True, [], 0
        elif size > STRETCH:
            yield "".join(stretch), new
            new, stretch, size = False, [], 0
        stretch.append(line)
        size += len(line)
        has_text, after_blank = has_text or not blank, blank
    if stretch:
        yield "".join(stretch), new


def _begins(mode: str, line: str, after_blank: bool) -> bool:
    if mode == "line":
        return True
    return after_blank and (mode == "blank-lines" or HEADING.fullmatch(line) is not None)


def lines_of(blocks: Iterable[str]) -> Iterator[str]:
    """The lines of a text that comes in blocks, each with its ``\\n``; the last may have none."""
    begun: list[str] = []
    for block in blocks:
        *whole, rest = block.split("\n")
        if whole:
            begun.append(whole[0])
            yield "".join(begun) + "\n"
            for line in whole[1:]:
                yield line + "\n"
            begun = []
        begun.append(rest)
    if last := "".join(begun):
        yield last


def looks_like_wikitext(blocks: Iterable[str]) -> bool:
    """True when the first line that is not blank is a heading of the first level."""
    for line in lines_of(blocks):
        if not line.isspace():
            return HEADING.fullmatch(line) is not None
    return False


def cut_by_share(
    stretches: Iterable[tuple[str, bool]], shares: Mapping[str, float], total: int, at_lines: bool
) -> Iterator[tuple[str, str, bool]]:
    """Give contiguous parts of a text to splits.

    Args:
        stretches: ``(text, new)``.
        shares: ``{split: share}`` in order; shares sum to 1.
        total: bytes of the whole text.
        at_lines: cut after a newline; otherwise only where a document begins.

    Yields:
        ``(split, text, new)``: a split ends at the first place allowed at or after its share of the bytes. A
        split for which no place is left does not occur.
    """
    (split, share), *left = shares.items()
    limit, done, begin_anew = share * total, 0, False
    for stretch, new in stretches:
        rest = stretch
        while rest:
            new, begin_anew = new or begin_anew, False
            if left and new and done >= limit:
                (split, share), *left = left
                limit += share * total
            text, rest = _up_to_line(rest, limit - done) if left and at_lines else (rest, "")
            done += len(text.encode())
            yield split, text, new
            begin_anew = bool(left) and at_lines and done >= limit and text.endswith("\n")
            new = False


def _up_to_line(text: str, num_bytes: float) -> tuple[str, str]:
    """``(text up to its first newline at or after so many bytes, the rest)``; all of it without one."""
    content = text.encode()
    cut = content.find(b"\n", max(math.ceil(num_bytes) - 1, 0)) + 1
    return (content[:cut].decode(), content[cut:].decode()) if cut else (text, "")
