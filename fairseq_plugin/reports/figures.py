"""Figures for the report: small SVG drawings, written as text.

No drawing library: the page stays self-contained and light, labels in any script are set by the reader's own
fonts, colours follow the page's light, dark and print styles, and a pointer resting on a
mark shows its value (an SVG ``<title>``). Every text passes :func:`~.display.escape`.

Units: a drawing is ``WIDTH`` units wide and scales with the page.
"""

import math
from collections.abc import Callable, Sequence

from fairseq_plugin.reports.display import escape, number, percent, short, tick_texts

Point = tuple[float, float]
Range = tuple[float, float]

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 54, 26, 14, 40


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, ``most`` + 1 of them at the most.

    >>> nice_ticks(0, 9.3)
    [0.0, 2.0, 4.0, 6.0, 8.0]
    """
    if not high > low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, math.floor(high / step + 1e-9) + 1)]


class _Plane:
    """Data coordinates -> drawing coordinates, with a frame of ticks and labels."""

    def __init__(self, x_range: Range, y_range: Range, log_y: bool = False, height: int = HEIGHT) -> None:
        self.x_low, self.x_high = _widened(*x_range)
        self.log_y, self.height = log_y, height
        low, high = map(math.log10, y_range) if log_y else y_range
        self.y_low, self.y_high = _widened(low, high)

    def x(self, value: float) -> float:
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        value = math.log10(value) if self.log_y else value
        return (
            self.height
            - BOTTOM
            - (value - self.y_low) / (self.y_high - self.y_low) * (self.height - TOP - BOTTOM)
        )

    def y_ticks(self) -> list[float]:
        if not self.log_y:
            return nice_ticks(self.y_low, self.y_high)
        powers = range(math.floor(self.y_low), math.ceil(self.y_high) + 1)
        for factors in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
            ticks = [factor * 10.0**power for power in powers for factor in factors]
            ticks = [tick for tick in ticks if self.y_low - 1e-9 <= math.log10(tick) <= self.y_high + 1e-9]
            if len(ticks) >= 3:
                break
        return ticks[:: max(1, len(ticks) // 6)]

    def frame(
        self,
        x_label: str,
        y_format: Callable[[float], str] | None = None,
        x_ticks: Sequence[tuple[float, str]] | None = None,
    ) -> str:
        """Grid lines, tick texts and the name of the horizontal axis."""
        parts, y_ticks = [], self.y_ticks()
        if y_format is None:
            y_texts = map(number, y_ticks) if self.log_y else tick_texts(y_ticks)
        else:
            y_texts = map(y_format, y_ticks)
        for tick, text in zip(y_ticks, y_texts):
            y = self.y(tick)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="tick" x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
        bottom = self.height - BOTTOM
        ticks = nice_ticks(self.x_low, self.x_high)
        for place, text in x_ticks or list(zip(ticks, tick_texts(ticks))):
            parts.append(
                f'<text class="tick" x="{self.x(place):.1f}" y="{bottom + 16}" '
                f'text-anchor="middle">{text}</text>'
            )
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(
            f'<text class="axis-name" x="{middle}" y="{self.height - 6}" '
            f'text-anchor="middle">{escape(x_label)}</text>'
        )
        return "".join(parts)


def _widened(low: float, high: float) -> Range:
    if high - low > 1e-6 * max(abs(low), abs(high)):
        return low, high
    return low - (abs(low) or 1.0) * 0.5, high + (abs(high) or 1.0) * 0.5


def _svg(body: str, description: str, height: int = HEIGHT) -> str:
    words = escape(description)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{words}">'
        f"<title>{words}</title>{body}</svg>"
    )


def line_chart(
    series: Sequence[tuple[str, str, Sequence[Point]]], x_label: str, description: str, log_y: bool = False
) -> str:
    """Curves over a shared axis.

    Args:
        series: ``(name, css class, [(x, y), ...])``; a curve of one point is drawn as a dot.
        x_label: name of the horizontal axis.
        description: what the drawing shows, for who cannot see it.
        log_y: logarithmic vertical axis, used where every y > 0.
    """
    points = [point for _, _, curve in series for point in curve]
    log_y = log_y and all(y > 0 for _, y in points)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = min(ys), max(ys)
    if not log_y:
        margin = 0.06 * (high - low)
        low, high = (max(0.0, low - margin) if low >= 0 else low - margin), high + margin
    plane = _Plane((min(xs), max(xs)), (low, high), log_y)
    body = [plane.frame(x_label)]
    for name, css, curve in series:
        path = " ".join(f"{plane.x(x):.1f},{plane.y(y):.1f}" for x, y in _thinned(curve))
        body.append(f'<polyline class="line {css}" points="{path}"/>')
        if len(curve) <= 40:
            for x, y in curve:
                tip = f"{escape(name)}: {number(y)} at {number(x)}"
                body.append(
                    f'<circle class="dot {css}" cx="{plane.x(x):.1f}" cy="{plane.y(y):.1f}" '
                    f'r="3"><title>{tip}</title></circle>'
                )
    return _svg("".join(body), description)


def _thinned(curve: Sequence[Point], most: int = 600) -> Sequence[Point]:
    """Every k-th point, and the last: more cannot be told apart at this width."""
    step = max(1, -(-len(curve) // most))
    thin = curve[::step]
    return thin if thin[-1] == curve[-1] else [*thin, curve[-1]]


def histogram_chart(
    edges: Sequence[float],
    groups: Sequence[tuple[str, str, Sequence[float]]],
    x_label: str,
    description: str,
) -> str:
    """Shares of several groups over one axis, as filled steps.

    Args:
        edges: of the bars, one more than there are shares.
        groups: ``(name, css class, shares)``.
    """
    top = max(max(shares) for _, _, shares in groups) or 1.0
    plane = _Plane((edges[0], edges[-1]), (0.0, top * 1.05))
    digits = 0 if top >= 0.04 else 1
    body = [plane.frame(x_label, y_format=lambda share: percent(share, digits))]
    for _, css, shares in groups:
        corners = [f"{plane.x(edges[0]):.1f},{plane.y(0):.1f}"]
        for left, right, share in zip(edges, edges[1:], shares):
            corners += [
                f"{plane.x(left):.1f},{plane.y(share):.1f}",
                f"{plane.x(right):.1f},{plane.y(share):.1f}",
            ]
        corners.append(f"{plane.x(edges[-1]):.1f},{plane.y(0):.1f}")
        body.append(f'<polygon class="area {css}" points="{" ".join(corners)}"/>')
    return _svg("".join(body), description)


def grouped_bars(
    names: Sequence[str],
    groups: Sequence[tuple[str, str, Sequence[float | None]]],
    x_label: str,
    description: str,
) -> str:
    """Shares side by side.

    Args:
        names: of the places along the axis.
        groups: ``(name, css class, [share or None, one per place])``.
    """
    top = max((share for _, _, shares in groups for share in shares if share is not None), default=1.0)
    plane = _Plane((0, len(names)), (0.0, min(1.0, top * 1.12) or 1.0))
    ticks = [(index + 0.5, escape(name)) for index, name in enumerate(names)]
    body = [plane.frame(x_label, y_format=lambda share: percent(share, 0), x_ticks=ticks)]
    width = 0.76 / len(groups)
    for place, (name, css, shares) in enumerate(groups):
        for index, share in enumerate(shares):
            if share is None:
                continue
            left = plane.x(index + 0.12 + place * width) + 1
            right = plane.x(index + 0.12 + (place + 1) * width) - 1
            y = plane.y(share)
            body.append(
                f'<rect class="bar {css}" x="{left:.1f}" y="{y:.1f}" width="{right - left:.1f}" '
                f'height="{plane.y(0) - y:.1f}"><title>{escape(name)}, {escape(names[index])}: '
                f"{percent(share)}</title></rect>"
                f'<text class="value" x="{(left + right) / 2:.1f}" y="{y - 4:.1f}" text-anchor="middle">'
                f"{100 * share:.{0 if share >= 0.0995 else 1}f}</text>"
            )
    return _svg("".join(body), description)


def stacked_bars(bars: Sequence[tuple[str, Sequence[tuple[str, str, int]]]]) -> str:
    """Horizontal bars, the parts of each side by side, to the scale of the longest.

    Plain boxes, not a drawing, so that they keep their text size on a phone.

    Args:
        bars: ``(name, [(part's name, css class, count), ...])``.
    """
    longest = max((sum(count for _, _, count in parts) for _, parts in bars), default=0) or 1
    out = []
    for name, parts in bars:
        total = sum(count for _, _, count in parts)
        told = ", ".join(f"{part} {count:,}" for part, _, count in parts if count)
        boxes = "".join(
            f'<span class="{css}" style="flex:{count} 1 0" title="{escape(part)}: {count:,}"></span>'
            for part, css, count in parts
            if count
        )
        out.append(
            f'<div class="bar-row"><span class="bar-name"><bdi>{escape(short(name))}</bdi></span><span '
            f'class="bar-track"><span class="bar-stack" role="img" aria-label="{escape(f"{name}: {told}")}" '
            f'style="width:{100 * total / longest:.3f}%">{boxes}</span></span><span '
            f'class="bar-total">{total:,}</span></div>'
        )
    return f'<div class="bars">{"".join(out)}</div>'
