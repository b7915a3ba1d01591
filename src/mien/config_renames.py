"""Settings that had another name once: it is still read, with a line that says so, until the next major version."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["RENAMED", "carry_over"]

log = logging.getLogger(__name__)

RENAMED: dict[str, str] = {}
"""The present name by the former one, such as {"watch.rate": "watch.fps"}: a table and a name each. None so far."""


def carry_over(values: dict[str, Any], origin: str) -> None:
    """Put what stands under former names under the present ones; where both are given, the present one counts.

    Args:
        values: Nested as the settings are; changed in place.
        origin: Where they are from, for the line.
    """
    for former, present in RENAMED.items():
        (old_table, old_name), (table, name) = former.split("."), present.split(".")
        section = values.get(old_table)
        sections = [one for one in (section if isinstance(section, list) else [section]) if isinstance(one, dict)]
        holding = [one for one in sections if old_name in one]
        for one in holding:
            place = one if table == old_table else values.setdefault(table, {})
            value = one.pop(old_name)
            if isinstance(place, dict):
                place.setdefault(name, value)
        if holding:
            log.warning("setting '%s' in %s is called '%s' now: rename it, it is read for a while only",
                        former, origin, present)  # fmt: skip
        if section == {}:
            del values[old_table]
