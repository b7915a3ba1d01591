"""The floor plan: who may import whom, who may import torch, and what `import mien` costs."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import mien

SRC = Path(mien.__file__).parent
FOLDERS = ["vision", "edge", "stores", "forward", "reports", "dashboard", "compat"]
"""In the order of imports: a folder imports only folders that stand before it."""
SHARED = {"observation", "errors", "config", "config_renames", "config_tables", "table"}
STORES_FROM = {"reports": {"mien.stores.base"}, "dashboard": {"mien.stores.base"}}
TRAINING_SEES = {"mien.observation", "mien.errors", "mien.vision.emotions"}
TORCH = {"torch", "lightning", "torchmetrics", "pytorch_lightning"}


def modules() -> list[Path]:
    return sorted(path for path in SRC.rglob("*.py"))


def folder_of(path: Path) -> str:
    relative = path.relative_to(SRC)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports anywhere in it, in full."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            module = node.module or ""
            submodules = {
                f"{module}.{alias.name}"
                for alias in node.names
                if (SRC.parent / module.replace(".", "/") / f"{alias.name}.py").exists()
            }
            found |= submodules or {module}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SRC)))
def test_a_folder_imports_only_folders_before_it(path: Path) -> None:
    folder = folder_of(path)
    if folder not in FOLDERS:
        return
    allowed = {folder, *FOLDERS[: FOLDERS.index(folder)]} | SHARED
    for name in imports_of(path):
        if not name.startswith("mien."):
            continue
        part = name.split(".")[1]
        assert part in allowed, f"{folder} may not import {name}"
        if part == "stores" and folder in STORES_FROM:
            assert name in STORES_FROM[folder], f"{folder} sees stores through stores.base only, not {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SRC)))
def test_only_training_imports_torch(path: Path) -> None:
    if folder_of(path) != "training":
        assert not {name.split(".")[0] for name in imports_of(path)} & TORCH


def test_training_sees_only_the_record_and_the_contract() -> None:
    for path in (SRC / "training").glob("*.py"):
        for name in imports_of(path):
            if name.startswith("mien."):
                assert name in TRAINING_SEES or name.startswith("mien.training"), f"{path.name} may not import {name}"


def test_shared_modules_import_nothing_of_ours_but_each_other() -> None:
    for name in SHARED:
        for imported in imports_of(SRC / f"{name}.py"):
            if imported.startswith("mien"):
                assert imported.split(".")[1] in SHARED


def test_every_public_name_exists_and_all_is_sorted() -> None:
    for info in pkgutil.walk_packages([str(SRC)], "mien."):
        if info.name.endswith("__main__") or info.name.startswith("mien.training"):
            continue
        module = importlib.import_module(info.name)
        names = getattr(module, "__all__", None)
        if names is None:
            assert hasattr(module, "__path__"), f"{info.name} has no __all__"
            continue
        for name in names:
            assert hasattr(module, name), f"{info.name}.__all__ names {name}, which is not there"


def test_importing_mien_is_light() -> None:
    code = (
        "import sys, json; before = set(sys.modules); import mien; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    heavy = {"numpy", "cv2", "av", "onnxruntime", "msgspec", "pydantic", "sqlalchemy", "polars", "nicegui", "typer"}
    assert not heavy & {name.split(".")[0] for name in loaded}


def test_files_stay_small() -> None:
    long = {
        str(path.relative_to(SRC)): lines for path in modules() if (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long, f"over 400 lines: {long}"
