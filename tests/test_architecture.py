"""The floor plan: who may import whom, who may import torch, what strings name, and what `import mien` costs."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import mien

SRC = Path(mien.__file__).parent
DOCS = Path(__file__).parents[1] / "docs"
FLOORS = [
    {"version", "errors", "masking", "silence", "words"},
    {"observation", "system"},
    {"config", "table", "charts", "stores"},
    {"exports", "media", "models", "mqtt"},
    {"vision", "training"},
    {"api", "forward", "compat"},
    {"edge", "reports"},
    {"__init__"},
    {"run"},
    {"dashboard"},
    {"cli"},
    {"__main__"},
]
"""From the ground up: a room imports only rooms of lower floors. A room is a folder, or a file that lies loose."""
SEES_STORES_BY = {"reports": "mien.stores.base", "dashboard": "mien.stores.base"}
TRAINING_SEES = {"mien.observation", "mien.errors", "mien.models.classifier"}
TORCH = {"torch", "lightning", "torchmetrics", "pytorch_lightning"}
DASHBOARD = [
    {"base_path"},
    {"errors", "rendering"},
    {"assets", "data", "security"},
    {"jobs", "manual"},
    {"api", "pages"},
    {"app"},
]
"""The rooms inside the dashboard, and its loose files, from the ground up."""
REPORTS = {"film", "meeting", "audience", "album"}
MOST = 20
"""A folder holds at most so many modules beside its __init__."""


def name_of(path: Path) -> str:
    parts = path.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(SRC.rglob("*.py"))}


NAMED = r"(?<![\w./@-])mien(?:\.[a-z_]\w*){2,}|(?<=-m )mien(?:\.\w+)*|(?<=import )mien\.\w+|(?<=from )mien\.\w+"
"""Text that names a module, or something in one. Two words may also be a file, or a key of a model's contract."""


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


