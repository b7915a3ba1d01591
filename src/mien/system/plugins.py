"""Entry points: a group and a name go in, what a package registered under them comes out.

Sources, detectors and stores are found so, Mien's own as well as those of other packages.
"""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from mien.errors import MienError

__all__ = ["Group", "load_plugin", "plugin_names"]

Group = Literal["mien.sources", "mien.detectors", "mien.stores"]


def plugin_names(group: Group) -> list[str]:
    """Return what is registered in a group, sorted."""
    return sorted(_registered(group))


def load_plugin(group: Group, name: str) -> Any:
    """Return the class or function that is registered under a name.

    Raises:
        KeyError: None is.
        MienError: The package that registered it cannot be imported, or lacks it.
    """
    point = _registered(group)[name]
    try:
        return point.load()
    except Exception as error:  # another package's code, which may fail in any way
        package = point.dist.name if point.dist else "a package"
        raise MienError(
            f"cannot load '{name}' of {group} from '{point.value}': {error!r}; reinstall or uninstall {package}"
        ) from error


@functools.cache
def _registered(group: Group) -> dict[str, EntryPoint]:
    # Kept: with many packages installed, looking costs as much as reading the faces of two frames.
    return {point.name: point for point in entry_points(group=group)}
