"""FER-2013 in, arrays out: the one form in which training and evaluation see faces.

`load` reads the Parquet with FER+ votes, Kaggle's `fer2013.csv` and `icml_face_data.csv`, and Kaggle's folder
`train|test/<emotion>/*.jpg`, and names the row or file that it cannot use.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from mien.errors import InputError
from mien.observation import EMOTIONS

__all__ = ["SIZE", "USAGES", "Faces", "Usage", "load"]

Usage = Literal["Training", "PublicTest", "PrivateTest"]
USAGES: tuple[Usage, ...] = ("Training", "PublicTest", "PrivateTest")
SIZE = 48
VOTES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""The FER+ columns in EMOTIONS order."""
OTHER_VOTES = ("contempt", "unknown", "NF")
"""Votes that name none of the seven emotions: nobody trains on them, but a majority must beat them."""

FOLDER_EMOTIONS = {name: i for i, name in enumerate(EMOTIONS)} | {"disgusted": 1, "fearful": 2, "surprised": 5}
HELD_OUT = 10  # every tenth Training image of a folder that has no PublicTest


@dataclass(frozen=True)
class Faces:
    """Labelled faces.

    Attributes:
        pixels: Shape (n, 48, 48), uint8.
        labels: Shape (n,), int64, indices into EMOTIONS.
        votes: FER+ votes per emotion, shape (n, 7), float32; a row of zeros where there are none.
        majority: The emotion that alone has the most FER+ votes, shape (n,), int64; -1 where none of the seven has.
        usage: The split of each face, shape (n,), str.
    """

    pixels: np.ndarray
    labels: np.ndarray
    votes: np.ndarray
    majority: np.ndarray
    usage: np.ndarray

    def split(self, usage: Usage) -> Faces:
        """Return the faces of one split."""
        return self.take(self.usage == usage)

    def take(self, chosen: np.ndarray) -> Faces:
        """Return the faces that a mask or indices choose."""
        return Faces(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.labels)


def load(path: str | Path, usages: Collection[str] = USAGES) -> Faces:
    """Return the faces of a data set.

    Args:
        path: A `.parquet`, a `.csv` or a folder with `train` and `test`.
        usages: The splits wanted; the pictures of the others are not looked at.

    Raises:
        InputError: The data set is missing, of another form, or broken; the message names the row or file.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"no data set at '{path}': expected FER-2013 as a .parquet, as Kaggle's .csv, or as a folder with train/ "
            "and test/; give its place with --data"
        )
    if path.is_dir():
        rows = _folder(path)
    elif path.suffix.lower() == ".parquet":
        rows = _parquet(path)
    elif path.suffix.lower() == ".csv":
        rows = _csv(path)
    else:
        raise InputError(f"'{path}' is no data set that Mien knows: expected a .parquet, a .csv or a folder")
    collected = [
        (row.decode(), row.label, row.votes, row.usage)
        for row in (_checked(raw) for raw in rows)
        if row.usage in usages
    ]
    if not collected:
        raise InputError(
            f"'{path}' holds no faces of {', '.join(usages)}: expected FER-2013's 35,887 or a part of them"
        )
    pixels, labels, votes, usage = zip(*collected, strict=True)
    ten = np.stack(votes).astype(np.float32)
    seven = ten[:, : len(EMOTIONS)]
    return Faces(np.stack(pixels), np.array(labels, np.int64), seven, _majority(ten), np.array(usage))


def _majority(votes: np.ndarray) -> np.ndarray:
    winner = votes.argmax(1)
    alone = (votes == votes.max(1, keepdims=True)).sum(1) == 1  # also rules out rows without votes
    return np.where(alone & (winner < len(EMOTIONS)), winner, -1)


NO_VOTES = np.zeros(len(VOTES) + len(OTHER_VOTES), np.float32)


@dataclass(frozen=True)
class Row:
    """One face as it stands in a data set; `where` names it in an error, `decode` gives its pixels."""

    where: str
    label: object
    usage: object
    votes: np.ndarray
    decode: Callable[[], np.ndarray]


@dataclass(frozen=True)
class CheckedRow:
    """One face whose label and usage are right."""

    label: int
    usage: Usage
    votes: np.ndarray
    decode: Callable[[], np.ndarray]


def _checked(row: Row) -> CheckedRow:
    try:
        label = int(str(row.label))
    except ValueError:
        label = -1
    if not 0 <= label < len(EMOTIONS):
        raise InputError(f"{row.where}: expected an emotion from 0 to {len(EMOTIONS) - 1}, found '{row.label}'")
    if row.usage not in USAGES:
        raise InputError(f"{row.where}: expected a usage of {', '.join(USAGES)}, found '{row.usage}'")
    return CheckedRow(label, row.usage, row.votes, row.decode)


def _picture(image: bytes | Path, where: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(image) if isinstance(image, bytes) else image) as picture:
            pixels = np.asarray(picture.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{where}: the picture cannot be decoded ({error})") from error
    if pixels.shape != (SIZE, SIZE):
        raise InputError(f"{where}: expected a picture of {SIZE}x{SIZE}, found {pixels.shape[1]}x{pixels.shape[0]}")
    return pixels


def _numbers(text: str, where: str) -> np.ndarray:
    try:
        values = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{where}: expected pixels from 0 to 255 ({error})") from error
    if values.size != SIZE * SIZE:
        raise InputError(f"{where}: expected {SIZE * SIZE:,} pixels, found {values.size:,}; the file may be cut off")
    if values.min() < 0 or values.max() > 255:
        raise InputError(f"{where}: expected pixels from 0 to 255, found {values.min()} to {values.max()}")
    return values.astype(np.uint8).reshape(SIZE, SIZE)


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = set(file.schema_arrow.names)
        label = "label" if "label" in names else "emotion"
        missing = {"image", "usage"} - names if label in names else {"image", "label", "usage"} - names
        if missing:
            raise InputError(f"'{path}' has no column {', '.join(sorted(missing))}; it has {', '.join(sorted(names))}")
        columns = [f"ferplus_{vote}" for vote in VOTES + OTHER_VOTES]
        votes_there = names.issuperset(columns)
        number = 0
        for batch in file.iter_batches(batch_size=1000):
            for row in batch.to_pylist():
                where = f"'{path}', row {number}"
                votes = _votes([row[name] for name in columns], where) if votes_there else NO_VOTES
                image = row["image"].get("bytes") if isinstance(row["image"], dict) else row["image"]
                if not isinstance(image, bytes):
                    raise InputError(f"{where}: expected a picture's bytes, found {type(image).__name__}")
                yield Row(where, row[label], row["usage"], votes, partial(_picture, image, where))
                number += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"'{path}' cannot be read as Parquet ({reason}); copy or download it again") from error


def _votes(counts: list[object], where: str) -> np.ndarray:
    """Return a row's FER+ votes; a missing one is none."""
    try:
        votes = np.array([0 if count is None else count for count in counts]).astype(np.float32)
    except (ValueError, TypeError):
        votes = np.array([np.nan])
    if not (np.isfinite(votes) & (votes >= 0)).all():
        raise InputError(f"{where}: expected FER+ votes as numbers from 0, found {str(counts)[:80]}")
    return votes


