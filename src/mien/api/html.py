"""What notebooks show: faces, an analysis or a summary goes in, HTML without a script comes out."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

import cv2
from PIL import Image as Pillow

from mien.charts.palette import COLOURS
from mien.charts.svg import SHOWN
from mien.observation import Emotion, Face
from mien.words import counted

if TYPE_CHECKING:
    from mien.media.base import Image

__all__ = ["COLOUR_OF", "bars", "faces_html", "framed"]

WIDEST = 720
"""So many pixels a picture in a notebook is wide at most."""

FACES = 12
"""Bars are drawn for so many faces."""

COLOUR_OF: dict[str, str] = {"unclear": "#8a8f98"} | dict(COLOURS.items())

STYLE = (
    ".mien{font-family:system-ui,sans-serif;font-size:13px;line-height:1.35;max-width:960px}"
    ".mien svg{width:100%;height:auto}.mien svg text{fill:currentColor;font-size:12px}"
    ".mien .grid{stroke:currentColor;opacity:.15}.mien .cuts{stroke:currentColor;opacity:.4}"
    ".mien .bars{display:grid;grid-template-columns:5.5em 12em auto;gap:2px 8px;align-items:center}"
    ".mien .bars i{display:block;height:9px;border-radius:2px}.mien .heads{display:flex;flex-wrap:wrap;gap:14px}"
    ".mien p{margin:.35em 0}"
)


def faces_html(faces: Iterable[Face], image: Image | None) -> str:
    """Return the annotated picture, if there is one, and a set of bars for each face."""
    listed = list(faces)
    blocks = [
        f"<div><p><b>{face.emotion or 'unclear'}</b></p>"
        f"{bars((name, None, face.probabilities[name]) for name in SHOWN)}</div>"
        for face in listed[:FACES]
    ]
    more = f"<p>… and {len(listed) - FACES:,} more</p>" if len(listed) > FACES else ""
    head = f"<p>{counted(len(listed), 'face', 'faces') if listed else 'No face was found.'}</p>"
    drawn = "" if image is None else _picture(image)
    return framed(f'{drawn}{head}<div class="heads">{"".join(blocks)}</div>{more}')


def bars(rows: Iterable[tuple[Emotion | str, int | None, float]]) -> str:
    """Return a bar for each share: name, how many, share from 0 to 1."""
    cells = []
    for name, count, share in rows:
        told = f"{100 * share:.0f} %" + ("" if count is None else f" ({count:,})")
        bar = f'<i style="background:{COLOUR_OF[name]};width:{max(0.5, 100 * share):.1f}%"></i>'
        cells.append(f"<span>{name}</span><span>{bar}</span><span>{told}</span>")
    return f'<div class="bars">{"".join(cells)}</div>'


def _picture(image: Image) -> str:
    """Return a BGR picture, made smaller where it is wide, as an element of a page."""
    photo = Pillow.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    photo.thumbnail((WIDEST, 2 * WIDEST))
    jpeg = io.BytesIO()
    photo.save(jpeg, "JPEG", quality=88)
    data = base64.b64encode(jpeg.getvalue()).decode()
    return f'<img alt="what was found, drawn in" width="{photo.width}" src="data:image/jpeg;base64,{data}">'


def framed(content: str) -> str:
    """Return what a cell shows, with its style."""
    return f'<div class="mien"><style>{STYLE}</style>{content}</div>'
