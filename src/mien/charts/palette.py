"""One colour per emotion, on the dashboard and in pictures alike."""

from __future__ import annotations

from mien.observation import Emotion

__all__ = ["COLOURS"]

COLOURS: dict[Emotion, str] = {
    "angry": "#d55e00",
    "disgust": "#009e73",
    "fear": "#cc79a7",
    "happy": "#e69f00",
    "sad": "#0072b2",
    "surprise": "#56b4e9",
    "neutral": "#bcc3cb",
}
"""Okabe and Ito's palette, which people with any kind of colour vision tell apart, with a
light grey for neutral: a darker one would look like fear to deuteranopes."""
