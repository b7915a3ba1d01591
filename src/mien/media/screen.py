"""This machine's screen as a source: a spec such as `screen:2` goes in, what is to be seen there comes out.

A call that is running is watched so, where the system lets programs see the screen. Needs the extra `screen`.
"""

from __future__ import annotations

import logging
import re
import sys
import time as clock
from collections.abc import Callable
from typing import Any

import numpy as np

from mien.errors import InputError, MienError, MissingExtraError
from mien.media.live import Connection

__all__ = ["NOTICE", "screen"]

NOTICE = (
    "In the European Union it is prohibited to use AI systems to infer the emotions of people at work and in "
    "educational institutions, except for medical or safety reasons (AI Act, Regulation (EU) 2024/1689, Article "
    "5(1)(f)). Consent does not lift this prohibition. Everyone who is to be seen has to be told that their faces are "
    "read, and in many places has to agree: before the screen is read."
)
"""What is said before a screen is read; reports on meetings say the same of a recording."""

RATE = 15
"""So many pictures a second at most are taken of the screen."""

FORM = (
    "expected screen:, screen: and the number of one, or screen:x,y,width,height in pixels, such as screen:0,0,1280,720"
)

HINTS = {
    "linux": "; it takes a screen of X11 that DISPLAY names: under Wayland choose a session 'on Xorg'",
    "darwin": "; allow it in System Settings, Privacy & Security, Screen Recording",
}
"""What to do where a system shows programs no screen."""

log = logging.getLogger(__name__)


def screen(spec: str) -> Callable[[], Connection]:
    """Return what takes pictures of a screen, or of a part of all screens together.

    Args:
        spec: `screen:` (the first), `screen:2` (the second), or `screen:x,y,width,height`.

    Raises:
        InputError: The spec is none.
        MissingExtraError: It needs the extra `screen`.
    """
    given = re.fullmatch(r"(?i)screen:(?:(\d{1,3})|(-?\d{1,6}),(-?\d{1,6}),(\d{1,6}),(\d{1,6}))?", spec)
    if given is None or given[1] == "0" or 0 in (int(given[4] or 1), int(given[5] or 1)):
        raise InputError(f"cannot open '{spec}': {FORM}")
    try:
        import mss  # noqa: F401
    except ImportError:
        raise MissingExtraError("watching a screen", "screen") from None
    log.warning("%s", NOTICE)
    if given[2] is None:
        return lambda: _grab(spec, int(given[1] or 1), None)
    left, top, width, height = map(int, given.groups()[1:])
    return lambda: _grab(spec, 0, {"left": left, "top": top, "width": width, "height": height})


def _grab(spec: str, number: int, part: dict[str, int] | None) -> Connection:
    import mss

    try:
        with mss.MSS() as capture:
            area = part or _screen(spec, number, capture.monitors)
            _check(spec, area, capture.monitors[0])
            due = clock.monotonic()
            while True:
                shot = np.asarray(capture.grab(area), np.uint8)
                yield lambda shot=shot: np.ascontiguousarray(shot[..., :3])  # type: ignore[misc]
                due = max(due + 1 / RATE, clock.monotonic())
                clock.sleep(max(0.0, due - clock.monotonic()))
    except (mss.ScreenShotError, OSError) as error:
        raise MienError(f"cannot see the screen '{spec}': {_reason(error)}") from error


def _screen(spec: str, number: int, monitors: Any) -> dict[str, int]:
    count = len(monitors) - 1  # the first in the list is all of them together
    if number > count:
        raise InputError(f"cannot open '{spec}': this machine has {count} screen{'s' if count != 1 else ''}; {FORM}")
    return dict(monitors[number])


def _check(spec: str, area: dict[str, int], whole: dict[str, int]) -> None:
    inside = all(
        whole[edge] <= area[edge] and area[edge] + area[side] <= whole[edge] + whole[side]
        for edge, side in (("left", "width"), ("top", "height"))
    )
    if not inside:
        raise InputError(
            f"cannot open '{spec}': all screens together are {whole['width']}x{whole['height']} pixels from "
            f"{whole['left']},{whole['top']} on, and the part reaches beyond; {FORM}"
        )


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".").lower() or type(error).__name__
    return f"{text}{HINTS.get(sys.platform, '')}"
