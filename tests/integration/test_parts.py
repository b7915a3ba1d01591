"""The processes that the tests of the delivery start."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from parts import Part


def _note_environment(path: Path) -> None:
    path.write_text(json.dumps(dict(os.environ)))


def test_a_part_has_the_environment_of_the_test_that_starts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server that forks them keeps that of the first one, such as another test's `MIEN_STORE__URL`."""
    for url in ("sqlite:///first.db", "sqlite:///second.db", None):
        monkeypatch.delenv("MIEN_STORE__URL", raising=False)
        if url:
            monkeypatch.setenv("MIEN_STORE__URL", url)
        part = Part(_note_environment, (tmp_path / "environment.json",))
        part.start()
        assert part.end() == 0
        assert json.loads((tmp_path / "environment.json").read_text()) == dict(os.environ)
