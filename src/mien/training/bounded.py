"""Numbers on a command line that have to lie within bounds, as argparse's types."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

__all__ = ["EPOCHS", "SEED", "number", "whole"]

Number = TypeVar("Number", int, float)


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number from `low` to `high`, both included."""
    return _within(int, "whole number", low, high)


def number(low: float, high: float) -> Callable[[str], float]:
    """Return what reads a number from `low` to `high`, both included."""
    return _within(float, "number", low, high)


def _within(kind: type[Number], what: str, low: Number, high: Number) -> Callable[[str], Number]:
    def read(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:  # nan lies within none
            raise argparse.ArgumentTypeError(f"'{text}' is not a {what} from {low} to {high}")
        return value

    return read


EPOCHS = whole(1, 10_000)
SEED = whole(0, 2**31 - 1)
