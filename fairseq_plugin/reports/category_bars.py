"""The shares of categories in several groups, as pairs of horizontal bars."""

from collections.abc import Sequence

from fairseq_plugin.reports.display import escape, percent, short

_LEFT, _WIDTH, _BAR = 130, 460, 9


def category_bars(
    names: Sequence[str], groups: Sequence[tuple[str, str, Sequence[float]]], description: str
) -> str:
    """Draw shares.

    Args:
        names: of the categories.
        groups: ``(name, css class, shares)``, shares in [0, 1] by category.
        description: what the drawing shows, for who cannot see it.
    """
    most = max((max(shares) for _, _, shares in groups), default=0.0) or 1.0
    step = _BAR * len(groups) + 9
    parts = []
    for place, name in enumerate(names):
        y = 6 + place * step
        middle = y + (step - 9) / 2 + 4
        shown = escape(short(name, 18))
        parts.append(f'<text x="{_LEFT - 7}" y="{middle:.1f}" text-anchor="end">{shown}</text>')
        for number, (group, css, shares) in enumerate(groups):
            width = (_WIDTH - _LEFT - 100) * shares[place] / most
            tip = f"{escape(name)}, {escape(group)}: {percent(shares[place])}"
            parts.append(
                f'<rect class="area {css}" x="{_LEFT}" y="{y + number * _BAR}" width="{max(width, 0.5):.1f}" '
                f'height="{_BAR - 1}"><title>{tip}</title></rect>'
            )
        told = " / ".join(percent(shares[place], 0) for _, _, shares in groups)
        parts.append(f'<text x="{_WIDTH - 4}" y="{middle:.1f}" text-anchor="end">{told}</text>')
    words = escape(description)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {len(names) * step + 8}" role="img" aria-label="{words}">'
        f"<title>{words}</title>{''.join(parts)}</svg>"
    )
