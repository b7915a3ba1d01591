"""What this machine tells of itself: its temperature, the most memory of this process; None where it doesn't."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

__all__ = ["peak_bytes", "temperature_c"]

THERMAL = Path("/sys/class/thermal")
"""Where Linux lists its sensors."""

ZONES = 64
LONGEST = 16
"""So many sensors are asked at most, and so many characters read of each."""

PLAUSIBLE_C = (-40.0, 150.0)
"""A sensor that tells less or more, in degrees Celsius, is not connected or broken."""


def temperature_c(folder: Path = THERMAL) -> float | None:
    """Return the hottest sensor's temperature in degrees Celsius, to a tenth.

    Args:
        folder: Holds a `thermal_zone*/temp` for each sensor, in thousandths of a degree.
    """
    temperatures = [
        read for file in islice(folder.glob("thermal_zone*/temp"), ZONES) if (read := _read_c(file)) is not None
    ]
    return max(temperatures, default=None)


def peak_bytes() -> int | None:
    """Return the most memory that this process has had, in bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _read_c(file: Path) -> float | None:
    try:
        with file.open("rb") as sensor:
            degrees = int(sensor.read(LONGEST)) / 1000
    except (OSError, ValueError):  # some sensors are listed and cannot be asked
        return None
    return round(degrees, 1) if PLAUSIBLE_C[0] < degrees < PLAUSIBLE_C[1] else None
