"""Numbers and lists in words: what is counted or named goes in, how a sentence has it comes out."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "listed"]


def counted(number: float, singular: str, many: str) -> str:
    """Return a number with what it counts.

    >>> counted(1, "face", "faces"), counted(1204, "face", "faces")
    ('1 face', '1,204 faces')
    """
    return f"{number:,} {singular if number == 1 else many}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return names in a row; of many the first, and how many more there are.

    >>> listed(["Ann", "Bob", "Eve"]), listed(["Ann", "Bob", "Eve"], most=1)
    ('Ann, Bob, Eve', 'Ann and 2 more')
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
