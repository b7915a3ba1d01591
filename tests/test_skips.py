"""With CI=true a test that lacks a package or data fails; elsewhere it is skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ABSENT = """
import pytest

def test_package():
    pytest.importorskip("a_package_that_is_nowhere")

def test_data(data):
    pass

def test_platform():
    pytest.skip("it plays Windows")
"""
MODULE = "import pytest\n\npytest.importorskip('a_package_that_is_nowhere')\n"


@pytest.mark.parametrize(("ci", "failed"), [("true", 3), ("false", 0)])
def test_nothing_is_skipped_for_what_is_missing(tmp_path: Path, ci: str, failed: int) -> None:
    (tmp_path / "test_absent.py").write_text(ABSENT)
    (tmp_path / "test_module.py").write_text(MODULE)
    environment = {name: value for name, value in os.environ.items() if name != "MIEN_TEST_DATA"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "conftest",
            "-p",
            "no:cacheprovider",
            "--continue-on-collection-errors",
            str(tmp_path),
        ],
        cwd=tmp_path,
        env={**environment, "CI": ci, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == (1 if failed else 0), done.stdout
    counts = done.stdout.strip().splitlines()[-1]
    assert ("1 failed, 1 skipped, 2 errors" if failed else "4 skipped") in counts
