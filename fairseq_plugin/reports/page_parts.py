"""Pieces of HTML that several sections share."""

from collections.abc import Sequence

from fairseq_plugin.reports.display import escape, short
from fairseq_plugin.reports.page_style import STYLE

# Sides of a comparison, in words; "valid" and "test" are real text that the model was not trained on.
SIDES = {
    "real": "real training set",
    "synthetic": "new sentences",
    "valid": "held-out real text (valid)",
    "test": "held-out real text (test)",
    "train": "real training set",
}
# A browser that honours it refuses every script and every request, whatever a sample contains.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_MARKS = {"good": "✓", "fair": "=", "bad": "✗", "open": "?"}
_LONGEST_LABEL = 200  # characters; labels are wrapped, not clipped, but a page must end


def whole_page(title: str, sections: Sequence[str], footer: str) -> str:
    """A page without scripts that fetches nothing.

    Args:
        title, footer: plain text.
        sections: of HTML; empty ones are left out.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(section for section in sections if section)
        + f"\n<footer>{escape(footer)}</footer>\n</main></body></html>\n"
    )


def verdict_box(tone: str, sentence: str) -> str:
    """The first words of a page; tone: ``good``, ``fair``, ``bad`` or ``open``."""
    mark = f'<i aria-hidden="true">{_MARKS[tone]}</i>'
    return f'<p class="verdict {tone}">{mark}<b>{escape(sentence)}</b></p>'


def tiles(figures: Sequence[tuple[str, str]]) -> str:
    """A few figures in large letters, with what each of them says."""
    boxes = "".join(f'<div class="tile"><b>{value}</b><span>{text}</span></div>' for value, text in figures)
    return f'<div class="tiles">{boxes}</div>'


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


def folded(summary: str, content: str) -> str:
    """Something that is opened by whoever wants it."""
    return f'<details class="card"><summary>{escape(summary)}</summary>{content}</details>'


def figure(caption: str, drawing: str, keys: Sequence[tuple[str, str]] = ()) -> str:
    """A drawing with its caption and legend."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{legend(keys)}{drawing}</figure>"


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """A legend of ``(name, css class)``."""
    if not entries:
        return ""
    spans = [f'<span><i class="{css}"></i>{escape(name)}</span>' for name, css in entries]
    return f'<div class="key">{"".join(spans)}</div>'


def colour(side: str) -> str:
    """The css class of a side: both held-out splits have one colour."""
    return "valid" if side == "test" else side


def chip(text: str) -> str:
    """A label as a small badge."""
    return f'<span class="chip"><bdi>{escape(short(text, _LONGEST_LABEL))}</bdi></span>'


def label_cell(name: str, text: str) -> str:
    """A label in a table: its text, and its name where that differs."""
    shown = f'<bdi class="label">{escape(short(text, _LONGEST_LABEL))}</bdi>'
    if name == text:
        return shown
    return f'{shown} <span class="faint">(<bdi>{escape(short(name, _LONGEST_LABEL))}</bdi>)</span>'


def count_cell(count: int) -> str:
    """A count in a table; zeros step back."""
    return f"{count:,}" if count else '<span class="faint">0</span>'


def reason_name(reason: str) -> str:
    """A reason's name as it is read."""
    return reason.replace("_", " ")


def meter(share: float, told: str) -> str:
    """A share in [0, 1] as a small bar."""
    width = f'<i style="width:{100 * min(1.0, max(0.0, share)):.1f}%"></i>'
    return f'<span class="meter" role="img" aria-label="{escape(told)}">{width}</span>'
