"""The Python API: pictures and videos go in, faces and observations come out."""

from __future__ import annotations

from mien.api.analysis import Analysis
from mien.api.analyzer import Analyzer, analyze, analyze_video, watch
from mien.api.faces import Faces

__all__ = ["Analysis", "Analyzer", "Faces", "analyze", "analyze_video", "watch"]
