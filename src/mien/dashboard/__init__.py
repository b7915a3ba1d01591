"""The web page and REST API over a store, live through the broker; works without the internet."""

from importlib.util import find_spec

from mien.errors import MissingExtraError

if find_spec("nicegui") is None:
    raise MissingExtraError("mien dashboard", "dashboard")
