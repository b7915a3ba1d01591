"""Mien: how the faces in front of a camera, in a video, a meeting or a photo album react.

    >>> import mien
    >>> faces = mien.analyze("demo")  # or the path of a photo, an array, a picture of Pillow's
    >>> len(faces)
    1
    >>> for observation in mien.watch("demo"):  # or a video, a camera's number, a stream's URL
    ...     print(observation.offset_s, len(observation.faces))
    ...     break
    0.0 1

Importing this costs next to nothing: what is named below is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien import errors, reports
    from mien.api import Analysis, Analyzer, Faces, analyze, analyze_video, watch
    from mien.observation import EMOTIONS, Face, Observation, Probabilities
    from mien.version import __version__

__all__ = [
    "EMOTIONS",
    "Analysis",
    "Analyzer",
    "Face",
    "Faces",
    "Observation",
    "Probabilities",
    "__version__",
    "analyze",
    "analyze_video",
    "errors",
    "reports",
    "watch",
]

import_module("mien.silence").silence()  # before other packages: some report to their makers once they are imported

_HOMES = {
    **dict.fromkeys(("Analysis", "Analyzer", "Faces", "analyze", "analyze_video", "watch"), "mien.api"),
    **dict.fromkeys(("EMOTIONS", "Face", "Observation", "Probabilities"), "mien.observation"),
    "__version__": "mien.version",
}
_ROOMS = ("errors", "reports")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"mien.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'mien' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