def _csv(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.reader(file)
        try:
            header = [name.strip() for name in next(reader, [])]
            missing = {"emotion", "pixels", "Usage"} - set(header)
            if missing:
                began = str(header)[:80]
                raise InputError(f"'{path}' has no column {', '.join(sorted(missing))}; its first line has {began}")
            at = {name: header.index(name) for name in ("emotion", "pixels", "Usage")}
            for row in filter(None, reader):  # an empty line, such as some editors leave at the end, is no row
                where = f"'{path}', line {reader.line_num}"
                if len(row) != len(header):
                    raise InputError(
                        f"{where}: expected {len(header)} columns, found {len(row)}; the file may be cut off"
                    )
                pixels = partial(_numbers, row[at["pixels"]], where)
                yield Row(where, row[at["emotion"]], row[at["Usage"]].strip(), NO_VOTES, pixels)
        except csv.Error as error:
            raise InputError(f"'{path}', line {reader.line_num}: {error}") from error


def _folder(path: Path) -> Iterator[Row]:
    """Kaggle's folder; without PublicTest in its file names, each tenth image of `train` is held out as PublicTest."""
    if not (path / "train").is_dir():
        raise InputError(f"'{path}' has no folder train: expected train/<emotion>/*.jpg and test/<emotion>/*.jpg")
    named = any(path.glob("test/*/PublicTest_*"))
    for part in ("train", "test"):
        for folder in sorted(p for p in (path / part).glob("*") if p.is_dir()):
            if folder.name.lower() not in FOLDER_EMOTIONS:
                raise InputError(f"'{folder}' is named after no emotion: expected one of {', '.join(EMOTIONS)}")
            for index, file in enumerate(sorted(p for p in folder.iterdir() if not p.name.startswith("."))):
                prefix = file.name.partition("_")[0]
                usage = "Training" if part == "train" else prefix if named or prefix in USAGES else None
                if usage is None:
                    continue  # a test folder of unknown make is never called PublicTest or PrivateTest
                if part == "train" and not named and index % HELD_OUT == 0:
                    usage = "PublicTest"
                where = f"'{file}'"
                label = FOLDER_EMOTIONS[folder.name.lower()]
                yield Row(where, label, usage, NO_VOTES, partial(_picture, file, where))
