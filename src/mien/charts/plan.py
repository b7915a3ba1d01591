"""A plan of a picture: named rectangles go in, SVG comes out, which takes its colours from the page."""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["plan"]

WIDTH = 960
LETTER = 9.5
"""How wide a letter of a name is taken to be, in units of the drawing."""


def plan(tiles: Sequence[tuple[str, float, float, float, float]], aspect: float) -> str:
    """Return a drawing of where who is to be seen.

    Args:
        tiles: Name, x, y, width and height, as shares of the picture; large ones are drawn below small ones.
        aspect: The picture's width divided by its height.
    """
    height = round(WIDTH / min(max(aspect, 0.3), 4.0))
    parts = [f'<rect x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" fill="none" class="grid"/>']
    for name, x, y, wide, high in sorted(tiles, key=lambda tile: -tile[3] * tile[4]):
        left, top, across, down = x * WIDTH, y * height, wide * WIDTH, high * height
        fits = max(1, int((across - 12) / LETTER))
        short = name if len(name) <= fits else f"{name[: max(1, fits - 1)]}…"
        parts.append(
            f'<g><title>{html.escape(name)}</title><rect x="{left:.1f}" y="{top:.1f}" width="{across:.1f}" '
            f'height="{down:.1f}" rx="6" fill="var(--card)" stroke="var(--accent)" stroke-width="2"/>'
            f'<text class="label" x="{left + across / 2:.1f}" y="{top + down / 2 + 5:.1f}" text-anchor="middle">'
            f"{html.escape(short)}</text></g>"
        )
    label = f"Who is where: {', '.join(tile[0] for tile in tiles)}"
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(label)}">{"".join(parts)}</svg>'
