"""All that Mien installs comes as wheels on the devices that it is for: nothing is compiled on a small machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UNREACHED = re.compile(r"Failed to fetch|error sending request|dns error|[Cc]onnection|timed out")


@pytest.mark.skipif(not find_spec("uv"), reason="could not import uv")
@pytest.mark.timeout(200)
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_every_extra_resolves_to_wheels_on_linux_aarch64(python: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--only-binary", ":all:", "--all-extras"]
    command += ["--python-platform", "aarch64-unknown-linux-gnu", "--python-version", python, "pyproject.toml"]
    done = subprocess.run(
        [*command, "-o", tmp_path / "resolved.txt"], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    if done.returncode and UNREACHED.search(done.stderr) and os.environ.get("CI") != "true":
        pytest.skip("no index of packages can be reached")
    assert done.returncode == 0, done.stderr
    resolved = (tmp_path / "resolved.txt").read_text(encoding="utf-8")
    assert all(
        re.search(rf"(?m)^{name}==", resolved) for name in ("onnxruntime", "opencv-python-headless", "av", "ray")
    )
