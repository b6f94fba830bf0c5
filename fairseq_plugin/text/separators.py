"""A table with another separator than its format has: spreadsheets of much of Europe save CSV with ``;``."""

_OTHERS = ";\t|"
_PLURALS = {",": "commas", "\t": "tabs"}


def other_separator(cells: list[str], separator: str, tsv_flag: str) -> str | None:
    """What is wrong with a first line that is one cell, and its mend; None where it may be meant so.

    Args:
        cells: of the line.
        separator: of the format, a comma or a tab.
        tsv_flag: that reads the file as one with tabs.
    """
    others = _OTHERS.replace(separator, "")
    found = next((mark for mark in others if mark in cells[0]), None) if len(cells) == 1 else None
    if found is None:
        return None
    should_be = _PLURALS[separator]
    mend = f"give {tsv_flag}" if found == "\t" else f"save it with {should_be}"
    return f"its first line has {found!r} where {should_be} should be: {mend}"
