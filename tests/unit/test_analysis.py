"""`mien analyze`: files in, a table out."""

from __future__ import annotations

import csv
import functools
import http.server
import json
import os
import re
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import cv2
import numpy as np
import polars as pl
import pytest
from making import add_beep, beep_in, grey_levels, truncated_video, write_video
from PIL import Image as Pillow

from mien.cli.ending import Ending
from mien.cli.terminal import progress
from mien.config import Settings, VisionSettings
from mien.errors import InputError, MienError, MissingExtraError, PartialError, UsageError
from mien.media.demo import Demo
from mien.observation import EMOTIONS, Observation, decode
from mien.reports.base.job import Job
from mien.reports.base.video_cache import analysed
from mien.run.batch import analyze_paths
from mien.run.options import AnalyzeOptions
from mien.table import COLUMNS, TableWriter
from mien.vision.annotate import write_picture
from mien.vision.detector import Detector


@pytest.fixture
def settings(tiny_model: Path) -> Settings:
    return Settings(vision=VisionSettings(model=tiny_model, abstain_below=0.0))


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "portrait.jpg"
    write_picture(path, Demo().image(1.0))
    return path


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames with a face, then five without."""
    demo = Demo()
    images = [demo.image(n / 10) for n in range(10)] + [np.full((360, 640, 3), 60, np.uint8)] * 5
    return write_video(tmp_path_factory.mktemp("films") / "film.mp4", images, range(0, 1500, 100))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_video_becomes_a_row_per_face_and_one_where_there_is_none(
    settings: Settings, film: Path, tmp_path: Path
) -> None:
    analyze_paths(settings, [film], output=tmp_path / "out.csv")
    rows = read_csv(tmp_path / "out.csv")
    assert tuple(rows[0]) == COLUMNS
    assert [int(row["frame"]) for row in rows] == list(range(15))
    assert [float(row["offset_s"]) for row in rows] == pytest.approx([n / 10 for n in range(15)], abs=1e-3)
    assert {row["track"] for row in rows[:10]} == {"1"}
    assert {row["file"] for row in rows} == {str(film)}
    for row in rows[:10]:
        assert sum(float(row[emotion]) for emotion in EMOTIONS) == pytest.approx(1, abs=1e-3)
        assert row["emotion"] == max(EMOTIONS, key=lambda emotion: float(row[emotion]))
        assert (row["frame_width"], row["frame_height"]) == ("640", "360")
        assert row["time"].endswith("Z")
    for row in rows[10:]:
        assert row["track"] == row["x"] == row["emotion"] == row["happy"] == ""
        assert row["id"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.csv"]


def test_json_lines_hold_whole_observations(settings: Settings, film: Path, portrait: Path, tmp_path: Path) -> None:
    analyze_paths(settings, [film, portrait], output=tmp_path / "out.jsonl")
    observations = [decode(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert [len(observation.faces) for observation in observations if isinstance(observation, Observation)] == [
        1
    ] * 10 + [0] * 5 + [1]
    assert [observation.source for observation in observations if isinstance(observation, Observation)] == [
        "film"
    ] * 15 + ["portrait"]
    assert len({observation.session for observation in observations}) == 2


def test_parquet_has_typed_columns_with_nulls(settings: Settings, film: Path, portrait: Path, tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    analyze_paths(settings, [film, portrait], output=tmp_path / "out.parquet")
    table = pl.read_parquet(tmp_path / "out.parquet")
    assert tuple(table.columns) == COLUMNS
    assert table.schema["time"] == pl.Datetime("us", "UTC")
    assert (table.schema["x"], table.schema["happy"], table.schema["emotion"]) == (pl.Int64, pl.Float64, pl.String)
    assert table["emotion"].null_count() == 5
    assert table["time"].null_count() == table["offset_s"].null_count() == 1
    assert table.height == 16


def test_parquet_without_polars_names_the_extra(
    settings: Settings, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[analyze\]'"):
        analyze_paths(settings, [film], output=tmp_path / "out.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_photos_names_each_file(settings: Settings, portrait: Path, tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    for name in ("b.jpg", "a.jpg"):
        (album / name).write_bytes(portrait.read_bytes())
    analyze_paths(settings, [album], output=tmp_path / "out.csv")
    rows = read_csv(tmp_path / "out.csv")
    assert [row["file"] for row in rows] == [str(album / "a.jpg"), str(album / "b.jpg")]
    assert {row["track"] for row in rows} == {""}


def test_photos_may_be_called_anything(
    settings: Settings, portrait: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / os.fsdecode(b"a\xe9[no].jpg")  # from a disk of the time before UTF-8
    odd.write_bytes(portrait.read_bytes())
    for name in ("out.csv", "out.parquet"):
        analyze_paths(settings, [odd], output=tmp_path / name)
    (row,) = read_csv(tmp_path / "out.csv")
    assert row["file"] == f"{tmp_path}/a\ufffd[no].jpg"
    assert pl.read_parquet(tmp_path / "out.parquet")["file"].to_list() == [row["file"]]
    analyze_paths(settings, [odd], shown=Ending([str(odd)], None, None))
    assert "a\ufffd[no].jpg" in capsys.readouterr().out


def test_a_pattern_stands_for_photos_and_videos(settings: Settings, film: Path, portrait: Path, tmp_path: Path) -> None:
    for name, given in (("one.jpg", portrait), ("two.mp4", film)):
        (tmp_path / name).write_bytes(given.read_bytes())
    analyze_paths(settings, [tmp_path / "*.*"], output=tmp_path / "out.csv")
    assert [Path(row["file"]).name for row in read_csv(tmp_path / "out.csv")] == ["one.jpg"] + ["two.mp4"] * 15
    with pytest.raises(InputError, match=r"\*\.webp': there is no such file"):
        analyze_paths(settings, [tmp_path / "*.webp"], output=tmp_path / "out.csv")


def ending(capsys: pytest.CaptureFixture[str], settings: Settings, *paths: Path, output: Path | None = None) -> str:
    """Return what an analysis shows at its end."""
    shown = Ending([str(path) for path in paths], output, None)
    analyze_paths(settings, paths, output=output, shown=shown)
    said = capsys.readouterr()
    assert said.err == ""
    assert all(len(line) <= 80 or "/" in line for line in said.out.splitlines())
    return said.out


def test_photos_end_with_a_row_for_each_face_and_a_summary(
    settings: Settings, portrait: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = ending(capsys, settings, portrait)
    assert "portrait.jpg" in shown
    assert "1 face in 1 photo" in shown
    assert "-o faces.csv" in shown
    for number in range(45):
        (tmp_path / f"{number}.jpg").write_bytes(portrait.read_bytes())
    (tmp_path / "notes.txt").write_text("neither photo nor video")
    shown = ending(capsys, settings, tmp_path)
    assert shown.count(".jpg ") == 40
    assert "45 faces in 45 photos" in shown
    assert "5 more photos are not shown" in shown
    assert "notes.txt" in shown, "what was left out"
    assert f"mien report album {tmp_path}" in shown


def test_a_video_ends_with_a_summary_in_place_of_rows(
    settings: Settings, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = ending(capsys, settings, film)
    assert re.search(r"10 faces in 1 video \(15 frames\), none in 5; \d+ frames/s", shown)
    rows = re.findall(r"(?m)^(\w+) +[█▏▎▍▌▋▊▉]* +(\d+) % +(\d+)$", shown)
    assert {name for name, _, _ in rows} == {*EMOTIONS, "unclear"}
    assert sum(int(count) for _, _, count in rows) == 10
    assert "happiest at 0:00" in shown
    assert f"mien report film {film}" in shown
    written = tmp_path / "out.csv"
    shown = ending(capsys, settings, film, output=written)
    assert f"mien report film {written}" in shown
    assert len(read_csv(written)) == 15
    grey = write_video(tmp_path / "grey.mp4", grey_levels(60), range(0, 2400, 40))
    shown = ending(capsys, settings, grey)
    assert "0 faces in 1 video (60 frames)" in shown
    assert "--annotate" in shown, "without a face it says how to see why"


def test_the_bar_tells_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as bar:
        task = bar.add_task("film.mp4", total=400)
        bar.advance(task, 100)
        time.sleep(0.01)
        bar.advance(task, 100)
        columns = [column(bar.tasks[0]) for column in bar.columns]
    told = " ".join(str(column) for column in columns)
    assert "200/400" in told
    assert re.search(r"[\d,]+/s", told)
    assert re.search(r"\d\d:\d\d", told)
    assert capsys.readouterr().err == "", "nothing is drawn where there is no terminal"


def test_what_could_be_read_of_a_truncated_video_is_kept(settings: Settings, tmp_path: Path) -> None:
    half, out = truncated_video(tmp_path / "half.mp4"), tmp_path / "out.csv"
    with pytest.raises(PartialError, match=r"ends early") as caught:
        analyze_paths(settings, [half], output=out)
    assert caught.value.exit_code == 1
    assert str(out) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert 10 < len(read_csv(out)) < 74


def test_one_bad_input_among_good_ones_costs_only_itself(settings: Settings, film: Path, tmp_path: Path) -> None:
    bad, out = tmp_path / "bad.mp4", tmp_path / "out.csv"
    bad.write_text("no video")
    with pytest.raises(PartialError, match=r"bad\.mp4.*15 frames were analysed"):
        analyze_paths(settings, [bad, film], output=out)
    assert len(read_csv(out)) == 15
    with pytest.raises(InputError, match=r"bad\.mp4"):
        analyze_paths(settings, [bad], output=tmp_path / "nothing.csv")
    assert not (tmp_path / "nothing.csv").exists()


def test_what_is_bound_to_fail_is_refused_before_any_work(settings: Settings, film: Path, tmp_path: Path) -> None:
    before = film.read_bytes()
    for paths, output, annotate, said in (
        ([film, tmp_path / "missing.mp4"], tmp_path / "o.csv", None, "no such file"),
        ([film, ""], tmp_path / "o.csv", None, "no such file"),
        ([tmp_path / ("a" * 300 + ".jpg")], tmp_path / "o.csv", None, "no such file"),
        ([film], tmp_path / ("a" * 300 + ".csv"), None, "file name too long"),
        ([film], None, tmp_path / ("a" * 300 + ".mp4"), "file name too long"),
        ([film], tmp_path / "o.xlsx", None, "must end in"),
        ([film], tmp_path / "no" / "o.csv", None, "no such file"),
        ([film], tmp_path / "o.csv", tmp_path / "o.avi", "must end in"),
        ([film, film], tmp_path / "o.csv", tmp_path / "o.mp4", "one at a time|only one"),
        ([film], tmp_path / "o.csv", film, "is what is to be analysed"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            analyze_paths(settings, paths, output=output, annotate=annotate)
        assert "\n" not in str(caught.value)
    assert film.read_bytes() == before
    assert list(tmp_path.iterdir()) == []


def test_an_annotated_video_has_every_frame_at_its_time(settings: Settings, film: Path, tmp_path: Path) -> None:
    analyze_paths(settings, [film], output=tmp_path / "out.csv", annotate=tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as drawn, av.open(str(film)) as plain:
        pairs = list(zip(drawn.decode(video=0), plain.decode(video=0), strict=True))
    assert len(pairs) == 15
    assert [a.time for a, _ in pairs] == pytest.approx([b.time for _, b in pairs], abs=1e-3)
    changes = [np.abs(a.to_ndarray(format="gray").astype(int) - b.to_ndarray(format="gray")) for a, b in pairs]
    assert all((change > 60).sum() > 500 for change in changes[:10])
    assert all((change > 60).sum() == 0 for change in changes[10:])


def test_a_full_disk_ends_the_drawing_in_one_line_and_keeps_the_table(
    settings: Settings, film: Path, tmp_path: Path
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(MienError, match=r"cannot (finish|go on writing) video '.*out\.mp4': file too large"):
            analyze_paths(settings, [film], output=tmp_path / "out.csv", annotate=tmp_path / "out.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert read_csv(tmp_path / "out.csv")


def test_an_annotated_photo(settings: Settings, portrait: Path, film: Path, tmp_path: Path) -> None:
    analyze_paths(settings, [portrait], output=tmp_path / "out.csv", annotate=tmp_path / "out.png")
    with Pillow.open(tmp_path / "out.png") as drawn:
        assert drawn.size == (640, 360)
    with pytest.raises(InputError, match=r"ends in \.mp4"):
        analyze_paths(settings, [film], output=tmp_path / "film.csv", annotate=tmp_path / "film.png")


def test_a_part_of_a_video_is_drawn_from_its_own_beginning(settings: Settings, film: Path, tmp_path: Path) -> None:
    analyze_paths(
        settings,
        [film],
        output=tmp_path / "o.csv",
        annotate=tmp_path / "o.mp4",
        options=AnalyzeOptions(every=2, start=0.4, end=1.1),
    )
    assert [int(row["frame"]) for row in read_csv(tmp_path / "o.csv")] == [4, 6, 8, 10]
    with av.open(str(tmp_path / "o.mp4")) as drawn:
        assert [frame.time for frame in drawn.decode(video=0)] == pytest.approx([0, 0.2, 0.4, 0.6], abs=1e-3)


def test_sound_is_kept_in_step_with_the_picture(settings: Settings, film: Path, tmp_path: Path) -> None:
    loud = add_beep(tmp_path / "loud.mp4", film, 0.6, 0.9)
    analyze_paths(settings, [loud], output=tmp_path / "o.csv", annotate=tmp_path / "whole.mp4")
    assert beep_in(loud) == pytest.approx((0.6, 0.9), abs=0.03)
    assert beep_in(tmp_path / "whole.mp4") == pytest.approx(beep_in(loud), abs=0.01)
    analyze_paths(
        settings,
        [loud],
        output=tmp_path / "o.csv",
        annotate=tmp_path / "part.mp4",
        options=AnalyzeOptions(start=0.4, end=1.2),
    )
    assert beep_in(tmp_path / "part.mp4") == pytest.approx((0.2, 0.5), abs=0.04)
    with av.open(str(tmp_path / "part.mp4")) as part:
        assert float(part.duration) / av.time_base == pytest.approx(0.8, abs=0.05)


def test_sound_that_an_mp4_cannot_hold_is_left_out_with_a_line(
    settings: Settings, film: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loud = add_beep(tmp_path / "loud.mkv", film, 0.6, 0.9, "pcm_s16le")
    assert beep_in(loud) is not None
    analyze_paths(settings, [loud], output=tmp_path / "o.csv", annotate=tmp_path / "o.mp4")
    assert beep_in(tmp_path / "o.mp4") is None
    (line,) = caplog.messages
    assert "(pcm_s16le) is left out" in line


def test_blurred_faces_cannot_be_found_any_more(
    settings: Settings, film: Path, portrait: Path, detector: Detector, tmp_path: Path
) -> None:
    analyze_paths(settings, [film], output=tmp_path / "o.csv", annotate=tmp_path / "o.mp4", blur=True)
    (row,) = [row for row in read_csv(tmp_path / "o.csv") if row["frame"] == "5"]
    x, y, width, height = (int(row[key]) for key in ("x", "y", "width", "height"))
    with av.open(str(tmp_path / "o.mp4")) as drawn, av.open(str(film)) as plain:
        pairs = list(zip(drawn.decode(video=0), plain.decode(video=0), strict=True))
    hidden, shown = (frame.to_ndarray(format="bgr24") for frame in pairs[5])
    assert len(detector.detect(shown)) == 1
    assert len(detector.detect(hidden)) == 0
    assert hidden[y : y + height, x : x + width].std() < 0.7 * shown[y : y + height, x : x + width].std()
    assert np.abs(hidden[-20:, :20].astype(int) - shown[-20:, :20]).max() < 40, "what is no face stays as it is"
    analyze_paths(settings, [portrait], output=tmp_path / "o.csv", annotate=tmp_path / "o.png", blur=True)
    with Pillow.open(tmp_path / "o.png") as picture:
        assert len(detector.detect(np.asarray(picture.convert("RGB"))[..., ::-1].copy())) == 0


def test_who_comes_into_view_is_blurred_from_the_first_frame_on(
    settings: Settings, detector: Detector, tmp_path: Path
) -> None:
    """One person is there, so that they are looked for where they were; another comes just after a whole look."""
    demo = Demo()
    images = [cv2.resize(demo.image(number / 25), (320, 180), interpolation=cv2.INTER_AREA) for number in range(12)]
    (x, y, width, height) = detector.detect(images[0]).boxes[0].astype(int)
    person = images[0][max(0, y - 20) : y + height + 20, max(0, x - 20) : x + width + 20].copy()
    wide = [np.hstack([image, np.full((180, 240, 3), 120, np.uint8)]) for image in images]
    for image in wide[2:]:
        image[: len(person), 360 : 360 + person.shape[1]] = person
    film = write_video(tmp_path / "two.mp4", wide, range(0, 480, 40))
    analyze_paths(settings, [film], output=tmp_path / "o.csv", annotate=tmp_path / "o.mp4", blur=True)
    with av.open(str(film)) as plain, av.open(str(tmp_path / "o.mp4")) as drawn:
        for number, frames in enumerate(zip(plain.decode(video=0), drawn.decode(video=0), strict=True)):
            shown, hidden = (len(detector.detect(frame.to_ndarray(format="bgr24"))) for frame in frames)
            assert (shown, hidden) == (2 if number >= 2 else 1, 0), number


def test_blur_without_a_picture_is_refused(settings: Settings, film: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--blur.*--annotate"):
        analyze_paths(settings, [film], output=tmp_path / "o.csv", blur=True)


def test_a_video_behind_a_url_is_analysed_and_its_password_told_nowhere(
    settings: Settings, film: Path, tmp_path: Path
) -> None:
    (tmp_path / "whole.mp4").write_bytes(film.read_bytes())
    (tmp_path / "half.mp4").write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    (tmp_path / "words.mp4").write_text("no video")
    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    place = f"joe:s3cret@127.0.0.1:{server.server_port}"
    add_beep(tmp_path / "loud.mkv", film, 0.6, 0.9)
    try:
        analyze_paths(settings, [f"http://{place}/loud.mkv"], output=tmp_path / "o.csv", annotate=tmp_path / "o.mp4")
        assert beep_in(tmp_path / "o.mp4") == pytest.approx((0.6, 0.9), abs=0.03)
        analyze_paths(settings, [f"http://{place}/whole.mp4"], output=tmp_path / "out.csv")
        rows = read_csv(tmp_path / "out.csv")
        assert len(rows) == 15
        assert {row["file"] for row in rows} == {f"http://***@127.0.0.1:{server.server_port}/whole.mp4"}
        for name in ("half", "words", "nothing"):
            with pytest.raises(MienError, match=r"http://\*\*\*@127") as caught:
                analyze_paths(settings, [f"http://{place}/{name}.mp4"], output=tmp_path / "out.csv")
            assert "s3cret" not in str(caught.value)
            assert "\n" not in str(caught.value)
        with pytest.raises(InputError, match=r"http://\*\*\*@.*download it first"):
            list(analysed(f"http://{place}/whole.mp4", settings, 5.0, Job()))
    finally:
        server.shutdown()
        server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


def test_an_interrupted_writer_keeps_what_was_added(film: Path, tiny_model: Path, tmp_path: Path) -> None:
    from mien.media.open import open_source
    from mien.vision.pipeline import Pipeline, load_models

    table = TableWriter(tmp_path / "out.csv")
    with open_source(str(film)) as source:
        pipeline = Pipeline(*load_models(VisionSettings(model=tiny_model)), "film")
        for frame, _ in zip(source, range(7), strict=False):
            table.add(pipeline.observe(frame), film)
    table.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert len(read_csv(tmp_path / "out.csv")) == 7


def test_memory_stays_within_its_budget_whatever_the_length(tiny_model: Path, tmp_path: Path) -> None:
    """Peak memory of the whole command, and what 96 frames (66 MB) more add; both films are longer than the window."""
    demo = Demo()
    images = [demo.image(n / 10) for n in range(8)]
    peaks = []
    for times in (8, 20):
        path = write_video(tmp_path / f"{times}.mp4", images * times, range(0, 40 * 8 * times, 40))
        script = (
            "from pathlib import Path\nfrom mien.run.batch import analyze_paths\n"
            "from mien.config import load\n"
            f"analyze_paths(load({{'vision': {{'model': {str(tiny_model)!r}}}}}), [Path({str(path)!r})],"
            f" output=Path({str(tmp_path / 'o.jsonl')!r}))\n"
            "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
        )
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=True)
        peaks.append(int(ran.stdout) / 1024)
    assert max(peaks) < 250
    assert peaks[1] - peaks[0] < 33


@pytest.mark.data
def test_the_samples_give_the_figures_known_of_them(settings: Settings, samples: Path, tmp_path: Path) -> None:
    expected = {"one-face.mp4": (72, 72), "no-face.mp4": (95, 0), "five-faces.jpg": (1, 5)}
    for name, (frames, faces) in expected.items():
        out = tmp_path / "out.jsonl"
        analyze_paths(settings, [samples / name], output=out)
        observations = [json.loads(line) for line in out.read_text().splitlines()]
        assert len(observations) == frames
        assert sum(len(observation["faces"]) for observation in observations) == faces
        assert {face["track"] for observation in observations for face in observation["faces"]} <= {1, None}
    assert not list(tmp_path.glob(".*"))
