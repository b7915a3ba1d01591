"""A folder of films becomes a folder of tables with a manifest, and only what is missing is done again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import fsspec
import polars as pl
import pytest
from making import grey_levels, write_video
from typer.testing import CliRunner

from mien.cli.app import app
from mien.config import load
from mien.errors import InputError, MissingExtraError, PartialError, UsageError
from mien.media.demo import Demo
from mien.run.batch import analyze_paths
from mien.run.collection.collection import analyze_collection, estimate_collection, is_collection
from mien.run.options import AnalyzeOptions

pytestmark = pytest.mark.usefixtures("nothing_set", "tiny_by_default")


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Two films in two folders, a broken one, a text, and two photos."""
    folder = tmp_path / "films"
    (folder / "old").mkdir(parents=True)
    demo = Demo()
    faces = [cv2.resize(demo.image(n / 10), (320, 180)) for n in range(12)]
    write_video(folder / "new.mp4", faces, range(0, 1200, 100))
    write_video(folder / "old" / "new.mp4", list(grey_levels(5)), range(0, 500, 100))
    (folder / "broken.mkv").write_text("nothing")
    (folder / "notes.txt").write_text("nothing")
    for name in ("a.jpg", "b.png"):
        cv2.imwrite(str(folder / "old" / name), faces[0])
    return folder


def run(paths: Path | str, output: Path | str, **chosen: Any) -> dict[str, dict[str, Any]]:
    """Run a collection whose broken film is named, and return what was done."""
    with pytest.raises(PartialError, match="broken"):
        analyze_collection(load({}), [str(paths)], str(output), AnalyzeOptions(**chosen))
    text = (Path(output) / "manifest.jsonl").read_text() if "://" not in str(output) else ""
    return {row["name"]: row for row in map(json.loads, text.splitlines())}


def written(output: Path) -> dict[str, int]:
    return {path.relative_to(output).as_posix(): path.stat().st_mtime_ns for path in output.rglob("*.parquet")}


def test_each_film_becomes_a_table_and_a_row(films: Path, tmp_path: Path) -> None:
    output = tmp_path / "faces"
    rows = run(films, output)
    assert {name: row["state"] for name, row in rows.items()} == {
        "broken.mkv": "failed", "new.mp4": "done", "old/": "done", "old/new.mp4": "done",
    }  # fmt: skip
    assert set(written(output)) == {"new.mp4.parquet", "old/new.mp4.parquet", "old/photos.parquet"}
    assert "no video" in rows["broken.mkv"]["problem"]
    assert rows["old/"]["frames"] == 2
    for row in rows.values():
        if row["state"] == "done":
            table = pl.read_parquet(output / row["part"])
            assert table.select("seq").n_unique() == row["frames"]
            assert table["x"].count() == row.get("faces", 0)
    analyze_paths(load({}), [str(films / "new.mp4")], output=tmp_path / "single.parquet")
    kept = pl.exclude("id", "session", "time", "elapsed_ms")
    single = pl.read_parquet(tmp_path / "single.parquet").select(kept)
    assert single.equals(pl.read_parquet(output / "new.mp4.parquet").select(kept))
    assert [path.name for path in output.iterdir() if path.name.startswith(".")] == []


def test_another_run_does_what_is_missing_changed_or_failed(films: Path, tmp_path: Path) -> None:
    output = tmp_path / "faces"
    run(films, output)
    before = written(output)
    run(films, output)
    assert written(output) == before
    os.utime(films / "new.mp4", (1, 1))  # another time, the same content
    run(films, output)
    assert written(output) == before
    (output / "old" / "new.mp4.parquet").unlink()
    write_video(films / "new.mp4", list(grey_levels(7)), range(0, 700, 100))
    write_video(films / "broken.mkv", list(grey_levels(3)), range(0, 300, 100))
    done = analyze_collection(load({}), [str(films)], str(output))
    assert {row.name for row in done} == {"broken.mkv", "new.mp4", "old/new.mp4"}
    assert pl.read_parquet(output / "new.mp4.parquet")["seq"].n_unique() == 7
    assert written(output)["old/photos.parquet"] == before["old/photos.parquet"]
    done = analyze_collection(load({}), [str(films)], str(output), AnalyzeOptions(every=2))
    assert len(done) == 4, "another way of analysing makes all of it anew"
    (films / "new.mp4").write_text("nothing any more")
    with pytest.raises(PartialError, match=r"new\.mp4"):
        analyze_collection(load({}), [str(films)], str(output), AnalyzeOptions(every=2))
    assert not (output / "new.mp4.parquet").exists(), "a table of a film that is no more"


