"""Tables for a terminal, whatever script their words are of."""

import unicodedata
from collections.abc import Sequence

_ISOLATE, _END = "\u2068", "\u2069"
_FROM_RIGHT = ("R", "AL", "RLE", "RLO", "RLI")


def cells(text: str) -> int:
    """How many cells of a terminal a text takes: two for a Chinese character, none for a combining mark.

    >>> cells("好电影"), cells("é"), cells("e\u0301")
    (6, 1, 1)
    """
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def left(text: str, width: int) -> str:
    """A text at the left of ``width`` cells; a longer one stays as it is."""
    return text + " " * (width - cells(text))


def right(text: str, width: int) -> str:
    """A text at the right of ``width`` cells; a longer one stays as it is."""
    return " " * (width - cells(text)) + text


def isolated(text: str) -> str:
    """A text that is read from the right, closed off from what stands around it; any other as it is.

    Without that a terminal joins two Arabic words of a table into one run, which swaps their columns, and
    draws the number after one to its other side.
    """
    from_right = any(unicodedata.bidirectional(character) in _FROM_RIGHT for character in text)
    return f"{_ISOLATE}{text}{_END}" if from_right else text


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right, two spaces between.

    Args:
        rows: equally many cells in each, the head first.
    """
    rows = [list(map(isolated, row)) for row in rows]
    widths = [max(cells(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join([left(row[0], widths[0]), *map(right, row[1:], widths[1:])]) for row in rows]
