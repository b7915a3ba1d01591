"""The web page and REST API over a store, live through the broker; works without the internet."""

import importlib.util

from mien.errors import MissingExtraError

if importlib.util.find_spec("nicegui") is None:
    raise MissingExtraError("mien dashboard", "dashboard")
