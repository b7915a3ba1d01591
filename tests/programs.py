"""Where the system's programs are that tests run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

__all__ = ["program"]


def program(*names: str) -> str:
    """Return the path of a system program; without it fail in CI, skip elsewhere."""
    servers = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)  # Debian has them off the PATH
    folders = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", *servers])
    for name in names:
        if found := shutil.which(name, path=folders):
            return found
    message = f"none of {', '.join(names)} is installed"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
