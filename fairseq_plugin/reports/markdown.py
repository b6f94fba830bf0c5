"""Texts of a model as Markdown: nothing in them is read as Markdown or HTML."""

import re

from fairseq_plugin.reports.display import visible

# What can begin a construct anywhere in a line; a colon and a full stop only inside of an address.
_ANYWHERE = re.compile(r"[\\`*_{}\[\]<>&~|$@]|:(?=//)|(?<=www)\.", re.I)
# What can begin a block at the head of a line: headings, lists, rules, underlines of headings.
_AT_HEAD = re.compile(r"^[#+\-=]|(?<=^\d)[.)]|(?<=^\d\d)[.)]|^\d{3,9}(?=[.)])")


def quote(prompt: str, continuation: str) -> str:
    r"""A sample as a Markdown block quote, line for line, the prompt bold.

    >>> print(quote("To be,", " or *not*\nto be"))
    > <b>To be,</b> or \*not\*\
    > to be
    """
    prompt_lines, own_lines = prompt.split("\n"), continuation.split("\n")
    lines = [f"<b>{escape_line(line)}</b>" if line.strip(" ") else "" for line in prompt_lines]
    lines[-1] += escape_line(own_lines[0], at_head=not lines[-1])
    lines = [line.rstrip(" ") for line in [*lines, *map(escape_line, own_lines[1:])]]
    shown = []
    for line, following in zip(lines, [*lines[1:], ""]):
        # A backslash at the end of a line is Markdown's line break; an empty line parts paragraphs by itself.
        shown.append(f"> {line}" + ("\\" if line and following else "") if line else ">")
    if not any(line.strip() for line in lines):  # a no-break space alone shows nothing either
        shown[0] = "> (empty)"
    return "\n".join(shown)


def unquote(quoted: str) -> tuple[str, str]:
    r"""Prompt and continuation of what :func:`quote` wrote, as they are shown; white space at ends is lost.

    >>> unquote(quote("To be,", " or *not*\nto be"))
    ('To be,', ' or *not*\nto be')
    """
    prompts: list[str] = []
    own: list[str] = []
    for line in quoted.split("\n"):
        line = line.removeprefix(">").removeprefix(" ")
        if re.search(r"(?<!\\)(\\\\)*\\$", line):  # an odd one is the line break
            line = line[:-1]
        bold = _BOLD.match(line)
        if bold is not None:
            prompts += [*own[bool(prompts) :], _unescape(bold[1])]  # own[0]: behind the bold line before
            own = [_unescape(line[bold.end() :])]
        else:
            own.append(_unescape(line))
    return "\n".join(prompts), "\n".join(own)


_BOLD = re.compile(r"<b>(.*?)</b>")
_ESCAPED = re.compile(r"\\(.)|&nbsp;|&#(\d+);")


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: found[1] or (chr(int(found[2])) if found[2] else " "), text)


def escape_line(line: str, at_head: bool = True) -> str:
    """One line of any text as inline Markdown that shows just this text."""
    line = visible(line)
    bare = line.lstrip(" ") if at_head else line
    indent = "&nbsp;" * (len(line) - len(bare) if bare else 0)
    escaped = _ANYWHERE.sub(lambda match: "\\" + match[0], bare)
    if at_head and not indent:
        escaped = _AT_HEAD.sub(_escape_head, escaped)
    return indent + escaped


def _escape_head(match: re.Match[str]) -> str:
    if match[0][0].isdigit():
        return f"&#{ord(match[0][0])};{match[0][1:]}"
    return "\\" + match[0]
