"""The faces of one picture: a list of them that shows itself, and can be made a table."""

from __future__ import annotations

import time as clock
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import cv2
import msgspec
from PIL import Image as Pillow

from mien.api.html import faces_html
from mien.errors import UsageError
from mien.media.pictures import Colour, Picture, as_picture
from mien.observation import Face, Observation
from mien.system.notebook import in_notebook
from mien.table import to_pandas, to_polars
from mien.vision.annotate import annotate, write_picture

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from mien.media.base import Image

__all__ = ["Faces"]


class Faces(list[Face]):
    """The faces of one picture, the surest first: a list, which a notebook shows as the picture and its bars.

        >>> faces = analyze("demo")
        >>> len(faces), faces[0].probabilities.top in EMOTIONS
        (1, True)
        >>> faces.picture().size
        (640, 360)

    Attributes:
        observation: The same as a record: the picture's size, when it was taken, which model looked.
        file: What the picture was; "picture" where it came without a name.
    """

    def __init__(
        self,
        faces: Iterable[Face] = (),
        *,
        observation: Observation,
        file: str = "picture",
        held: Picture | None = None,
        colour: Colour = "bgr",
    ) -> None:
        super().__init__(faces)
        self.observation = observation
        self.file = file
        self._held = held
        self._colour: Colour = colour

    @overload
    def __getitem__(self, index: SupportsIndex) -> Face: ...
    @overload
    def __getitem__(self, index: slice) -> Faces: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Face | Faces:
        if isinstance(index, slice):
            chosen = super().__getitem__(index)
            return Faces(chosen, observation=self.observation, file=self.file, held=self._held, colour=self._colour)
        return super().__getitem__(index)

    def picture(self) -> Pillow.Image:
        """Return the picture with what was found drawn in, as Pillow has it: `.save("out.jpg")` keeps it.

            >>> analyze("demo").picture().size
            (640, 360)

        Raises:
            InputError: The photo is not there any more.
            UsageError: The picture was one of a batch of arrays, which are not kept.
        """
        return Pillow.fromarray(cv2.cvtColor(self._annotated(), cv2.COLOR_BGR2RGB))

    def show(self) -> None:
        """Show the picture with what was found drawn in: in a notebook below the cell, elsewhere in a window.

        Raises:
            InputError: The photo is not there any more.
            UsageError: The picture was one of a batch of arrays, which are not kept.
            MienError: There is no display; `write` writes a file.
        """
        if in_notebook():
            from IPython.display import display

            display(self.picture())  # type: ignore[no-untyped-call]
            return
        from mien.vision.window import PreviewWindow

        drawn = self._annotated()
        with PreviewWindow(f"Mien: {Path(self.file).name}") as window:
            while window.show(drawn):
                clock.sleep(0.05)

    def write(self, path: str | Path) -> None:
        """Write the picture with what was found drawn in: a .jpg, .png or .webp.

        Raises:
            InputError: Nothing can be written there, or not of that kind.
        """
        write_picture(Path(path), self._annotated())

    def to_polars(self) -> pl.DataFrame:
        """Return a polars DataFrame, a row per face; columns as in files.

            >>> analyze("demo").to_polars()["frame_width"].to_list()
            [640]

        Raises:
            MissingExtraError: It needs the extra `analyze`.
        """
        table: pl.DataFrame = to_polars([(self._record(), self.file)])
        return table

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas DataFrame, a row per face; see `to_polars`.

        Raises:
            MissingExtraError: It needs the extra `pandas`.
        """
        return to_pandas([(self._record(), self.file)])

    def _record(self) -> Observation:
        return msgspec.structs.replace(self.observation, faces=list(self))

    def _annotated(self) -> Image:
        if self._held is None:
            raise UsageError(
                "the picture is not kept: of a batch, only those that were read from files can be shown; "
                "analyze(picture) keeps it"
            )
        return annotate(as_picture(self._held, self._colour)[0], self._record())

    def _repr_html_(self) -> str:
        return faces_html(self, None if self._held is None else self._annotated())

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (list(self), self.observation, self.file, self._held, self._colour)


def _rebuilt(faces: list[Face], observation: Observation, file: str, held: Picture | None, colour: Colour) -> Faces:
    return Faces(faces, observation=observation, file=file, held=held, colour=colour)
