"""Mien: how the faces in front of a camera, in a video, a meeting or a photo album react."""

__version__ = "0.1.0"
