"""The web page and REST API over a store, live through the broker; works without the internet."""

import importlib.util

from mien.errors import MissingExtraError

NEEDS = ("fastapi", "jinja2", "plotly", "uvicorn")
"""What the extra `dashboard` brings."""

if not all(map(importlib.util.find_spec, NEEDS)):
    raise MissingExtraError("mien dashboard", "dashboard")
