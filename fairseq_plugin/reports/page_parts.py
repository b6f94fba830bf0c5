"""Pieces of HTML that several sections share."""

from collections.abc import Sequence

from fairseq_plugin.reports.display import escape, short

SIDES = {"real": "real training set", "synthetic": "synthetic", "valid": "real valid set"}


def table(head: Sequence[str], rows: Sequence[Sequence[str]], css: str = "", total: bool = False) -> str:
    """A table of HTML cells; the first cell of a row is its heading, ``total`` marks the last row."""
    header = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    lines = []
    for index, (first, *cells) in enumerate(rows):
        mark = ' class="total"' if total and index == len(rows) - 1 else ""
        body = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f'<tr{mark}><th scope="row">{first}</th>{body}</tr>')
    top = f"<thead><tr>{header}</tr></thead>" if head else ""
    return f'<div class="scroll"><table class="{css}">{top}<tbody>{"".join(lines)}</tbody></table></div>'


def figure(caption: str, drawing: str, keys: Sequence[tuple[str, str]] = ()) -> str:
    """A drawing with its caption and legend."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{legend(keys)}{drawing}</figure>"


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """A legend of ``(name, css class)``."""
    if not entries:
        return ""
    spans = [f"<span><i class={css}></i>{escape(name)}</span>" for name, css in entries]
    return f'<div class="key">{"".join(spans)}</div>'


def chip(text: str) -> str:
    """A label as a small badge."""
    return f'<span class="chip"><bdi>{escape(text)}</bdi></span>'


def label_cell(name: str, text: str) -> str:
    """A label in a table: its text, and its name where that differs."""
    shown = f"<bdi>{escape(short(text, 40))}</bdi>"
    return shown if name == text else f'{shown} <span class="zero">({escape(short(name, 20))})</span>'


def count_cell(count: int) -> str:
    """A count in a table; zeros step back."""
    return f"{count:,}" if count else '<span class="zero">0</span>'


def reason_name(reason: str) -> str:
    """A reason's name as it is read."""
    return reason.replace("_", " ")
