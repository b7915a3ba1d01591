"""Write docs/reference/openapi.json, the description of the REST API, from the code: python docs/openapi.py"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mien.config import Settings
from mien.dashboard.api.app import Api

PATH = Path(__file__).parent / "reference" / "openapi.json"


def described() -> dict[str, Any]:
    """Return the OpenAPI document that a dashboard serves."""
    api = Api(None, Settings())  # type: ignore[arg-type]
    try:
        return api.app.openapi()
    finally:
        api.close()


if __name__ == "__main__":
    PATH.write_text(json.dumps(described(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
