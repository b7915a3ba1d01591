"""A plan of a picture: named rectangles go in, and the picture; SVG comes out, whose colours are the page's."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

__all__ = ["plan"]

WIDTH = 960
LETTER = 9.5
"""How wide a letter of a name is taken to be, in units of the drawing."""


def plan(tiles: Sequence[tuple[str, float, float, float, float]], aspect: float, picture: bytes | None = None) -> str:
    """Return a drawing of where who is to be seen.

    Args:
        tiles: Name, x, y, width and height, as shares of the picture; large ones are drawn below small ones.
        aspect: The picture's width divided by its height.
        picture: The picture itself, a JPEG, behind them.
    """
    height = round(WIDTH / min(max(aspect, 0.3), 4.0))
    parts = [f'<rect x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" fill="none" class="grid"/>']
    if picture is not None:
        source = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
        parts = [f'<image href="{source}" width="{WIDTH}" height="{height}" preserveAspectRatio="none"/>']
    for name, x, y, wide, high in sorted(tiles, key=lambda tile: -tile[3] * tile[4]):
        left, top, across, down = x * WIDTH, y * height, wide * WIDTH, high * height
        fits = max(1, int((across - 12) / LETTER))
        short = name if len(name) <= fits else f"{name[: max(1, fits - 1)]}…"
        middle, line = left + across / 2, top + (down / 2 if picture is None else 16)
        ground = "var(--card)" if picture is None else "none"
        shown = len(short) * LETTER + 10
        below = (
            f'<rect x="{middle - shown / 2:.1f}" y="{line - 13:.1f}" width="{shown:.1f}" height="24" rx="4" '
            'fill="var(--card)"/>'
        )
        parts.append(
            f'<g><title>{html.escape(name)}</title><rect x="{left:.1f}" y="{top:.1f}" width="{across:.1f}" '
            f'height="{down:.1f}" rx="6" fill="{ground}" stroke="var(--accent)" stroke-width="2"/>'
            f"{below if picture is not None else ''}"
            f'<text class="label" x="{middle:.1f}" y="{line + 5:.1f}" text-anchor="middle">'
            f"{html.escape(short)}</text></g>"
        )
    label = f"Who is where: {', '.join(tile[0] for tile in tiles)}"
    head = f'<svg class="plan" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(label)}">'
    return f"{head}{''.join(parts)}</svg>"
