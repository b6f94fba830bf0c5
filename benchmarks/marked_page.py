"""A page with tables that a script writes and words that a person writes around them."""

import json

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def write_result(base, result, lines, title):
    """``BASE.json``, and ``lines`` between the markers of ``BASE.md``.

    Args:
        base: path without ending.
        result: of JSON's types.
        lines, title: see :func:`write_between_markers`.
    """
    with atomic_write(base.with_suffix(".json")) as stream:
        json.dump(result, stream, indent=1, ensure_ascii=False)
        stream.write("\n")
    write_between_markers(base.with_suffix(".md"), lines, title)


def earlier_result(base):
    """What :func:`write_result` wrote before; an empty object where it has not."""
    stated = base.with_suffix(".json")
    return json.loads(stated.read_text("utf-8")) if stated.exists() else {}


def write_between_markers(page, lines, title):
    """Replace what stands between the markers of a page; a page that is not there yet is made.

    Args:
        page: its path.
        lines: Markdown.
        title: of a new page.

    Raises:
        UserError: the page has lost its markers.
    """
    text = page.read_text("utf-8") if page.is_file() else f"# {title}\n\n{BEGIN}\n{END}\n"
    if BEGIN not in text or END not in text:
        raise UserError(
            f"{page} has lost its markers {BEGIN} and {END}: put them back where the tables belong"
        )
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    with atomic_write(page) as stream:
        stream.write("\n".join([before + BEGIN, "", *lines, END + after]))
