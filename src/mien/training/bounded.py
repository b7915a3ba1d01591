"""Numbers on a command line that have to lie within bounds, as argparse's types."""

from __future__ import annotations

import argparse
from collections.abc import Callable

__all__ = ["EPOCHS", "SEED", "number", "whole"]


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number from `low` to `high`, both included."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {low} to {high}")
        return value

    return read


def number(low: float, high: float) -> Callable[[str], float]:
    """Return what reads a number from `low` to `high`, both included."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number from {low:g} to {high:g}")
        return value

    return read


EPOCHS = whole(1, 10_000)
SEED = whole(0, 2**31 - 1)
