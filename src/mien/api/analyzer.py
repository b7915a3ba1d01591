"""The Python API: pictures and videos go in, faces and observations come out, as fast as this machine can.

An `Analyzer` keeps its models; the functions use one with the default settings.
"""

from __future__ import annotations

import os
import time as clock
import warnings
from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from pathlib import Path

from mien.api.analysis import Analysis
from mien.api.faces import Faces
from mien.config import checked
from mien.errors import InputError, PictureError
from mien.masking import without_password
from mien.media.base import Source, raise_problem
from mien.media.open import open_source
from mien.media.photos import Photos
from mien.media.pictures import Colour, Picture, as_picture
from mien.media.selection import selected
from mien.models import store as model_store
from mien.observation import Observation, new_id, slug
from mien.system.notebook import NotebookBar
from mien.vision.parallel import observe_all
from mien.vision.pipeline import Pipeline, read_pictures, shared_models
from mien.vision.schedule import PhotoDetector

__all__ = ["Analyzer", "analyze", "analyze_video", "watch"]

BATCH = 8
"""So many pictures are in memory at a time."""


class Analyzer:
    """Detector and emotion model, loaded once and kept; may be used from several threads.

        >>> import numpy as np
        >>> analyzer = Analyzer(confidence=0.8)
        >>> analyzer.analyze(np.zeros((120, 160, 3), np.uint8))
        []

    Args:
        model: An ONNX file with Mien's contract, or "ferplus" for the second model of this machine; None: the first.
            They are those that `mien model pull` brought, or else those that come with Mien.
        settings: The others of `[vision]`, by name: `detector`, `confidence`, `max_side`, `abstain_below`,
            `smoothing_s`, `read_every_s`.

    Attributes:
        model_id: What observations call the model.

    Raises:
        ConfigError: There is no such setting, or its value is out of range.
        ModelError: A model is missing or cannot be used.
    """

    def __init__(self, model: str | Path | None = None, **settings: float | str | None) -> None:
        self._settings = model_store.in_use(checked({"vision": {"model": model, **settings}}, "the arguments"))
        self._detector, self._classifier = shared_models(self._settings)
        self.model_id: str = self._classifier.model_id

    def analyze(self, picture: Picture, *, colour: Colour = "bgr", sets: float | None = None) -> Faces:
        """Return the faces in a picture, the surest first.

        A large picture whose faces are small, or that seems to have none, is looked at a second time, more closely.

        Args:
            picture: A photo's path (or `demo`, the portrait that comes with Mien), its bytes, a picture of Pillow's, or
                an array of shape (h, w), (h, w, 3) or (h, w, 4), uint8.
            colour: The order of an array's channels: "bgr", as OpenCV has it, or "rgb", as Pillow and most others.
            sets: Also say which emotions are plausible of each face at this level: 0.8, 0.9 or 0.95 of the models that
                come with Mien.

        Raises:
            InputError: The photo cannot be read, or the model does not know the level.
            PictureError: It is something else, such as a video or a list; the line says what to call for it.
        """
        return self._read([picture], colour, sets, kept=True)[0]

    def analyze_batch(
        self, pictures: Iterable[Picture], *, colour: Colour = "bgr", sets: float | None = None
    ) -> list[Faces]:
        """Return the faces of each picture, in the order of the pictures; see `analyze`.

        Pictures are taken a few at a time, so that a long list of paths, or a generator of arrays, costs little memory;
        `show` then knows only those that were read from files.
        """
        if isinstance(pictures, str | os.PathLike | bytes):
            raise PictureError(f"expected several pictures, but got one, {pictures!r:.80}: analyze(picture) reads it")
        total = len(pictures) if isinstance(pictures, Sized) else None
        remaining = iter(pictures)
        results: list[Faces] = []
        with NotebookBar("pictures", total) as bar:
            while batch := list(islice(remaining, BATCH)):
                results += self._read(batch, colour, sets, kept=False)
                bar.advance(len(batch))
        return results

    def _read(self, pictures: list[Picture], colour: Colour, sets: float | None, *, kept: bool) -> list[Faces]:
        begun = clock.perf_counter()
        images = [as_picture(picture, colour) for picture in pictures]
        read = read_pictures(
            self._detector, self._classifier, [image for image, _ in images], self._settings.abstain_below, sets
        )
        elapsed_ms = 1000 * (clock.perf_counter() - begun) / len(pictures)
        results = []
        for picture, (image, time), faces in zip(pictures, images, read, strict=True):
            file = os.fspath(picture) if isinstance(picture, str | os.PathLike) else None
            observation = Observation(
                id=new_id(), source=slug(Path(file).stem) if file else "picture", session=new_id(), seq=0, time=time,
                offset_s=None, frame=0, width=image.shape[1], height=image.shape[0], model=self.model_id,
                elapsed_ms=elapsed_ms, faces=faces,
            )  # fmt: skip
            held = picture if kept or file else None
            results.append(Faces(faces, observation=observation, file=file or "picture", held=held, colour=colour))
        return results

    def analyze_video(
        self,
        path: str | Path,
        *,
        every: int = 1,
        fps: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        stream: int | None = None,
        fps_in: float | None = None,
        sets: float | None = None,
    ) -> Analysis:
        """Return what each frame of a video shows, once all of it has been looked at.

        Args:
            path: A video, a photo or a folder of photos, or `demo`.
            every: Look at every Nth frame only.
            fps: Look at most at so many frames a second.
            start: Begin at this time, in seconds.
            end: Stop before this time, in seconds.
            stream: The number of the stream to look at, as ffprobe counts them; None: the film's.
            fps_in: How many frames a second a file has that doesn't say when they are shown, such as raw H.264.
            sets: Also say which emotions are plausible of each face at this level, see `analyze`.

        Raises:
            InputError: It cannot be read at all, or has no end, or the model does not know the level. Where it can be
                read in part, a warning says so and `problem` of what is returned holds it.
            UsageError: A number is out of range.
        """
        if not isinstance(path, str | os.PathLike):
            raise PictureError(
                f"expected the path or URL of a video, but got {type(path).__name__}: mien.analyze reads one picture, "
                "mien.Analyzer().analyze_batch several"
            )
        shown = without_password(str(path))
        source = open_source(str(path), stream=stream, fps_in=fps_in)
        with source:
            if source.live:
                raise InputError(
                    f"cannot analyse '{shown}': it is live and has no end; mien.watch watches such sources"
                )
            analysis = Analysis(shown)
            chosen = selected(source, every=every, fps=fps, start=start, end=end)
            for _, observation in observe_all(self._pipeline(source, sets), chosen):
                analysis._add(observation)  # noqa: SLF001 - nobody else may
            analysis.problem, analysis.notes = chosen.problem, chosen.notes
        if analysis.problem:
            warnings.warn(f"{analysis.problem}; what could be read was analysed", stacklevel=2)
        return analysis

    def watch(self, source: str | Path, *, name: str | None = None) -> Iterator[Observation]:
        """Yield what each frame of a source shows, as soon as it has been looked at; see `mien.watch`."""
        with open_source(str(source), name) as opened:
            yield from self._pipeline(opened).run(opened)
            raise_problem(opened, "what could be read was analysed")

    def _pipeline(self, source: Source, sets: float | None = None) -> Pipeline:
        of = self._settings
        detector = PhotoDetector(self._detector) if isinstance(source, Photos) else self._detector
        return Pipeline(
            detector,
            self._classifier,
            source.name,
            abstain_below=of.abstain_below,
            smoothing_s=of.smoothing_s,
            read_every_s=of.read_every_s,
            sets=sets,
        )