@cache
def imports_of(path: Path) -> set[str]:
    """Every module that a file imports anywhere in it, also inside functions, in full."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            module = node.module or ""
            submodules = {f"{module}.{alias.name}" for alias in node.names} & set(MODULES)
            names |= submodules if len(submodules) == len(node.names) else submodules | {module}
    return names


@cache  # and not when the tests are collected, which each worker does
def imports() -> dict[str, set[str]]:
    """What each module imports of Mien."""
    return {
        module: {name for name in imports_of(path) if name.split(".")[0] == "mien"} - {module}
        for module, path in MODULES.items()
    }


def test_every_room_stands_on_a_floor() -> None:
    rooms = {room_of(module) for module in MODULES}
    assert rooms == set().union(*FLOORS)
    assert sum(map(len, FLOORS)) == len(rooms)


def test_a_room_imports_only_lower_floors() -> None:
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    wrong = [
        f"{module} -> {name}"
        for module, names in imports().items()
        for name in names
        if room_of(module) != room_of(name) and floor[room_of(name)] >= floor[room_of(module)]
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    left = {module: set(names) & set(MODULES) for module, names in imports().items()}
    while ground := {module for module, names in left.items() if not names}:
        left = {module: names - ground for module, names in left.items() if module not in ground}
    assert left == {}, "these are in a circle, or above one"


def test_the_reports_import_nothing_of_each_other() -> None:
    for module, names in imports().items():
        kind = [*module.split("."), "", ""][2]
        if room_of(module) == "reports" and kind in REPORTS:
            others = tuple(f"mien.reports.{other}" for other in REPORTS - {kind})
            assert not [name for name in names if name.startswith(others)], module
        if module.startswith("mien.reports.check"):  # what computes again shares nothing with what computed
            assert not [name for name in names if name.startswith("mien.reports") and "reports.check" not in name]


def test_a_room_of_the_dashboard_imports_only_lower_ones() -> None:
    floor = {room: number for number, rooms in enumerate(DASHBOARD) for room in rooms}
    inside = {module: module.split(".")[2] for module in MODULES if module.startswith("mien.dashboard.")}
    assert set(inside.values()) == set(floor)
    wrong = [
        f"{module} -> {name}"
        for module, room in inside.items()
        for name in imports()[module] & set(inside)
        if inside[name] != room and floor[inside[name]] >= floor[room]
    ]
    assert wrong == []


def test_reports_and_dashboard_see_stores_by_their_base() -> None:
    for module, names in imports().items():
        if room_of(module) in SEES_STORES_BY:
            seen = {name for name in names if room_of(name) == "stores"}
            assert seen <= {SEES_STORES_BY[room_of(module)]}, module


def test_the_drawing_and_the_table_show_the_floors() -> None:
    drawn = [
        set(re.findall(r'font-weight="600">(\w+)<', floor))
        for floor in (DOCS / "img/floors.svg").read_text(encoding="utf-8").split('class="number"')[1:]
    ]
    page = (DOCS / "explanation/architecture.md").read_text(encoding="utf-8")
    written = [set(re.findall(r"`(\w+)`", rooms)) for rooms in re.findall(r"^\| \d+ \| (.*?) \|", page, re.MULTILINE)]
    floors = [floor for floor in reversed(FLOORS) if not any(room.startswith("__") for room in floor)]
    assert drawn == written == floors


def test_only_training_imports_torch() -> None:
    for module, path in MODULES.items():
        if room_of(module) != "training":
            assert not {name.split(".")[0] for name in imports_of(path)} & TORCH, module


def test_training_sees_only_the_record_and_the_contract() -> None:
    for module, names in imports().items():
        if room_of(module) == "training":
            assert {name for name in names if room_of(name) != "training"} <= TRAINING_SEES, module


def test_no_folder_holds_too_much() -> None:
    held: dict[str, int] = {}
    for path in MODULES.values():
        if path.name != "__init__.py":
            held[path.parent.name] = held.get(path.parent.name, 0) + 1
    assert {folder: count for folder, count in held.items() if count > MOST} == {}
    loose = {path.stem for path in SRC.glob("*.py")}
    named = {"config", "errors", "masking", "observation", "silence", "table", "version", "words"}
    assert loose == {"__init__", "__main__", *named}


def test_strings_that_name_modules_resolve() -> None:
    """Programs that are started, entry points, and what documentation and examples name."""
    root = SRC.parents[1]
    written = {"pyproject.toml", "Makefile", "README.md", "CONTRIBUTING.md"}
    files = [root / name for name in written] + [
        path
        for folder in ("src", "tests", "benchmarks", "docs", "deploy", "notebooks")
        for path in (root / folder).rglob("*")
        if path.suffix in {".py", ".md", ".ipynb", ".yaml", ".service", ".Dockerfile"}
    ]
    wrong = {
        f"{file.relative_to(root)} names {name}"
        for file in files
        for name in re.findall(NAMED, file.read_text(encoding="utf-8"))
        if file != Path(__file__) and not is_there(name)
    }
    assert wrong == set()


def is_there(name: str) -> bool:
    """Return whether a dotted name is a module, or a name in one; files such as mien.toml are none of ours."""
    if name == "mien":
        return True
    parts = name.split(".")
    if parts[1] in {"sources", "detectors"}:  # groups of entry points
        return True
    if parts[1] in {"toml", "db", "service", "example", "local", "html", "css", "js", "env", "log", "mp4"}:
        return True
    module = next(".".join(parts[:end]) for end in range(len(parts), 0, -1) if ".".join(parts[:end]) in MODULES)
    rest = parts[len(module.split(".")) :]
    if not rest:
        return True
    defined = MODULES[module].read_text(encoding="utf-8")
    return re.search(rf"\b{rest[0]}\b", defined) is not None


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
    heavy = {"numpy", "cv2", "av", "onnxruntime", "msgspec", "pydantic", "sqlalchemy", "polars", "fastapi", "typer"}
    assert not heavy & {name.split(".")[0] for name in loaded}


def test_long_files_say_why() -> None:
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > 600:
            assert "long" in (ast.get_docstring(ast.parse(text)) or ""), (
                f"{module} has over 600 lines and gives no reason"
            )
