"""What editors know of Mien: types of everything public, docstrings, and names that a checker resolves."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import mien

PUBLIC = sorted(set(mien.__all__) - {"EMOTIONS", "__version__", "errors", "reports"})
USE = """
import mien
from pathlib import Path
from typing_extensions import assert_type

faces = mien.analyze(b"photo")
assert_type(faces, mien.Faces)
assert_type(faces[0], mien.Face)
assert_type(faces[:2], mien.Faces)
assert_type(faces[0].probabilities["happy"], float)
analysis = mien.analyze_video(Path("film.mp4"), fps=5)
assert_type(analysis[0], mien.Observation)
assert_type(analysis[1:], mien.Analysis)
assert_type(analysis.summary().faces, int)
report = mien.reports.film("film.mp4", moments=2)
assert_type(report.lead, str)
assert_type(mien.reports.album("photos", best=3).facts[0].value, float | None)
for observation in mien.watch(Path("film.mp4")):
    assert_type(observation, mien.Observation)
try:
    mien.reports.meeting("call.mp4", transcript="call.vtt")
except mien.errors.InputError as error:
    assert_type(error.exit_code, int)
"""


CONFIG = """
[mypy]
mypy_path = {}
follow_imports = silent
ignore_missing_imports = True
[mypy-numpy.*,pandas.*,polars.*,plotly.*,PIL.*,pydantic.*,pydantic_core.*,sqlalchemy.*,rich.*,cv2.*,jinja2.*,paho.*]
follow_imports = skip
"""
"""Only Mien's own types are looked at: those of others take a minute to read."""


@pytest.mark.parametrize("name", PUBLIC)
def test_everything_public_has_types_and_a_docstring(name: str) -> None:
    home = getattr(mien, name)
    members = [home] if inspect.isfunction(home) else [home, *_own_members(home)]
    for member in members:
        assert inspect.getdoc(member), member
        if inspect.isfunction(member):
            parameters = [p for p in inspect.signature(member).parameters.values() if p.name != "self"]
            assert all(p.annotation is not inspect.Parameter.empty for p in parameters), member
            returns = inspect.signature(member).return_annotation
            assert returns is not inspect.Signature.empty, member
            assert "Any" not in str(returns), member


def _own_members(home: type) -> list[object]:
    own = [member for name, member in vars(home).items() if not name.startswith("_")]
    functions = [member.fget if isinstance(member, property) else member for member in own]
    return [member for member in functions if inspect.isfunction(member)]


def test_a_checker_resolves_the_names_that_are_loaded_late(tmp_path: Path) -> None:
    assert (Path(mien.__file__).parent / "py.typed").exists()
    (tmp_path / "use.py").write_text(USE)
    (tmp_path / "mypy.ini").write_text(CONFIG.format(Path(mien.__file__).parents[1]))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", "cache", "use.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
