"""Times as transcripts write them: a text goes in, seconds come out."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["CLOCK", "SPELLED", "Timing", "clock_s", "cue_time", "spelled_s", "timing"]

CLOCK = r"(?:(?<!\d)(\d{1,4}):)?(?<!\d)(\d{1,3}):(\d{2})(?!\d)(?:[.,](\d{1,3}))?(?:\s*([AaPp])\.?[Mm]\b\.?)?"
"""A time in a text: five groups, hours, minutes, seconds, fraction and the letter of am or pm."""

HOUR = r"(?:hours?|hrs?|stunden?|heures?|horas?|or[ae]|uu?r|uren|timm(?:e|ar)|час\w*|時間|小时|小時|시간)"
MINUTE = r"(?:min(?:ut\w*|s)?|минут\w*|分钟|分鐘|分|분)"
SECOND = r"(?:se[ckg](?:s|[ou]nd\w*)?|секунд\w*|秒|초)"
SPELLED = rf"(?:(\d{{1,4}})\s*{HOUR},?\s*)?(\d{{1,3}})\s*{MINUTE},?\s*(\d{{1,2}})\s*{SECOND}"
"""A time in words, such as `0 minutes 3 seconds`: three groups, hours, minutes and seconds."""

ARROW = re.compile(r"(?:[-–—−=]\s?[-–—−=]?\s?(?:>|&gt;)|[→⟶➔➜])")
SIDE = re.compile(
    r"(-?)\s*(?:(\d{1,6})\s*:\s*)?(\d{1,4})\s*:\s*(\d{1,2})(?:\s*([.,:;])\s*(-?\d{1,9}))?(?![\d:])"
    r"|(-?)\s*(\d{1,6})\.(\d{2})\.(\d{2})(?:\s*([.,])\s*(-?\d{1,9}))?(?![\d:])"
)
SECONDS = re.compile(r"(-?\d{1,9}(?:\.\d{1,9})?)\s*s?(?![\w:.])")
SETTINGS = re.compile(r"[A-Za-z]\w*:\S+(?:\s+[A-Za-z]\w*:\S+)*")
BROKEN = re.compile(r"(\S{1,24}(?:\s\S{1,24})?)\s*-->\s*(\S{1,24})((?:\s+\S+)*)")
FRAMES = 25
"""A second has so many frames, where a time ends in frames (`00:00:01:12`) and nothing tells how many."""


@dataclass(frozen=True)
class Timing:
    """A line that gives the times of a cue.

    Attributes:
        start: In seconds, as it is written, also under 0; None: it is there but cannot be read.
        end: Likewise.
        words: What stands behind the times on the same line and is no setting.
        kind: How it is written: an arrow, an arrow in brackets, or SBV's comma.
    """

    start: float | None
    end: float | None
    words: str = ""
    kind: str = "arrow"


def clock_s(groups: tuple[str | None, ...]) -> float:
    """Return the seconds that the five groups of CLOCK mean; before am and pm two numbers are hours and minutes."""
    hours, minutes, seconds, fraction, half = groups
    if half is None:
        return int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction or 0}")
    if hours is None:
        hours, minutes, seconds = minutes, seconds, "0"
    day = int(hours or 0) % 12 + (12 if half in "Pp" else 0)
    return day * 3600.0 + int(minutes or 0) * 60 + int(seconds or 0)


def spelled_s(groups: tuple[str | None, ...]) -> float:
    """Return the seconds that the three groups of SPELLED mean."""
    hours, minutes, seconds = groups
    return int(hours or 0) * 3600.0 + int(minutes or 0) * 60 + int(seconds or 0)


def cue_time(text: str) -> tuple[float, str] | None:
    """Return the time that a text begins with, in seconds, and what comes after it; None where it begins with none.

    Read are also what translators and machines make of times: spaces in them, full-width signs, commas, minus signs,
    seconds over 59, frames, seconds alone.
    """
    match = SIDE.match(text)
    if not match:
        alone = SECONDS.match(text)
        return (float(alone[1]), text[alone.end() :]) if alone else None
    sign, hours, minutes, seconds, mark, fraction = match.groups()[:6] if match[3] else match.groups()[6:]
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    part = 0.0
    if fraction:
        digits = fraction.lstrip("-")
        in_frames = mark in (":", ";") and len(digits) <= 2
        part = int(digits) / FRAMES if in_frames else int(digits) / 10 ** len(digits)
        part = -part if fraction.startswith("-") else part
    return (-1 if sign else 1) * (whole + part), text[match.end() :]


def timing(line: str) -> Timing | None:
    """Return the times that a line gives to a cue; None for a line of words."""
    if ARROW.search(line):
        return _with_arrow(line)
    text = unicodedata.normalize("NFKC", line).strip()
    halves = re.fullmatch(r"(\d{1,4}:\d{1,2}:\d{2}\.\d{1,3})\s*,\s*(\d{1,4}:\d{1,2}:\d{2}\.\d{1,3})", text)
    times = [cue_time(half) for half in halves.groups()] if halves else []
    return Timing(times[0][0], times[1][0], kind="comma") if len(times) == 2 and times[0] and times[1] else None


def _with_arrow(line: str) -> Timing | None:
    bracketed = re.match(r"\s*[\[(]([^\[\]()]{1,80})[\])][ \t]*:?(.*)$", line)
    if bracketed and not ARROW.search(bracketed[1]):
        bracketed = None
    text = bracketed[1] if bracketed else line
    trailing = bracketed[2].strip() if bracketed else ""
    text = unicodedata.normalize("NFKC", text.replace("\u066b", ".").replace("\u2236", ":")).strip()
    left, right = [*ARROW.split(text, maxsplit=1), ""][:2]
    first, second = cue_time(left.strip()), cue_time(right.strip())
    if first and not first[1].strip() and second and not second[1][:1].strip():
        rest = second[1].strip()
        words = "" if SETTINGS.fullmatch(rest) else rest
        return Timing(
            first[0], second[0], " ".join(filter(None, (words, trailing))), "brackets" if bracketed else "arrow"
        )
    broken = BROKEN.fullmatch(text)
    sides = f"{broken[1]} {broken[2]}".lower() if broken else ""
    if not broken or not (re.search(r"\d|nan", sides) or not any(sign.isalnum() for sign in sides)):
        return None
    whole = first is not None and not first[1].strip()
    rest = "" if SETTINGS.fullmatch(broken[3].strip()) else broken[3].strip()
    end = second[0] if second and not second[1][:1].strip() else None
    if not whole and end is None and not re.search(r"[:.,]", broken[1]):
        return None
    return Timing(first[0] if first and whole else None, end, " ".join(filter(None, (rest, trailing))))
