"""Mien: how the faces in front of a camera, in a video, a meeting or a photo album react.

    >>> import mien
    >>> faces = mien.analyze("photo.jpg")  # doctest: +SKIP
    >>> for observation in mien.watch("film.mp4"):  # doctest: +SKIP
    ...     print(observation.offset_s, [face.emotion for face in observation.faces])

Importing this costs next to nothing: what is named below is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.analysis import Analysis, Analyzer, analyze, analyze_video, watch
    from mien.observation import EMOTIONS, Face, Observation

__all__ = [
    "EMOTIONS",
    "Analysis",
    "Analyzer",
    "Face",
    "Observation",
    "__version__",
    "analyze",
    "analyze_video",
    "watch",
]

__version__ = "0.1.0"

_HOMES = {
    "Analysis": "mien.analysis",
    "Analyzer": "mien.analysis",
    "EMOTIONS": "mien.observation",
    "Face": "mien.observation",
    "Observation": "mien.observation",
    "analyze": "mien.analysis",
    "analyze_video": "mien.analysis",
    "watch": "mien.analysis",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mien' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
