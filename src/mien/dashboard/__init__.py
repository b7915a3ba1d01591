"""The web page and REST API over a store, live through the broker; works without the internet."""

from mien.errors import MissingExtraError

try:
    from mien.dashboard.app import run_dashboard
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in {"nicegui", "fastapi", "starlette", "uvicorn"}:
        raise
    raise MissingExtraError("mien dashboard", "dashboard") from error

__all__ = ["run_dashboard"]
