"""Where frames come from: one way to open a camera, a stream, a video, photos or the demo.

A spec goes in (`demo`, `0`, `screen:`, `rtsp://host/path`, `film.mp4`, `album/`), a `Source` of frames comes out.
Which opener takes a spec is decided here; the openers are the entry points of the group `mien.sources`, so others can
add theirs for URLs of their own scheme.
"""

from __future__ import annotations

import difflib
import os
import re
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mien.errors import InputError, UsageError
from mien.masking import as_text, without_password
from mien.media.base import Source
from mien.media.shots import numbered
from mien.observation import slug
from mien.system.plugins import load_plugin, plugin_names
from mien.system.remote import is_folder, is_url

__all__ = [
    "is_camera",
    "kind_of",
    "open_camera",
    "open_demo",
    "open_photos",
    "open_screen",
    "open_source",
    "open_stream",
    "open_video",
]


NEIGHBOURS = 2000
"""So many files beside a missing one are looked at for one of a similar name."""

FASTEST = 1000.0
"""No file has more frames a second."""


def open_source(
    spec: str, name: str | None = None, *, stream: int | None = None, fps_in: float | None = None
) -> Source:
    """Return the source that a spec names; the frames of all but photos bear the number of their shot.

    Args:
        spec: `demo`, a camera's number or device, `screen:`, a URL, or the path of a video, a photo or a folder of
            photos; these may also lie where fsspec reaches, such as `s3://bucket/film.mp4`.
        name: What to call it; default: `camera-0`, the file's stem, or the host.
        stream: Of a video file the number of the stream to look at, as ffprobe counts them; None: the film's.
        fps_in: How many frames a second a video file has that doesn't say when they are shown, such as raw H.264.

    Raises:
        UsageError: A number is out of range.
        InputError: There is no such thing, or it cannot be read; one line says which.
        MienError: A stream cannot be reached.
    """
    if fps_in is not None and not 0 < fps_in <= FASTEST:
        raise UsageError(f"a file cannot have {fps_in:g} frames a second: expected more than 0, at most {FASTEST:g}")
    if stream is not None and stream < 0:
        raise UsageError(f"there is no stream {stream}: expected 0 or more")
    kind = kind_of(spec)
    known = plugin_names("mien.sources")
    if kind not in known:
        shown = without_password(spec)
        raise InputError(f"cannot open '{shown}': nothing here reads '{kind}' sources (known: {', '.join(known)})")
    how = {"stream": stream, "fps_in": fps_in} if kind in ("video", "stream") else {}
    source: Source = load_plugin("mien.sources", kind)(spec, slug(name) if name else None, **how)
    return source if kind == "photo" else numbered(source)


def kind_of(spec: str) -> str:
    """Return which opener takes a spec: `demo`, `camera`, `screen`, `stream`, `photo`, `video`, or a URL's scheme.

    Raises:
        InputError: There is no such file or folder; of a name that is nearly one, the line says which.
    """
    if spec == "demo":
        return "demo"
    if spec.isdecimal() or re.match(r"/dev/|(v4l2|csi):", spec, re.IGNORECASE):
        return "camera"
    if spec.lower().startswith("screen:"):
        return "screen"
    if scheme := re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", spec):
        known = scheme[1].lower()
        if is_url(spec) and known not in plugin_names("mien.sources"):
            from mien.media.folder import is_photo_name

            return "photo" if is_photo_name(spec) or is_folder(spec) else "video"
        return "stream" if known in ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp") else known
    from mien.media.photos import is_photo, is_there, matching

    path = Path(spec)
    there = is_there(spec)
    if not there and os.path.islink(spec):  # noqa: PTH114 - False, too, of a name that no file can have
        raise InputError(f"cannot open '{spec}': it is a link to '{path.readlink()}', which is not there")
    if not spec or (not there and matching(path) in ([], [path])):
        raise InputError(
            f"cannot open '{spec}': there is no such file or folder; a source is a camera's number, a URL, the path of "
            f"a video, a photo or a folder of photos, a pattern such as *.jpg, or demo{_alike(path)}"
        )
    return "photo" if not there or path.is_dir() or is_photo(path) else "video"


def _alike(path: Path) -> str:
    """Return a question after what was meant by the path of a file that is not there; empty: nothing is alike."""
    names: list[str] = []
    with suppress(OSError):
        names = [file.name for file in islice(path.parent.iterdir(), NEIGHBOURS)]
    known = {str(path.with_name(name)): name for name in names} if path.name else {}
    alike = difflib.get_close_matches(str(path), ["demo", *known], n=1, cutoff=0.7)
    return f"; did you mean {as_text(alike[0])}?" if alike else ""


def is_camera(spec: str) -> bool:
    """Return whether a spec names a camera of this machine."""
    return kind_of(spec) == "camera"


def open_camera(spec: str, name: str | None = None) -> Source:
    """Return the camera with this number or device, such as `0`, `/dev/video0`, `v4l2:/dev/video0` or `csi://0`."""
    from mien.media.live import Live, camera, device_of

    device = device_of(spec)
    return Live(
        name or slug(f"camera-{device}" if isinstance(device, int) else device.removeprefix("/dev/")), camera(device)
    )


def open_screen(spec: str, name: str | None = None) -> Source:
    """Return this machine's screen or a part of it: `screen:`, `screen:2` or `screen:x,y,width,height`."""
    from mien.media.live import Live
    from mien.media.screen import screen

    return Live(name or "screen", screen(spec), rests=True)


def open_stream(spec: str, name: str | None = None, **how: Any) -> Source:
    """Return the stream at a URL; a whole video file behind one is read as a file."""
    from mien.media.live import Live, is_file_behind, stream
    from mien.media.video import Video

    try:
        host = urlsplit(spec).hostname
    except ValueError as error:
        raise InputError(f"cannot open '{without_password(spec)}': it is no URL ({str(error).lower()})") from error
    name = name or slug(host or "stream")
    return Video(spec, name, **how) if is_file_behind(spec) else Live(name, stream(spec))


def open_video(spec: str, name: str | None = None, **how: Any) -> Source:
    """Return the video file at a path."""
    from mien.media.video import Video

    return Video(spec, name or slug(Path(spec).stem), **how)


def open_photos(spec: str, name: str | None = None) -> Source:
    """Return the photo at a path, those in a folder and the folders in it, or those that a pattern names."""
    from mien.media.photos import Photos

    if is_url(spec) and not Path(spec).exists():
        return Photos(spec, name or slug(Path(spec).stem))
    return Photos(Path(spec), name or slug(Path(spec).resolve().stem))


def open_demo(spec: str = "demo", name: str | None = None) -> Source:  # noqa: ARG001 - openers share one signature
    """Return the clip that comes with Mien."""
    from mien.media.demo import Demo

    return Demo(name or "demo")
