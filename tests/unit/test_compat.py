"""Moving over: the shapes that users of deepface and fer have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from making import write_video

from mien.compat import deepface
from mien.compat.fer import FER, Video
from mien.errors import InputError
from mien.media.demo import Demo
from mien.observation import EMOTIONS
from mien.vision.annotate import write_picture

pytestmark = pytest.mark.usefixtures("tiny_by_default")

BLANK = np.full((60, 80, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return Demo().image(1.0)


def test_deepface_gives_its_shape(portrait: np.ndarray, tmp_path: Path) -> None:
    (face,) = deepface.analyze(portrait, actions=["emotion"], detector_backend="retinaface", align=False, silent=True)
    assert list(face) == ["emotion", "dominant_emotion", "region", "face_confidence"]
    assert tuple(face["emotion"]) == EMOTIONS
    assert sum(face["emotion"].values()) == pytest.approx(100, abs=0.1)
    assert face["dominant_emotion"] == max(face["emotion"], key=face["emotion"].get)
    assert 0.7 < face["face_confidence"] <= 1
    region = face["region"]
    assert list(region) == ["x", "y", "w", "h", "left_eye", "right_eye"]
    # A person who looks at us has the left eye on our right, and both in the upper half of the face.
    middle = region["x"] + region["w"] / 2
    assert region["x"] < region["right_eye"][0] < middle < region["left_eye"][0] < region["x"] + region["w"]
    for eye in ("left_eye", "right_eye"):
        assert region["y"] < region[eye][1] < region["y"] + region["h"] / 2
    write_picture(tmp_path / "portrait.png", portrait)
    assert deepface.analyze(str(tmp_path / "portrait.png")) == [face]


def test_deepface_gives_a_list_per_picture_of_several(portrait: np.ndarray) -> None:
    (alone,) = deepface.analyze(portrait)
    assert deepface.analyze([portrait, portrait]) == [[alone], [alone]]
    assert deepface.analyze(np.stack([portrait, portrait])) == [[alone], [alone]]
    assert deepface.analyze([]) == []


def test_deepface_enforces_detection_unless_told_otherwise() -> None:
    with pytest.raises(ValueError, match="Face could not be detected in the array"):
        deepface.analyze(BLANK)
    (whole,) = deepface.analyze(BLANK, enforce_detection=False)
    assert whole["face_confidence"] == 0
    assert whole["region"] == {"x": 0, "y": 0, "w": 80, "h": 60, "left_eye": None, "right_eye": None}
    assert deepface.analyze(BLANK, detector_backend="skip") == [whole]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"actions": ["emotion", "age", "race"]}, "asks for age, race: Mien guesses none"),
        ({"actions": "mood"}, "asks for 'mood'; the one action here is 'emotion'"),
        ({"actions": []}, "actions is empty"),
        ({"expand_percentage": 10}, "expand_percentage is 10"),
        ({"anti_spoofing": True}, "anti_spoofing"),
    ],
)
def test_deepface_refuses_what_is_not_done_here(asked: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        deepface.analyze(BLANK, **asked)  # type: ignore[arg-type]


def test_a_region_stays_within_the_picture(portrait: np.ndarray) -> None:
    (face,) = deepface.analyze(portrait)
    x, y, w, h = (face["region"][key] for key in "xywh")
    (cut,) = deepface.analyze(np.ascontiguousarray(portrait[y + h // 8 : y + h - h // 8, x + w // 8 :]))
    assert cut["region"]["x"] >= 0
    assert cut["region"]["y"] >= 0
    assert cut["region"]["y"] + cut["region"]["h"] <= h - 2 * (h // 8)


def test_fer_gives_its_shape(portrait: np.ndarray, tmp_path: Path) -> None:
    detector = FER(mtcnn=True, scale_factor=1.2)
    (face,) = detector.detect_emotions(portrait)
    assert list(face) == ["box", "emotions"]
    assert [type(value) for value in face["box"]] == [int] * 4
    assert tuple(face["emotions"]) == EMOTIONS
    assert sum(face["emotions"].values()) == pytest.approx(1, abs=0.04)
    name, share = detector.top_emotion(portrait)
    assert share == max(face["emotions"].values()) == face["emotions"][name]
    assert detector.detect_emotions(portrait, face_rectangles=[face["box"]]) == [face]
    write_picture(tmp_path / "portrait.png", portrait)
    assert detector.detect_emotions(tmp_path / "portrait.png") == [face]


def test_fer_without_a_face(portrait: np.ndarray) -> None:
    detector = FER()
    assert detector.detect_emotions(BLANK) == []
    assert detector.top_emotion(BLANK) == (None, None)
    assert FER(min_face_size=300).detect_emotions(portrait) == []


def test_fer_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no setting min_faces"):
        FER(min_faces=3)
    with pytest.raises(InputError, match="cannot read photo"):
        FER().detect_emotions(tmp_path / "missing.jpg")
    with pytest.raises(ValueError, match="face_rectangles must be"):
        FER().detect_emotions(BLANK, face_rectangles=[[1, 2, 0, 4]])


def test_deepface_under_its_usual_name(portrait: np.ndarray) -> None:
    from mien.compat.deepface import DeepFace

    assert DeepFace.analyze(portrait) == deepface.analyze(portrait)


def test_fer_analyses_a_video_frame_by_frame(portrait: np.ndarray, tmp_path: Path) -> None:
    blank = np.full_like(portrait, 90)
    film = write_video(tmp_path / "film.mp4", [portrait, portrait, blank, portrait], range(0, 400, 100))
    video, detector = Video(film, outdir="unused"), FER()
    rows = video.analyze(detector, display=False, save_video=False)
    assert [list(row) for row in rows] == [["box0", *(f"{name}0" for name in EMOTIONS)]] * 2 + [[]] + [list(rows[0])]
    assert len(video.analyze(detector, frequency=2)) == 2
    assert video.analyze(detector, max_results=1) == rows[:1]
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
    with pytest.raises(ValueError, match="display is True"):
        video.analyze(detector, display=True)
    with pytest.raises(InputError, match="no such file"):
        Video(tmp_path / "missing.mp4")
    pytest.importorskip("pandas")
    table = video.to_pandas(rows)
    assert list(table.columns) == ["box", *EMOTIONS]
    assert table["happy"].isna().tolist() == [False, False, True, False]
    assert list(video.get_emotions(table).columns) == list(EMOTIONS)
    assert list(Video(film, first_face_only=False).analyze(detector, output="pandas").columns) == list(rows[0])
