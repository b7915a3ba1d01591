"""Clocks that can be wrong: whether the machine's is synchronised, and a clock that no step of it moves.

A machine without a clock of its own begins in 1970, or where it was switched off, until the network tells it better;
an administrator may set a year too much. What must not go wrong then, such as deleting what is old, asks `SteadyClock`.
"""

from __future__ import annotations

import ctypes
import logging
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from mien.errors import MienError
from mien.system.files import write_private

__all__ = ["EARLIEST_CLOCK", "FORWARDERS_CLOCK", "ClockWatch", "SteadyClock", "is_synchronised"]

log = logging.getLogger(__name__)

EARLIEST_CLOCK = datetime(2026, 1, 1, tzinfo=timezone.utc)
"""A clock that shows less is wrong: there was no Mien yet."""

FORWARDERS_CLOCK = "forward-clock.json"
"""The file in the state folder in which the forwarder notes how late it is."""

STEP_S = 60.0
"""A clock that goes wrong by less is not talked about, in seconds."""

SHOWN_S = 3600.0
"""So long a step back is told, in seconds."""

UNSYNCHRONISED = 0x0040
"""The kernel's word that nothing keeps its clock right, `STA_UNSYNC`."""


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def is_synchronised() -> bool | None:
    """Say whether something keeps the machine's clock right; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    try:
        answer = _Timex()  # with `modes` 0 it only asks
        if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(answer)) < 0:
            return None
    except (OSError, AttributeError):
        return None
    return not answer.status & UNSYNCHRONISED


class ClockReading(msgspec.Struct, frozen=True):
    """A moment as a `SteadyClock` noted it.

    Attributes:
        time: The time that was held for right, in seconds since 1970.
        boot: Which start of the machine it was.
        up_s: How long that was ago then, in seconds.
        synchronised: Whether something kept the machine's clock right.
    """

    time: float
    boot: str
    up_s: float
    synchronised: bool


class SteadyClock:
    """A clock that goes on as time really passes, whatever becomes of the machine's.

    It begins with the machine's clock, or with what it noted the last time. Then it follows the time since the
    machine's start, which nobody sets. It takes the machine's clock for right again where that was not synchronised
    and is by now, and, with a synchronised one, after the machine was off, since nothing tells for how long.

    Args:
        path: Where it is noted, so that it lasts across restarts.

    Attributes:
        is_wrong: Whether the machine's clock showed another time when it was looked at last.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._boot = _boot()
        self._beat = self._read()
        self.is_wrong = False

    def now(self) -> datetime:
        """Return the time, UTC; and say in the log when the machine's clock has another."""
        wall, up_s, synchronised = time.time(), _up_s(), is_synchronised() is not False
        beat = self._beat
        if beat is None:
            at = wall
        else:
            same = beat.boot == self._boot and up_s >= beat.up_s
            at = beat.time + (up_s - beat.up_s if same else up_s)
            if synchronised and wall > at and not (same and beat.synchronised):
                at = wall
        self._beat = ClockReading(at, self._boot, up_s, synchronised)
        self._compare(wall, at)
        return datetime.fromtimestamp(at, timezone.utc)

    @property
    def is_new(self) -> bool:
        """Whether nothing was noted yet."""
        return self._beat is None

    def set(self, at: datetime) -> None:
        """Take a time for right from now on."""
        self._beat = ClockReading(at.timestamp(), self._boot, _up_s(), is_synchronised() is not False)

    def note(self) -> None:
        """Write down how late it is; where somebody has set it meanwhile, take that."""
        noted = self._read()
        if noted is not None and self._beat is not None and noted.time > self._beat.time + STEP_S:
            self._beat = noted
        elif self._beat is not None:
            try:
                write_private(self._path, msgspec.json.encode(self._beat))
            except MienError as error:
                log.warning("%s", error)

    def _compare(self, wall: float, at: float) -> None:
        wrong = abs(wall - at) > STEP_S
        if wrong and not self.is_wrong:
            log.warning(
                "the machine's clock shows %s, but by what has passed since it was last right it is %s: nothing is "
                "deleted by it; if it is right, `mien store prune` says so",
                *(datetime.fromtimestamp(time_s, timezone.utc).isoformat(" ", "seconds") for time_s in (wall, at)),
            )
        elif self.is_wrong and not wrong:
            log.warning("the machine's clock is right again")
        self.is_wrong = wrong

    def _read(self) -> ClockReading | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=ClockReading)
        except (OSError, ValueError):
            return None


class ClockWatch:
    """Looks at the machine's clock from time to time, and says in the log when it is not to be trusted."""

    def __init__(self) -> None:
        self._ahead_s: float | None = None
        self._stepped_at = -SHOWN_S
        self._last_state = "ok"

    def state(self) -> str:
        """Return `ok`, `unsynchronised`, or `stepped back` where the clock was set back within the last hour."""
        up_s = _up_s()
        ahead_s = time.time() - up_s
        if self._ahead_s is not None and ahead_s < self._ahead_s - STEP_S:
            self._stepped_at = up_s
            log.warning("the machine's clock was set back by %.0f s: times may come twice", self._ahead_s - ahead_s)
        self._ahead_s = ahead_s
        is_early = time.time() < EARLIEST_CLOCK.timestamp()
        state = "unsynchronised" if is_early or is_synchronised() is False else "ok"
        if up_s - self._stepped_at < SHOWN_S:
            state = "stepped back"
        if state == "unsynchronised" and self._last_state != state:
            log.log(
                logging.WARNING if is_early else logging.INFO,
                "nothing keeps the machine's clock right, it shows %s: what is seen may be stored under a wrong time",
                datetime.fromtimestamp(time.time(), timezone.utc).isoformat(" ", "seconds"),
            )
        self._last_state = state
        return state


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _up_s() -> float:
    """Return the time since the machine's start, in seconds, with that in which it slept where the system counts it."""
    try:
        return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return time.monotonic()
