"""Figures for the report: small SVG drawings, written as text.

No drawing library: the page stays self-contained and light, labels in any script are set by the reader's own
fonts, colours follow the page's light, dark and print styles, and a pointer resting on a
mark shows its value (an SVG ``<title>``). Every text passes :func:`~.display.escape`.

Units: a drawing is ``WIDTH`` units wide and scales with the page.
"""

import math
from collections.abc import Callable, Sequence

from fairseq_plugin.reports.display import escape, number, percent, tick_texts

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

    def __init__(self, x_range: Range, y_range: Range, height: int = HEIGHT) -> None:
        self.height = height
        self.x_low, self.x_high = _widened(*x_range)
        self.y_low, self.y_high = _widened(*y_range)

    def x(self, value: float) -> float:
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.y_low) / (self.y_high - self.y_low)
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)

    def frame(
        self,
        x_label: str,
        y_format: Callable[[float], str] | None = None,
        x_format: Callable[[float], str] | None = None,
    ) -> str:
        """Grid lines, tick texts and the name of the horizontal axis."""
        parts, y_ticks = [], nice_ticks(self.y_low, self.y_high)
        y_texts = tick_texts(y_ticks) if y_format is None else map(y_format, y_ticks)
        for tick, text in zip(y_ticks, y_texts):
            y = self.y(tick)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="tick" x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
        bottom = self.height - BOTTOM
        ticks = nice_ticks(self.x_low, self.x_high)
        x_texts = tick_texts(ticks) if x_format is None else map(x_format, ticks)
        for place, text in zip(ticks, x_texts):
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


def line_chart(series: Sequence[tuple[str, str, Sequence[Point]]], x_label: str, description: str) -> str:
    """Curves over a shared axis. The vertical one holds 0, so that noise looks no larger than it is.

    Args:
        series: ``(name, css class, [(x, y), ...])``; a curve of one point is drawn as a dot.
        x_label: name of the horizontal axis.
        description: what the drawing shows, for who cannot see it.
    """
    points = [point for _, _, curve in series for point in curve]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = min(0.0, *ys), max(0.0, *ys)
    plane = _Plane((min(xs), max(xs)), (low, high + 0.04 * (high - low)))
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
    x_format: Callable[[float], str] | None = None,
) -> str:
    """Shares of several groups over one axis, as filled steps.

    Args:
        edges: of the bars, one more than there are shares.
        groups: ``(name, css class, shares)``.
        x_label: name of the horizontal axis.
        description: what the drawing shows, for who cannot see it.
        x_format: writes the numbers of that axis.
    """
    top = max(max(shares) for _, _, shares in groups) or 1.0
    plane = _Plane((edges[0], edges[-1]), (0.0, top * 1.05))
    digits = 0 if top >= 0.04 else 1
    body = [plane.frame(x_label, y_format=lambda share: percent(share, digits), x_format=x_format)]
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


def reliability_chart(bins: Sequence[tuple[float, float, int]], description: str) -> str:
    """How sure a judge is, and how often it is right; the line is where both are equal.

    Args:
        bins: ``(mean confidence, share of right answers, number of answers)``, shares in [0, 1].
        description: what the drawing shows, for who cannot see it.
    """
    plane = _Plane((0.0, 1.0), (0.0, 1.0))
    ends = " ".join(f"{plane.x(end):.1f},{plane.y(end):.1f}" for end in (0, 1))

    def whole(share: float) -> str:
        return percent(share, 0)

    body = [plane.frame("how sure it is", y_format=whole, x_format=whole)]
    body.append(f'<polyline class="axis line" points="{ends}"/>')
    most = max((count for _, _, count in bins), default=1)
    for confidence, accuracy, count in bins:
        radius = 3 + 8 * math.sqrt(count / most)
        tip = f"{whole(confidence)} sure, right in {whole(accuracy)} of {count:,}"
        body.append(
            f'<circle class="dot valid" cx="{plane.x(confidence):.1f}" cy="{plane.y(accuracy):.1f}" '
            f'r="{radius:.1f}"><title>{tip}</title></circle>'
        )
    return _svg("".join(body), description)
