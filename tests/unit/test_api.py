"""The public API: `import mien` and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from making import truncated_video

import mien
from mien.errors import InputError, PartialError
from mien.vision.annotate import write_picture
from mien.vision.demo import Demo


@pytest.fixture(autouse=True)
def tiny_by_default(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the API, which takes the shipped model, take the tiny one, so that the tests pass with any weights."""
    from mien.vision import emotions, pipeline

    monkeypatch.setattr(emotions, "_file", lambda path: Path(path) if path else tiny_model)
    pipeline.shared_models.cache_clear()


def test_what_is_public_is_there_and_nothing_is_missing() -> None:
    assert sorted(mien.__all__) == ["EMOTIONS", "Face", "Observation", "__version__", "analyze", "watch"]
    for name in mien.__all__:
        assert getattr(mien, name) is not None
    assert set(mien.__all__) <= set(dir(mien))
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
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_an_array_of_another_kind_is_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"BGR, uint8, of shape \(h, w, 3\)"):
        mien.analyze(array)


def test_a_picture_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read photo"):
        mien.analyze(tmp_path / "missing.jpg")
    (tmp_path / "text.jpg").write_text("no photo")
    with pytest.raises(InputError, match="no picture of a kind known here"):
        mien.analyze(tmp_path / "text.jpg")


def test_watching_yields_an_observation_per_frame(video: Path) -> None:
    observations = list(mien.watch(video))
    assert [one.seq for one in observations] == list(range(40))
    assert {one.source for one in observations} == {"forty"}
    assert all(isinstance(one, mien.Observation) for one in observations)
    assert next(mien.watch("demo", name="stage")).source == "stage"


def test_watching_a_truncated_video_ends_in_an_error_after_what_could_be_read(tmp_path: Path) -> None:
    seen: list[mien.Observation] = []
    with pytest.raises(PartialError, match="ends early"):
        seen.extend(mien.watch(truncated_video(tmp_path / "half.mp4")))
    assert 10 < len(seen) < 74
