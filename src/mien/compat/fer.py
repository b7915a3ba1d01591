"""fer's `FER` and `Video`, read by Mien: a picture or video goes in, boxes and emotions come out, in fer's shape.

from mien.compat.fer import FER, Video

FER().detect_emotions(image)
Video("film.mp4").analyze(FER())
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.config import load
from mien.errors import MissingExtraError
from mien.media.base import Image, raise_problem
from mien.media.open import open_source
from mien.media.pictures import Picture, as_picture
from mien.media.selection import selected
from mien.models import store as model_store
from mien.observation import EMOTIONS
from mien.vision.detector import Faces, crop
from mien.vision.pipeline import load_models
from mien.words import counted

__all__ = ["FER", "Video"]


class FER:
    """What fer's users call their detector.

    Args:
        mtcnn: Has no effect: YuNet looks for the faces.
        min_face_size: Smaller faces are left out, in pixels.
        of_haar: fer's settings of its Haar cascade (`cascade_file`, `scale_factor`, `min_neighbors`, `offsets`) and of
            its runtime (`tfserving`, `compile`); they have no effect.

    Raises:
        TypeError: Neither fer nor this has such a setting.
        ModelError: A model is missing or cannot be used.
    """

    IGNORED = frozenset({"cascade_file", "scale_factor", "min_neighbors", "offsets", "tfserving", "compile"})

    def __init__(self, *, mtcnn: bool = False, min_face_size: int = 50, **of_haar: object) -> None:  # noqa: ARG002
        if unknown := sorted(of_haar.keys() - self.IGNORED):
            raise TypeError(f"FER has no setting {', '.join(unknown)}")
        self._smallest = min_face_size
        self._detector, self._classifier = load_models(model_store.in_use(load()))

    def find_faces(self, img: Picture) -> list[list[int]]:
        """Return the faces' boxes, [x, y, w, h] in pixels, the surest first; see `detect_emotions`."""
        return _whole(self._faces_of(as_picture(img)[0]).boxes)

    def detect_emotions(self, img: Picture, face_rectangles: list[list[int]] | None = None) -> list[dict[str, Any]]:
        """Return a dictionary per face, the surest first: `box`, [x, y, w, h] in pixels; `emotions`, seven shares.

        Args:
            img: A photo's path, or an array, BGR, shape (h, w, 3), uint8.
            face_rectangles: Boxes of faces known already, which are then not looked for.

        Raises:
            InputError: The photo cannot be read.
            ValueError: The array has another shape or type, or a box has no size.
        """
        image = as_picture(img)[0]
        if face_rectangles is None:
            faces = self._faces_of(image)
            boxes, landmarks = _whole(faces.boxes), faces.landmarks
        else:
            boxes, landmarks = [list(map(int, box)) for box in face_rectangles], None
        if any(len(box) != 4 or min(box[2:]) < 1 for box in boxes):
            raise ValueError(f"face_rectangles must be of [x, y, w, h] with w and h over 0, not {boxes}")
        crops = crop(image, np.array(boxes, np.float32).reshape(-1, 4), landmarks)
        return [
            {
                "box": box,
                "emotions": {name: round(float(share), 2) for name, share in zip(EMOTIONS, shares, strict=True)},
            }
            for box, shares in zip(boxes, self._classifier.classify(crops), strict=True)
        ]

    def _faces_of(self, image: Image) -> Faces:
        faces = self._detector.detect(image)
        large = faces.boxes[:, 2:].max(1, initial=0) >= self._smallest
        return Faces(faces.boxes[large], faces.landmarks[large], faces.confidences[large])

    def top_emotion(self, img: Picture) -> tuple[str | None, float | None]:
        """Return the likeliest emotion of the surest face and its share, or (None, None) where there is no face.

        Args:
            img: A photo's path, or an array, BGR, shape (h, w, 3), uint8.

        Raises:
            InputError: The photo cannot be read.
            ValueError: The array has another shape or type.
        """
        for face in self.detect_emotions(img):
            shares = face["emotions"]
            name = max(shares, key=shares.__getitem__)
            return name, shares[name]
        return None, None


class Video:
    """What fer's users call a video that is to be analysed.

    Args:
        video_file: The video's path.
        outdir: Has no effect: nothing is written.
        first_face_only: Whether `to_pandas` keeps the first face of each frame alone.
        tempfile: Has no effect.

    Raises:
        InputError: The video cannot be read.
    """

    def __init__(
        self,
        video_file: str | Path,
        outdir: str = "output",  # noqa: ARG002 - what has no meaning here is taken, so that calls need no change
        first_face_only: bool = True,
        tempfile: str | None = None,  # noqa: ARG002
    ) -> None:
        self.filepath: str = str(video_file)
        self.first_face_only = first_face_only
        open_source(self.filepath).close()

    def analyze(
        self,
        detector: FER,
        display: bool = False,
        output: str = "csv",
        frequency: int | None = None,
        max_results: int | None = None,
        **of_files: object,  # noqa: ARG002
    ) -> Any:
        """Return a dictionary per frame: `box0`, `angry0`, … of its first face, `box1` and so on of the others.

        Args:
            detector: Looks at each frame on its own.
            display: Only False; `mien watch --window` shows a video.
            output: `pandas` for a data frame; otherwise a list.
            frequency: Look at every Nth frame only.
            max_results: Stop after so many frames.
            of_files: What fer would write (`save_frames`, `save_video`, `annotate_frames`, `zip_images`, …): no effect.

        Raises:
            ValueError: Something is asked for that is not done here.
            MissingExtraError: `pandas` needs the extra `pandas`.
            PartialError: The video could be read in part only.
        """
        if display:
            raise ValueError(
                "display is True, but nothing is shown here; use False (mien watch --window shows a video)"
            )
        rows: list[dict[str, Any]] = []
        with open_source(self.filepath) as source:
            for frame in selected(source, every=frequency or 1):
                if max_results is not None and len(rows) >= max_results:
                    return self.to_pandas(rows) if output == "pandas" else rows
                rows.append(_row(detector.detect_emotions(frame.image)))
            raise_problem(
                source,
                f"its {counted(len(rows), 'frame before was', 'frames before were')} analysed; "
                "mien.analyze_video returns them",
            )
        return self.to_pandas(rows) if output == "pandas" else rows

    def to_pandas(self, data: list[dict[str, Any]]) -> Any:
        """Return what `analyze` gave as a data frame with a row per frame.

        Raises:
            MissingExtraError: It needs the extra `pandas`.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError("a pandas table", "pandas") from None
        table = pd.DataFrame(data)
        return self.get_first_face(table) if self.first_face_only else table

    @staticmethod
    def get_first_face(df: Any) -> Any:
        """Return the columns of the first face, without the number in their names."""
        first = [column for column in df.columns if column in {f"{name}0" for name in ("box", *EMOTIONS)}]
        return df[first].rename(columns=lambda column: column[:-1]) if first else df

    @staticmethod
    def get_emotions(df: Any) -> Any:
        """Return the columns that hold emotions."""
        return df[[column for column in df.columns if column.rstrip("0123456789") in EMOTIONS]]


def _row(faces: list[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for number, face in enumerate(faces):
        row[f"box{number}"] = face["box"]
        row |= {f"{name}{number}": share for name, share in face["emotions"].items()}
    return row


def _whole(boxes: NDArray[np.float32]) -> list[list[int]]:
    return [[round(float(value)) for value in box] for box in boxes]