def analyze(picture: Picture, *, colour: Colour = "bgr", sets: float | None = None) -> Faces:
    """Return the faces in a picture, the surest first; see `Analyzer.analyze`.

    >>> import numpy as np
    >>> analyze(np.zeros((120, 160, 3), np.uint8), colour="rgb")
    []
    >>> for face in analyze("demo"):  # or "photo.jpg"
    ...     print(face.box[2] > 50, face.probabilities["happy"] == face.probabilities.happy)
    True True
    """
    return Analyzer().analyze(picture, colour=colour, sets=sets)


def analyze_video(
    path: str | Path,
    *,
    every: int = 1,
    fps: float | None = None,
    start: float = 0.0,
    end: float | None = None,
    stream: int | None = None,
    fps_in: float | None = None,
    sets: float | None = None,
) -> Analysis:
    """Return what each frame of a video shows, once all of it has been looked at; see `Analyzer.analyze_video`.

    >>> analysis = analyze_video("demo", fps=2, end=3)
    >>> [observation.offset_s for observation in analysis]
    [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    >>> [len(observation.faces) for observation in analysis]
    [1, 1, 1, 1, 1, 1]
    >>> len(analysis[2:4]), analysis[-1].offset_s, analysis.summary().faces
    (2, 2.5, 6)
    """
    return Analyzer().analyze_video(
        path, every=every, fps=fps, start=start, end=end, stream=stream, fps_in=fps_in, sets=sets
    )


def watch(source: str | Path, *, name: str | None = None) -> Iterator[Observation]:
    """Yield what each frame of a source shows, as fast as this machine can.

        >>> next(watch("demo")).source
        'demo'

    Args:
        source: `demo`, a camera's number or device, a URL, or the path of a video, a photo or a folder of photos.
        name: What observations call it; default: made from the source.

    Raises:
        InputError: There is no such source, or it cannot be read.
        PartialError: It could be read in part only; the observations of that part were yielded.
    """
    return Analyzer().watch(source, name=name)
