"""The reports as functions: `mien.reports.film(…)` and the three others, as their own examples call them."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest
from making import write_video

import mien
from mien.errors import MienError, UsageError
from mien.media.demo import Demo
from mien.vision.annotate import write_picture

REPORTS = ("album", "audience", "film", "meeting")
CAPTIONS = (
    "WEBVTT\n\n00:00.500 --> 00:03.000\n<v Ann>That is wonderful.\n\n00:04.000 --> 00:06.000\n<v Ann>Thank you.\n"
)

pytestmark = pytest.mark.usefixtures("tiny_by_default")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the examples name."""
    folder = tmp_path_factory.mktemp("desk")
    demo = Demo()
    write_video(folder / "film.mp4", [demo.image(n / 4) for n in range(48)], range(0, 12_000, 250))
    (folder / "call.mp4").symlink_to(folder / "film.mp4")
    (folder / "call.vtt").write_text(CAPTIONS)
    (folder / "events.csv").write_text("time,label\n6,joke\n")
    (folder / "photos").mkdir()
    for second in (1, 10):
        write_picture(folder / "photos" / f"{second}.png", np.ascontiguousarray(demo.image(second)))
    return folder


@pytest.mark.parametrize("kind", REPORTS)
def test_the_example_of_each_report_is_true(
    kind: str, desk: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(desk)
    report = getattr(mien.reports, kind)
    parser = doctest.DocTestParser()
    names = {kind: report}
    example = parser.get_doctest(inspect.getdoc(type(report).__call__) or "", names, kind, None, None)
    assert example.examples
    assert doctest.DocTestRunner().run(example, clear_globs=False) == (0, len(example.examples))
    made = example.globs["report"]
    assert "srcdoc=" in made._repr_html_()
    assert "<script" not in made._repr_html_()
    assert made[made.facts[0].name] is made.facts[0]
    with pytest.raises(KeyError, match="expected one of"):
        _ = made["nothing"]
    assert set(made.tables) == {data.name for data in made.data}
    assert str(tmp_path / "out.html") in map(str, made.write(str(tmp_path / "out.html"), "csv"))


@pytest.mark.parametrize("kind", REPORTS)
def test_a_report_is_a_function_and_a_package(kind: str) -> None:
    package = importlib.import_module(f"mien.reports.{kind}")
    assert package is getattr(mien.reports, kind)
    assert hasattr(importlib.import_module(f"mien.reports.{kind}.report"), f"report_{kind}")
    signature = inspect.signature(package)
    assert next(iter(signature.parameters)) == "paths"
    asked = importlib.import_module(f"mien.reports.{kind}.report")
    request = inspect.signature(getattr(asked, f"{kind.capitalize()}Request"))
    for name in set(signature.parameters) & set(request.parameters) - {"paths", "transcript", "events"}:
        assert signature.parameters[name].default == request.parameters[name].default, name


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give the paths of files, or store=URL"):
        mien.reports.film()
    with pytest.raises(UsageError, match="give the paths of files, or store=URL"):
        mien.reports.film("film.mp4", store="sqlite:///mien.db")
    with pytest.raises(MienError, match=r"none\.mp4"):
        mien.reports.film(tmp_path / "none.mp4")
    name = "movie"
    with pytest.raises(AttributeError, match="no attribute 'movie'"):
        getattr(mien.reports, name)
    assert dir(mien.reports) == list(REPORTS)
