"""What a check yields: a figure of a report, as it is printed and as it is computed again."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["Figure", "Row", "Value", "furthest"]

Row = dict[str, Any]
Value = float | str | None


@dataclass(frozen=True)
class Figure:
    """A figure of a report, twice.

    Attributes:
        name: What it is.
        printed: As the report has it; None where it has none.
        computed: As it follows from the tables; None where nothing follows.
        apart: How far apart the two may be.
    """

    name: str
    printed: Value
    computed: Value
    apart: float = 0.0

    @property
    def agrees(self) -> bool:
        """Whether the two are the same, as far as they can be."""
        if isinstance(self.printed, int | float) and isinstance(self.computed, int | float):
            return abs(self.printed - self.computed) <= self.apart
        return self.printed == self.computed


def furthest(
    name: str, printed: Iterable[float | None], computed: Iterable[float | None], apart: float = 0.0
) -> Figure:
    """Return of figures of one kind, such as a curve's, the two that lie furthest apart."""

    def distance(pair: tuple[float | None, float | None]) -> float:
        if pair[0] is None or pair[1] is None:
            return 0.0 if pair[0] is pair[1] else math.inf
        return abs(pair[0] - pair[1])

    return Figure(name, *max(zip(printed, computed, strict=True), key=distance, default=(None, None)), apart)