def test_a_damaged_line_of_the_manifest_costs_its_film(films: Path, tmp_path: Path) -> None:
    output = tmp_path / "faces"
    run(films, output)
    manifest = output / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"name":"new.mp4"', '"name":7'))
    with pytest.raises(PartialError):
        assert analyze_collection(load({}), [str(films)], str(output))
    assert len(manifest.read_text().splitlines()) == 4


def test_urls_are_read_and_written(films: Path, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(films), "/films", recursive=True)
    settings = load({})
    try:
        run("memory://films", "memory://faces")
        assert {path.rpartition("/faces/")[2] for path in memory.find("/faces")} == {
            "manifest.jsonl", "new.mp4.parquet", "old/new.mp4.parquet", "old/photos.parquet",
        }  # fmt: skip
        for url, table in (
            ("new.mp4", "a.csv"),
            ("old", "b.csv"),
            ("old/*.jpg", "c.csv"),
        ):
            analyze_paths(settings, [f"memory://films/{url}"], output=f"memory://tables/{table}")
        lines = memory.cat("/tables/b.csv").decode().splitlines()
        assert sum("films/old/a.jpg," in line for line in lines) == 1
        assert len(memory.cat("/tables/c.csv").decode().splitlines()) == 2
        analyze_paths(settings, ["memory://films/new.mp4"], output=tmp_path / "here.csv")
        assert (tmp_path / "here.csv").read_text().count("\n") == 13
        with pytest.raises(InputError, match="there is no such file"):
            analyze_paths(settings, ["memory://films/none.mp4"])
        with pytest.raises(InputError, match="no video"):
            analyze_paths(settings, ["memory://films/broken.mkv"])
        playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
        memory.pipe("/films/list.mp4", playlist.encode())
        with pytest.raises(InputError, match="no video"):
            analyze_paths(settings, ["memory://films/list.mp4"])
    finally:
        memory.rm("/", recursive=True)


def test_a_report_reads_the_folder(films: Path, tmp_path: Path) -> None:
    output = tmp_path / "faces"
    run(films, output)
    asked = ["report", "film", str(output), "-o", str(tmp_path / "report.html")]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "report.html").read_text().count("new") > 0


def test_an_estimate_tells_and_writes_nothing(films: Path, tmp_path: Path) -> None:
    output = tmp_path / "faces"
    estimate = estimate_collection(load({}), [str(films)], str(output))
    assert (estimate.items, estimate.left, estimate.unreadable, estimate.unknown) == (4, 4, 1, 0)
    assert estimate.hours * 3600 == pytest.approx(1.7, abs=0.3)
    assert estimate.seconds is not None
    assert estimate.seconds > 0
    assert not output.exists()
    done = CliRunner().invoke(app, ["analyze", str(films), "-o", f"{output}/", "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "4 items, 4 to be done" in done.output
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "out/", "--on", "spark"], "--on 'spark' is no engine"),
        (["-o", "out.csv", "--on", "ray"], "--on goes with a folder"),
        (["--dry-run"], "--dry-run goes with a folder"),
        (["-o", "out/", "--annotate", "a.mp4"], "not for the folder"),
        (["-o", "out/", "--every", "0"], "every 0th frame"),
        (["-o", "s4://bucket/out/"], "nothing here reads 's4'"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(films: Path, arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["analyze", str(films), *arguments])
    assert isinstance(done.exception, UsageError)
    assert words in str(done.exception)
    assert not Path("out").exists()


def test_two_films_of_one_name_are_refused(films: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"would both become 'new\.mp4\.parquet'"):
        analyze_collection(load({}), [str(films / "new.mp4"), str(films / "old" / "new.mp4")], str(tmp_path / "out"))


def test_ray_that_is_not_installed_is_named(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"mien\[ray\]"):
        analyze_collection(load({}), [str(films)], str(tmp_path / "out"), on="ray")


@pytest.mark.parametrize(
    ("output", "folder"),
    [("a/", True), ("a.csv", False), ("s3://b/a", True), ("s3://b/a.parquet", False), (".", True), ("nothing", False)],
)
def test_an_output_is_a_folder_by_its_name_or_as_it_is_one(output: str, folder: bool) -> None:
    assert is_collection(output) is folder
