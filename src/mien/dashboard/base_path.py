"""The path under which a proxy shows the dashboard, such as /mien: it stands before every address that goes out.

It is empty where there is no such proxy. The guard writes it into each request's scope; pages, redirects and cookies
read it there. What stands in the pieces that streams bring is relative to the page, so that all viewers share them.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

__all__ = ["base_of", "path_below", "set_base"]

KEY = "mien.base"


def base_of(scope: MutableMapping[str, Any]) -> str:
    """Return the path under which a request's viewer sees the dashboard: "" or, for example, "/mien"."""
    base: str = scope.get(KEY, "")
    return base


def path_below(scope: MutableMapping[str, Any]) -> str:
    """Return which of the dashboard's own paths a request asks for; "" where it names the base without its slash."""
    path: str = scope["path"]
    return path[len(base_of(scope)) :]


def set_base(scope: MutableMapping[str, Any], base: str, *, stripped: bool) -> None:
    """Write into a request's scope under which path its viewer sees the dashboard.

    Args:
        scope: The request's; its path begins with the base afterwards, as ASGI has it of a `root_path`.
        base: That path, "" or without a slash at its end.
        stripped: Whether the request's path surely lacks it; else it may begin with it or not.
    """
    path = scope["path"]
    if stripped or not (path == base or path.startswith(f"{base}/")):
        scope["path"] = base + path
        if scope.get("raw_path") is not None:
            scope["raw_path"] = base.encode("ascii") + scope["raw_path"]
    scope["root_path"] = scope[KEY] = base
