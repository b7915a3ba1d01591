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
    from mien.api import Analysis, Analyzer, analyze, analyze_video, watch
    from mien.observation import EMOTIONS, Face, Observation
    from mien.version import __version__

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

import_module("mien.silence").silence()  # before other packages: some report to their makers once they are imported

_HOMES = {
    "Analysis": "mien.api",
    "Analyzer": "mien.api",
    "EMOTIONS": "mien.observation",
    "Face": "mien.observation",
    "Observation": "mien.observation",
    "analyze": "mien.api",
    "analyze_video": "mien.api",
    "__version__": "mien.version",
    "watch": "mien.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mien' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
