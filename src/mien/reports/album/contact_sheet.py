"""The contact sheet: the small pictures of a page go in, one picture of all of them comes out, as a JPEG."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from mien.reports.base.parts import Picture

__all__ = ["contact_sheet"]

SHAPE = 1.4
"""About how much wider than high the sheet is: a page on its side."""

GAP, LINE = 14, 20
"""Between pictures, and the height of a line of text, in pixels."""

GROUND, INK = "#ffffff", "#1c2430"


def contact_sheet(pictures: Sequence[Picture]) -> bytes:
    """Return one picture of many, in rows, each above its title.

    Args:
        pictures: At least one.
    """
    across = 300 if len(pictures) <= 60 else 180
    down = across * 3 // 4
    wide, high = across + GAP, down + GAP + LINE
    columns = min(len(pictures), max(1, round(math.sqrt(len(pictures) * SHAPE * high / wide))))
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (GAP + columns * wide, GAP + rows * high), GROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, picture_no in enumerate(pictures):
        left, top = GAP + number % columns * wide, GAP + number // columns * high
        with Image.open(io.BytesIO(picture_no.jpeg)) as picture:
            picture.thumbnail((across, down))
            sheet.paste(picture, (left + (across - picture.width) // 2, top + (down - picture.height) // 2))
        draw.text((left, top + down + 3), _shortened(picture_no.title, font, across), fill=INK, font=font)
    out = io.BytesIO()
    sheet.save(out, "jpeg", quality=85)
    return out.getvalue()


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Return a text that is no wider than so many pixels, its middle left out."""
    kept = len(text)
    shown = text
    while font.getlength(shown) > width and kept > 4:
        kept -= 1
        shown = f"{text[: kept // 2]}…{text[len(text) - kept // 2 :]}"
    return shown
