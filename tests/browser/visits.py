"""What the browser tests hold: an open page, a dashboard that runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import BrowserContext, Page

from mien.stores.base import Store


@dataclass
class Visit:
    """A page, the requests that left the machine, and the errors that the browser reported."""

    page: Page
    context: BrowserContext
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass
class Served:
    """A dashboard that runs: its address, its state folder, a writer of its store."""

    address: str
    home: Path
    store: Store
