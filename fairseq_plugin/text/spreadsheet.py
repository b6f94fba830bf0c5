"""Texts that a spreadsheet would compute, marked so that it shows them: one rule for every file of rows."""

import re

_FORMULA = re.compile(r"'*[=+\-@]")  # what a spreadsheet computes, or would after one mark less
_MARKED = re.compile(r"'+[=+\-@]")


def mark_formula(text: str) -> str:
    """Put ``'`` before a text that a spreadsheet would compute; :func:`unmark_formula` takes it off again.

    >>> mark_formula("=1+1"), mark_formula("plain")
    ("'=1+1", 'plain')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unmark_formula(text: str) -> str:
    """The inverse of :func:`mark_formula`, whatever the text began with."""
    return text[1:] if _MARKED.match(text) else text


def marked_told(num_marked: int) -> str:
    """How many were marked, to be added to a line for a person; nothing where none was.

    >>> marked_told(3)
    ", 3 marked with ' for spreadsheets"
    """
    return f", {num_marked:,} marked with ' for spreadsheets" if num_marked else ""
