"""A square of coloured cells: how strongly each pair goes together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.reports.display import escape, short

_LEFT, _TOP, _SIDE = 110, 8, 340
_MOST_NAMES = 24  # that can be read beside the square


def heat_map(names: Sequence[str], values_CC: NDArray[np.float64], full: float, description: str) -> str:
    """Draw values as cells: blue above 0, vermilion below, the paler the nearer to 0.

    Args:
        names: of the columns, which are the rows too.
        values_CC: symmetric.
        full: so large a value has the full colour.
        description: what the drawing shows, for who cannot see it.
    """
    count = len(names)
    side = _SIDE / max(count, 1)
    parts = []
    for row, name in enumerate(names):
        y = _TOP + row * side
        if count <= _MOST_NAMES:
            shown = escape(short(name, 15))
            parts.append(f'<text x="{_LEFT - 6}" y="{y + side / 2 + 4:.1f}" text-anchor="end">{shown}</text>')
        for column, other in enumerate(names):
            value = float(values_CC[row, column])
            colour = "real" if value > 0 else "synthetic"
            depth = min(abs(value) / full, 1.0)
            tip = f"{escape(name)}, {escape(other)}: {value:.3f}"
            parts.append(
                f'<rect x="{_LEFT + column * side:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}" '
                f'style="fill:var(--{colour});fill-opacity:{depth:.2f}"><title>{tip}</title></rect>'
            )
    parts.append(
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" '
        'style="fill:none;stroke:var(--rule)"/>'
    )
    words = escape(description)
    return (
        f'<svg viewBox="0 0 {_LEFT + _SIDE + 8} {_TOP + _SIDE + 8}" role="img" aria-label="{words}">'
        f"<title>{words}</title>{''.join(parts)}</svg>"
    )
