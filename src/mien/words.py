"""Numbers and lists in words: what is counted or named goes in, how a sentence or a list has it comes out."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["by_number", "counted", "in_points", "listed", "signed"]


def counted(number: float, singular: str, many: str) -> str:
    """Return a number with what it counts.

    >>> counted(1, "face", "faces"), counted(1204, "face", "faces")
    ('1 face', '1,204 faces')
    """
    return f"{number:,} {singular if number == 1 else many}"


def in_points(share: float) -> str:
    """Return a share, or a difference of two, in whole points of a hundred.

    >>> in_points(0.412), in_points(0.0098)
    ('41 points', '1 point')
    """
    return counted(round(100 * share), "point", "points")


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return names in a row; of many the first, and how many more there are.

    >>> listed(["Ann", "Bob", "Eve"]), listed(["Ann", "Bob", "Eve"], most=1)
    ('Ann, Bob, Eve', 'Ann and 2 more')
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def by_number(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts names as people do: numbers within them by their value, capitals as small letters.

    >>> sorted(["cam10", "Cam2", "cam2b", "cam1"], key=by_number)
    ['cam1', 'Cam2', 'cam2b', 'cam10']
    """
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], name


def signed(number: float, form: str = "+.1f") -> str:
    """Return a number with its sign; what rounds to nothing has none.

    Args:
        number: The number.
        form: How it is written, as `format` has it.

    >>> signed(2.345), signed(-0.5, "+.0f"), signed(-0.04)
    ('+2.3', '0', '0.0')
    """
    text = format(number, form)
    return text if any(digit in text for digit in "123456789") else text[1:]
