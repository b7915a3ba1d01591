"""The public API: `import mien` and nothing else."""

from __future__ import annotations

import csv
import doctest
import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from making import rewritten, truncated_video
from PIL import Image as Pillow

import mien
from mien.config import load
from mien.errors import ConfigError, InputError, MissingExtraError, PartialError, PictureError, UsageError
from mien.media.demo import Demo
from mien.run.batch import analyze_paths
from mien.run.options import AnalyzeOptions
from mien.table import COLUMNS
from mien.vision.annotate import write_picture

pytestmark = pytest.mark.usefixtures("tiny_by_default")


def test_what_is_public_is_there_and_nothing_is_missing() -> None:
    functions = ["analyze", "analyze_video", "watch"]
    classes = ["Analysis", "Analyzer", "Face", "Faces", "Observation", "Probabilities"]
    assert sorted(mien.__all__) == sorted(["EMOTIONS", "__version__", "errors", "reports", *classes, *functions])
    for name in mien.__all__:
        assert getattr(mien, name) is not None
    assert sorted(mien.__all__) == dir(mien)
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        _ = mien.analyse  # type: ignore[attr-defined]


def test_importing_mien_loads_nothing_heavy() -> None:
    script = "import sys, mien; print(*(name for name in sys.modules if name.partition('.')[0] in sys.argv[1:]))"
    heavy = ["numpy", "cv2", "av", "onnxruntime", "pydantic", "PIL", "rich", "msgspec", "polars"]
    ran = subprocess.run([sys.executable, "-c", script, *heavy], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_faces_of_a_photo_and_of_an_array_are_the_same(tmp_path: Path) -> None:
    image = Demo().image(1.0)
    write_picture(tmp_path / "photo.png", image)
    (face,) = mien.analyze(image)
    assert isinstance(face, mien.Face)
    assert face.track is None
    assert mien.analyze(str(tmp_path / "photo.png")) == mien.analyze(tmp_path / "photo.png") == [face]
    assert mien.analyze(np.zeros((40, 40, 3), np.uint8)) == []


@pytest.mark.parametrize(
    "array",
    [np.zeros(4, np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_an_array_of_another_kind_is_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"uint8 of shape \(h, w, 3\)"):
        mien.analyze(array)


def test_a_picture_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read photo"):
        mien.analyze(tmp_path / "missing.jpg")
    (tmp_path / "text.jpg").write_text("no photo")
    with pytest.raises(InputError, match="no picture of a kind known here"):
        mien.analyze(tmp_path / "text.jpg")


def test_watching_yields_an_observation_per_frame(video: Path) -> None:
    observations = list(mien.watch(video))
    assert [observation.seq for observation in observations] == list(range(40))
    assert {observation.source for observation in observations} == {"forty"}
    assert all(isinstance(observation, mien.Observation) for observation in observations)
    assert next(mien.watch("demo", name="stage")).source == "stage"


def test_watching_a_truncated_video_ends_in_an_error_after_what_could_be_read(tmp_path: Path) -> None:
    seen: list[mien.Observation] = []
    with pytest.raises(PartialError, match="ends early"):
        seen.extend(mien.watch(truncated_video(tmp_path / "half.mp4")))
    assert 10 < len(seen) < 74


def test_rgb_is_bgr_backwards() -> None:
    image = Demo().image(1.0)
    image[..., 0] //= 3  # so that the order matters
    (face,) = mien.analyze(image)
    assert mien.analyze(np.ascontiguousarray(image[..., ::-1]), colour="rgb") == [face]
    assert mien.analyze(image, colour="rgb") != [face]
    with pytest.raises(ValueError, match="colour must be 'bgr' or 'rgb', not 'grey'"):
        mien.analyze(image, colour="grey")  # type: ignore[arg-type]


def test_a_batch_gives_what_its_pictures_give_one_by_one(tmp_path: Path) -> None:
    demo = Demo()
    pictures = [demo.image(float(second)) if second % 3 else np.zeros((50, 70, 3), np.uint8) for second in range(11)]
    analyzer = mien.Analyzer(confidence=0.8)
    alone = [analyzer.analyze(picture) for picture in pictures]
    assert [len(faces) for faces in alone] == [0, 1, 1] * 3 + [0, 1]
    assert analyzer.analyze_batch(iter(pictures)) == alone
    assert analyzer.analyze_batch([]) == []
    write_picture(tmp_path / "one.png", pictures[1])
    assert analyzer.analyze_batch([tmp_path / "one.png", pictures[2]]) == alone[1:3]


def test_an_analyzer_takes_settings_and_says_which_it_knows(tiny_model: Path, tmp_path: Path) -> None:
    image = Demo().image(1.0)
    assert mien.Analyzer(tiny_model, abstain_below=1.0).analyze(image)[0].emotion is None
    assert mien.Analyzer(tiny_model, abstain_below=0.0).analyze(image)[0].emotion is not None
    assert mien.Analyzer(tiny_model).model_id.startswith("tiny@")
    with pytest.raises(ConfigError, match=r"'vision\.confidense'.*vision\.confidence"):
        mien.Analyzer(confidense=0.5)
    with pytest.raises(ConfigError, match=r"vision\.confidence.*less than 1, but it is 3"):
        mien.Analyzer(confidence=3)


def test_plausible_emotions_are_told_where_sets_are_asked_for(tiny_model: Path, tmp_path: Path) -> None:
    shares = ",".join(["0.1"] * 7)
    model = rewritten(tiny_model, tmp_path / "sets.onnx", plausible=f"0.9:{shares};0.95:{shares.replace('1', '0')}")
    image, analyzer = Demo().image(1.0), mien.Analyzer(model)
    (face,), (plain,), (wide,) = (analyzer.analyze(image, sets=level) for level in (0.9, None, 0.95))
    assert plain.plausible is None
    expected = [name for name in mien.EMOTIONS if getattr(face.probabilities, name) >= 0.1]
    assert list(face.plausible or ()) == expected
    assert wide.plausible == mien.EMOTIONS
    seen = analyzer.analyze_video("demo", fps=1, end=2, sets=0.9)
    assert all(face.plausible for observation in seen for face in observation.faces)
    out, settings = tmp_path / "faces.csv", load({"vision": {"model": str(model)}})
    analyze_paths(settings, ["demo"], output=out, options=AnalyzeOptions(end=1, fps=1, sets=0.9))
    with out.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert set(row["plausible"].split()) <= set(mien.EMOTIONS)
    assert row["plausible"]
    for attempt in (
        lambda: analyzer.analyze(image, sets=0.7),
        lambda: analyze_paths(settings, ["demo"], output=out, options=AnalyzeOptions(sets=0.7)),
    ):
        with pytest.raises(InputError, match=r"at 0\.7: expected one of 0\.9, 0\.95"):
            attempt()
    with pytest.raises(InputError, match=r"mien\.training\.export"):
        mien.analyze(image, sets=0.9)


def test_an_analysis_can_be_iterated_again_and_written(video: Path, tmp_path: Path) -> None:
    analysis = mien.analyze_video(video)
    assert len(analysis) == 40
    assert analysis.problem is None
    first = list(analysis)
    assert [one.seq for one in first] == list(range(40))
    assert [(a.id, b.id) for a, b in zip(analysis, analysis, strict=True)] == [(one.id, one.id) for one in first]
    assert "forty.mp4: 40 frames" in repr(analysis)
    analysis.write(tmp_path / "out.csv")
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 41
    with pytest.raises(InputError, match="must end in"):
        analysis.write(tmp_path / "out.xlsx")


def test_an_analysis_larger_than_memory_allows_goes_through_a_file(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.api import analysis

    monkeypatch.setattr(analysis, "IN_MEMORY", 1000)
    assert [one.seq for one in mien.analyze_video(video)] == list(range(40))


def test_an_analysis_as_a_polars_table() -> None:
    pl = pytest.importorskip("polars")
    table = mien.analyze_video("demo", fps=1, end=3).to_polars()
    assert tuple(table.columns) == COLUMNS
    assert table.schema["time"] == pl.Datetime("us", "UTC")
    assert table["offset_s"].to_list() == [0, 1, 2]
    assert table["track"].to_list() == [1, 1, 1]
    assert set(table["file"]) == {"demo"}


def test_an_analysis_as_a_pandas_table(video: Path) -> None:
    pd = pytest.importorskip("pandas")
    table = mien.analyze_video(video, end=0.2).to_pandas()
    assert tuple(table.columns) == COLUMNS
    assert list(table["frame"]) == [0, 1, 2, 3, 4]
    assert table["emotion"].isna().all()
    assert isinstance(table["time"].dtype, pd.DatetimeTZDtype)


def test_tables_name_the_extra_they_need(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = mien.analyze_video(video, every=20)
    for module, extra, to in (("pandas", "pandas", analysis.to_pandas), ("polars", "analyze", analysis.to_polars)):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingExtraError, match=rf"pip install 'mien\[{extra}\]'"):
            to()


def test_part_of_a_video(video: Path) -> None:
    def frames(**which: float) -> list[int]:
        return [one.frame for one in mien.analyze_video(video, **which)]  # type: ignore[arg-type]

    assert frames(every=15) == [0, 15, 30]
    assert frames(start=1.4) == [35, 36, 37, 38, 39]
    assert frames(start=0.4, end=0.6) == [10, 11, 12, 13, 14]
    assert frames(start=0.4, every=10, end=1.0) == [10, 20]
    assert frames(fps=5) == list(range(0, 40, 5))
    assert [one.seq for one in mien.analyze_video(video, start=1.4)] == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match=r"'forty'.*1\.56 s.*5 s"):
        frames(start=5)
    for wrong in ({"every": 0}, {"fps": 0}, {"fps": -1}, {"start": -1}, {"start": 2, "end": 1}, {"end": float("nan")}):
        with pytest.raises(UsageError, match="expected"):
            frames(**wrong)


def test_a_truncated_video_gives_a_warning_and_what_could_be_read(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="ends early.*what could be read was analysed"):
        analysis = mien.analyze_video(truncated_video(tmp_path / "half.mp4"))
    assert 10 < len(analysis) < 74
    assert "ends early" in str(analysis.problem)


@pytest.mark.parametrize(
    "module",
    [
        *("mien", "mien.api.analyzer", "mien.api.analysis", "mien.api.faces", "mien.errors"),
        *("mien.media.selection", "mien.observation", "mien.reports", "mien.reports.meeting.words", "mien.words"),
    ],
)
def test_the_examples_in_docstrings_are_true(module: str) -> None:
    names = {name: getattr(mien, name) for name in mien.__all__}
    run = doctest.testmod(importlib.import_module(module), extraglobs=names)
    assert run.attempted > 0
    assert run.failed == 0


def test_every_public_class_function_and_module_has_an_example() -> None:
    for name in set(mien.__all__) - {"EMOTIONS", "__version__"}:
        home = getattr(mien, name)
        assert ">>>" in (home.__doc__ or ""), name


def test_probabilities_are_pairs() -> None:
    (face,) = mien.analyze("demo")
    shares = face.probabilities
    assert [name for name, _ in shares] == list(mien.EMOTIONS)
    assert dict(shares) == shares.as_dict() == {name: getattr(shares, name) for name in mien.EMOTIONS}
    assert shares[shares.top] == max(share for _, share in shares)
    with pytest.raises(KeyError, match="expected one of angry"):
        _ = shares["hapy"]  # type: ignore[index]


def test_every_kind_of_picture_gives_the_same_faces(tmp_path: Path) -> None:
    image = Demo().image(1.0)
    write_picture(tmp_path / "photo.png", image)
    faces = mien.analyze(image)
    rgb = np.ascontiguousarray(image[..., ::-1])
    opaque = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    content = (tmp_path / "photo.png").read_bytes()
    for picture in (Pillow.fromarray(rgb), content, memoryview(content), tmp_path / "photo.png", opaque):
        assert mien.analyze(picture) == faces
    grey = image.mean(2).astype(np.uint8)
    assert mien.analyze(grey) == mien.analyze(grey[..., None]) == mien.analyze(Pillow.fromarray(grey))
    assert len(mien.analyze(grey)) == 1


@pytest.mark.parametrize(
    ("picture", "way"),
    [
        ([np.zeros((4, 4, 3), np.uint8)], "analyze_batch"),
        (np.zeros((2, 4, 4, 3), np.uint8), "analyze_batch"),
        (np.zeros((3, 40, 40), np.uint8), "transpose"),
        (np.zeros((4, 4, 3)), "astype"),
        ("film.mp4", "analyze_video"),
        (".", "analyze_video"),
        ("https://ada:secret@example.org/photo.jpg", "urlopen"),
        (0, r"mien.watch\(0\)"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_picture_gets_the_way_on(picture: object, way: str) -> None:
    with pytest.raises(PictureError, match=way) as caught:
        mien.analyze(picture)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


def test_what_is_no_video_gets_the_way_on() -> None:
    for wrong in (np.zeros((4, 4, 3), np.uint8), ["film.mp4"], Pillow.new("RGB", (4, 4))):
        with pytest.raises(PictureError, match=r"mien\.analyze reads one picture"):
            mien.analyze_video(wrong)  # type: ignore[arg-type]
    with pytest.raises(PictureError, match=r"analyze\(picture\)"):
        mien.Analyzer().analyze_batch("photo.jpg")


def test_faces_show_themselves_and_become_tables(tmp_path: Path) -> None:
    image = Demo().image(1.0)
    faces = mien.analyze(image)
    assert faces.picture().size == image.shape[1::-1]
    shown = faces._repr_html_()
    assert shown.count("data:image/jpeg;base64,") == 1
    assert all(emotion in shown for emotion in mien.EMOTIONS)
    faces.write(tmp_path / "drawn.png")
    with Pillow.open(tmp_path / "drawn.png") as drawn:
        assert drawn.size == faces.picture().size
    table = faces.to_polars()
    assert tuple(table.columns) == COLUMNS
    assert table["frame_width"].to_list() == [image.shape[1]]
    assert len(faces.to_pandas()) == 1
    again = pickle.loads(pickle.dumps(faces))  # noqa: S301
    assert (again, again.file, type(again[:1])) == (faces, "picture", mien.Faces)
    assert "No face" in mien.analyze(np.zeros((40, 40, 3), np.uint8))._repr_html_()
    (of_batch,) = mien.Analyzer().analyze_batch([image])
    with pytest.raises(UsageError, match="not kept"):
        of_batch.picture()
    assert "data:image" not in of_batch._repr_html_()


def test_an_analysis_is_a_sequence_that_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.api import analysis as module

    monkeypatch.setattr(module, "STEP", 7)
    analysis = mien.analyze_video("demo", fps=20, end=5)
    ids = [observation.id for observation in analysis]
    assert [analysis[number].id for number in (0, 6, 7, 50, -1)] == [ids[number] for number in (0, 6, 7, 50, -1)]
    for part in (slice(10, 20), slice(None, None, -3), slice(3, 90, 4), slice(5, 5)):
        assert [observation.id for observation in analysis[part]] == ids[part]
    with pytest.raises(IndexError):
        _ = analysis[100]
    summary = analysis.summary()
    assert summary.frames == summary.faces + summary.empty == 100
    assert sum(summary.named.values()) + summary.unclear == summary.faces
    seconds: dict[int, list[float]] = {}
    for observation in analysis:
        for face in observation.faces:
            seconds.setdefault(int(observation.offset_s or 0), []).append(face.probabilities.happy)
    means = {second: sum(values) / len(values) for second, values in seconds.items()}
    assert summary.happiest is not None
    assert summary.happiest.at_s == max(means, key=lambda second: means[second])
    assert summary.happiest.happy == pytest.approx(max(means.values()))
    assert "100 frames" in str(summary)
    assert "<svg" in analysis._repr_html_()
    assert "0 faces" in analysis[:0]._repr_html_()
    figure = analysis[:20].plot()
    assert [trace.name for trace in figure.data] == ["happy", "surprise", "neutral", "sad", "fear", "disgust", "angry"]
    assert np.nansum([trace.y for trace in figure.data], 0) == pytest.approx([100] * 20, abs=0.5)
