"""How texts and numbers are shown to a person, in the report and on the terminal."""

import html
import itertools
import math
import re
from collections.abc import Sequence

# Zero-width and direction marks, line and paragraph separator, byte order mark.
_INVISIBLE = {0x061C, 0xFEFF, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070)}


def escape(text: str) -> str:
    """Make any text safe and visible inside HTML or SVG, also in a quoted attribute.

    Controls and marks that turn the reading direction are shown as symbols: a sample must not be able to
    hide or rearrange what stands around it.

    >>> escape('<b>\\n')
    '&lt;b&gt;↵'
    """
    return html.escape(visible(text), quote=True)


def visible(text: str) -> str:
    """Show controls, invisible characters and marks that turn the reading direction as symbols.

    A joiner stays as it is where it belongs to the spelling: inside an emoji, and after a letter of a script
    that joins (Persian, Hindi).
    """
    shown = "".join(map(_visible, text))
    return _SPELT_JOINER.sub(lambda found: chr(int(found[1], 16)), shown) if "U+200" in shown else shown


# After a letter or mark of Arabic, Syriac, Indic or South-East Asian scripts, Mongolian, or a pictograph.
_SPELT_JOINER = re.compile(
    "(?<=[\u0600-\u07bf\u0900-\u109f\u1780-\u18af\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])⟨U\\+(200[CD])⟩"
)


def _visible(char: str) -> str:
    code = ord(char)
    if char in "\n\t":
        return "↵" if char == "\n" else "⇥"
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if 0x80 <= code < 0xA0 or code in _INVISIBLE or 0xD800 <= code < 0xE000 or code & 0xFFFE == 0xFFFE:
        return f"⟨U+{code:04X}⟩"
    return char


def short(text: str, most: int = 28) -> str:
    """Cut a name for an axis or a legend."""
    return text if len(text) <= most else text[: most - 1] + "…"


def number(value: float | None) -> str:
    """A number as a person reads it: 12,345 / 0.283 / 2e-05; a dash for None."""
    if value is None:
        return "–"
    if value == 0 or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if size >= 1e-3 else f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-")


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """Axis labels of evenly spaced numbers, with as many digits as tell them apart.

    >>> tick_texts([0.87, 0.875])
    ['0.870', '0.875']
    """
    if len(ticks) < 2:
        return [number(tick) for tick in ticks]
    step = min(after - before for before, after in itertools.pairwise(ticks))
    short = [number(tick) for tick in ticks]  # 2e-4
    if (
        step < 1e-3
        and max(map(abs, ticks)) < 0.01
        and all(abs(float(text.replace(",", "")) - tick) < step / 100 for text, tick in zip(short, ticks))
    ):
        return short
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if digits and any(abs(tick - round(tick, digits)) > step / 100 for tick in ticks):
        digits += 1
    return [f"{tick:,.{digits}f}" for tick in ticks]


def ratio(value: float | None) -> str:
    """Three digits after the point, for columns of numbers in [0, 1]; a dash for None."""
    return "–" if value is None else f"{value:.3f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage; a dash for None."""
    return "–" if value is None else f"{100 * value:.{digits}f}\u00a0%"  # no line break before the sign


def percent_range(lowest: float, highest: float) -> str:
    """From one share to another, as percentages on one line; one alone where both read alike."""
    first, last = percent(lowest), percent(highest)
    return last if first == last else f"{first[:-2]}\u2013{last}"
