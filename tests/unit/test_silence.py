"""Which variables keep packages silent, when they are set, and where caches go."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mien.config import Settings
from mien.run.doctor import LOOKS
from mien.silence import CACHES, SILENT, UNASKED, caches_in, loud, silence, traces

SEEN = "import os; print(os.environ.get('ORT_DISABLE_TELEMETRY'), os.environ.get('FASTAPI_OTEL_AUTO_CONFIGURE'))"


@pytest.mark.parametrize(
    "module", ["mien", "mien.silence", "mien.errors", "mien.models.classifier", "mien.reports.worker"]
)
def test_whatever_of_mien_is_imported_silences_packages_first(module: str) -> None:
    variables = {name: value for name, value in os.environ.items() if name not in SILENT | UNASKED}
    code = f"import {module}\n{SEEN}"
    for said in ({}, {"ORT_DISABLE_TELEMETRY": "0"}):
        done = subprocess.run(
            [sys.executable, "-c", code], env={**variables, **said}, capture_output=True, text=True, check=True
        )
        assert done.stdout == "1 false\n"


def test_child_processes_inherit_it() -> None:
    code = f"import mien, subprocess, sys; subprocess.run([sys.executable, '-c', {SEEN!r}], check=True)"
    variables = {name: value for name, value in os.environ.items() if name not in SILENT | UNASKED}
    assert (
        subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True).stdout
        == "1 false\n"
    )


def test_what_goes_where_the_user_says_stays_possible() -> None:
    variables = {"WANDB_MODE": "online", "FASTAPI_OTEL_AUTO_CONFIGURE": "true", "RAY_USAGE_STATS_ENABLED": "1"}
    silence(variables)
    assert variables == {**SILENT, "WANDB_MODE": "online", "FASTAPI_OTEL_AUTO_CONFIGURE": "true"}
    assert not loud(variables)
    assert loud({**variables, "WANDB_ERROR_REPORTING": "true"}) == ["WANDB_ERROR_REPORTING"]


def test_caches_go_into_a_folder_unless_the_environment_names_another(tmp_path: Path) -> None:
    variables = {"MPLCONFIGDIR": "/elsewhere"}
    caches_in(tmp_path, variables)
    assert variables.keys() == CACHES.keys()
    assert variables["MPLCONFIGDIR"] == "/elsewhere"
    assert variables["WANDB_CACHE_DIR"] == str(tmp_path / "wandb")


def test_the_doctor_tells_of_telemetry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = Settings(home=tmp_path / "state")
    assert LOOKS["telemetry"](settings) == ("ok", "off in every package that has any, before it is imported")
    folder = tmp_path / "Microsoft" / "DeveloperTools" / ".onnxruntime"
    folder.mkdir(parents=True)
    assert traces() == [folder]
    state, text = LOOKS["telemetry"](settings)
    assert state == "note"
    assert f"'{folder}' holds an id of this machine" in text
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    state, text = LOOKS["telemetry"](settings)
    assert state == "note"
    assert text.startswith("ORT_DISABLE_TELEMETRY was changed after Mien was imported")


def test_the_documentation_names_every_variable() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    section = page.partition("## What packages could send")[2].partition("\n## ")[0]
    for name, value in (SILENT | UNASKED).items():
        assert f"`{name}={value}`" in section
    assert set(re.findall(r"`([A-Z][A-Z_]+DIR)`", section)) == set(CACHES)
