"""FER-2013 in, arrays out: the one form in which training and evaluation see faces.

`load` reads the Parquet with FER+ votes, Kaggle's `fer2013.csv` and `icml_face_data.csv`, also compressed, and Kaggle's
folder `train|test/<emotion>/*.jpg`, and names the row or file that it cannot use.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import io
import logging
import lzma
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

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

log = logging.getLogger(__name__)

FOLDER_EMOTIONS = {name: i for i, name in enumerate(EMOTIONS)} | {str(i): i for i in range(len(EMOTIONS))}
FOLDER_EMOTIONS |= {"anger": 0, "disgusted": 1, "fearful": 2, "happiness": 3, "sadness": 4, "surprised": 5}
PARTS: dict[str, Usage | None] = {
    "train": "Training", "training": "Training", "test": None, "publictest": "PublicTest", "val": "PublicTest",
    "valid": "PublicTest", "validation": "PublicTest", "privatetest": "PrivateTest",
}  # fmt: skip
"""What a folder of folders holds, by its name in small letters; of `test` the files' names say it."""
NO_PICTURES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "@eadir", "__macosx"})
"""What systems leave in folders beside the pictures, as do names with a dot in front."""
OPENERS: dict[str, Callable[..., IO[str]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
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


def load(
    path: str | Path, usages: Collection[str] = USAGES, *, skip_bad: bool = False, split: float | None = None
) -> Faces:
    """Return the faces of a data set.

    Args:
        path: A `.parquet`, a `.csv` (also `.csv.gz`, `.csv.bz2`, `.csv.xz`) or a folder with `train` and `test`.
        usages: The splits wanted; the pictures of the others are not looked at.
        skip_bad: Leave out rows and files that cannot be used, and log how many; else the first is an error.
        split: For a file that does not tell what each face is for: this share of them, over 0 and under 1, is held out
            as PublicTest, always the same and equal pictures together.

    Raises:
        InputError: The data set is missing, of another form, or broken; the message names the row or file.
    """
    path = Path(path)
    if split is not None and not 0 < split < 1:
        raise InputError(f"cannot hold out a share of {split:g}: expected one over 0 and under 1, such as 0.1")
    if not path.exists():
        raise InputError(
            f"no data set at '{path}': expected FER-2013 as a .parquet, as Kaggle's .csv, or as a folder with train/ "
            "and test/; give its place with --data"
        )
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if path.is_dir():
        rows = _folder(path, split)
    elif suffixes[-1:] == [".parquet"]:
        rows = _parquet(path, split)
    elif suffixes[-1:] == [".csv"] or (suffixes[-2:-1] == [".csv"] and suffixes[-1] in OPENERS):
        rows = _csv(path, split)
    else:
        raise InputError(
            f"'{path}' is no data set that Mien knows: expected a .parquet, a .csv, a .csv.gz or a folder; "
            "unpack others"
        )
    collected, bad = _collected(rows, usages, skip_bad=skip_bad)
    if bad:
        log.warning("%d rows of '%s' cannot be used and were left out; the first: %s", len(bad), path, bad[0])
    if not collected:
        raise InputError(
            f"'{path}' holds no faces of {', '.join(usages)}: expected FER-2013's 35,887 or a part of them"
            + (f"; {len(bad):,} rows were left out, the first: {bad[0]}" if bad else "")
        )
    pixels, labels, votes, usage = zip(*collected, strict=True)
    ten = np.stack(votes).astype(np.float32)
    seven = ten[:, : len(EMOTIONS)]
    return Faces(np.stack(pixels), np.array(labels, np.int64), seven, _majority(ten), np.array(usage))


def _collected(
    rows: Iterator[Row | Bad], usages: Collection[str], *, skip_bad: bool
) -> tuple[list[tuple[np.ndarray, int, np.ndarray, Usage]], list[str]]:
    """Return the faces of some splits, and what is wrong with the rows that are left out."""
    collected, bad = [], []
    for raw in rows:
        try:
            if isinstance(raw, Bad):
                raise InputError(raw.problem)
            row = _checked(raw)
            if row.usage in usages:
                collected.append((row.decode(), row.label, row.votes, row.usage))
        except InputError as error:  # noqa: PERF203
            if not skip_bad:
                raise InputError(f"{error} (--skip-bad leaves out rows that cannot be used)") from error
            bad.append(str(error))
    return collected, bad


def _held_out(content: bytes, split: float) -> Usage:
    """Return what a face is for, by its content alone: so the same in every run, and equal pictures together."""
    place = int.from_bytes(hashlib.sha256(content).digest()[:8], "big") / 2**64
    return "PublicTest" if place < split else "Training"


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
class Bad:
    """A row that cannot even be taken apart, and why."""

    problem: str


@dataclass(frozen=True)
class CheckedRow:
    """One face whose label and usage are right."""

    label: int
    usage: Usage
    votes: np.ndarray
    decode: Callable[[], np.ndarray]


def _checked(row: Row) -> CheckedRow:
    try:
        number = float(str(row.label))
    except ValueError:
        number = -1.0
    if not (0 <= number < len(EMOTIONS) and number.is_integer()):
        raise InputError(f"{row.where}: expected an emotion from 0 to {len(EMOTIONS) - 1}, found '{row.label}'")
    plain = str(row.usage).lower().replace(" ", "").replace("_", "")
    usage = next((usage for usage in USAGES if usage.lower() == plain), None)
    if usage is None:
        raise InputError(f"{row.where}: expected a usage of {', '.join(USAGES)}, found '{row.usage}'")
    return CheckedRow(int(number), usage, row.votes, row.decode)


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


def _parquet(path: Path, split: float | None) -> Iterator[Row | Bad]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = {name.lower(): name for name in reversed(file.schema_arrow.names)}
        label = "label" if "label" in names else "emotion"
        missing = {"image"} - set(names) if label in names else {"image", "label"} - set(names)
        if missing:
            has = ", ".join(sorted(file.schema_arrow.names))
            raise InputError(f"'{path}' has no column {', '.join(sorted(missing))}; it has {has}")
        _check_split(path, split, tells="usage" in names, has=sorted(file.schema_arrow.names))
        columns = [f"ferplus_{vote}" for vote in VOTES + OTHER_VOTES]
        votes_there = set(file.schema_arrow.names).issuperset(columns)
        number = 0
        for batch in file.iter_batches(batch_size=1000):
            for row in batch.to_pylist():
                where = f"'{path}', row {number}"
                image = row[names["image"]]
                image = image.get("bytes") if isinstance(image, dict) else image
                number += 1
                try:
                    votes = _votes([row[name] for name in columns], where) if votes_there else NO_VOTES
                except InputError as error:
                    yield Bad(str(error))
                    continue
                if not isinstance(image, bytes):
                    yield Bad(f"{where}: expected a picture's bytes, found {type(image).__name__}")
                    continue
                usage = row[names["usage"]] if split is None else _held_out(image, split)
                yield Row(where, row[names[label]], usage, votes, partial(_picture, image, where))
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


def _check_split(path: Path, split: float | None, *, tells: bool, has: Collection[str]) -> None:
    """Refuse a share to hold out where the file tells what each face is for, and a file that needs one."""
    if tells and split is not None:
        raise InputError(f"'{path}' tells itself what each face is for: leave --split {split:g} out")
    if not tells and split is None:
        began = ", ".join(has)[:80]
        raise InputError(
            f"'{path}' has no column usage; it has {began}: --split 0.1 holds a tenth of the faces out as PublicTest"
        )


def _csv(path: Path, split: float | None) -> Iterator[Row | Bad]:
    try:
        with OPENERS.get(path.suffix.lower(), open)(
            path, "rt", newline="", encoding="utf-8-sig", errors="replace"
        ) as file:
            yield from _csv_rows(csv.reader(file), path, split)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"'{path}' cannot be read ({str(error)[:200]}); copy or download it again") from error


def _csv_rows(reader: Any, path: Path, split: float | None) -> Iterator[Row | Bad]:
    """Yield the rows of a CSV; a repeated header and an empty line, such as editors leave at the end, are none."""
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if missing := {"emotion", "pixels"} - set(header):
            began = str(header)[:80]
            raise InputError(f"'{path}' has no column {', '.join(sorted(missing))}; its first line has {began}")
        _check_split(path, split, tells="usage" in header, has=header)
        at = {name: header.index(name) for name in ("emotion", "pixels", "usage") if name in header}
        while (row := _next(reader, path)) is not None:
            if isinstance(row, Bad):
                yield row
                continue
            if not row or [name.strip().lower() for name in row] == header:
                continue
            where = f"'{path}', line {reader.line_num}"
            if len(row) != len(header):
                yield Bad(f"{where}: expected {len(header)} columns, found {len(row)}; the file may be cut off")
                continue
            text = row[at["pixels"]]
            usage = row[at["usage"]].strip() if split is None else _held_out(" ".join(text.split()).encode(), split)
            yield Row(where, row[at["emotion"]].strip(), usage, NO_VOTES, partial(_numbers, text, where))
    except csv.Error as error:
        raise InputError(f"'{path}', line {reader.line_num}: {error}") from error


def _next(reader: Any, path: Path) -> list[str] | Bad | None:
    """Return a CSV's next row; None at its end."""
    try:
        row: list[str] | None = next(reader, None)
    except csv.Error as error:
        return Bad(f"'{path}', line {reader.line_num}: {error}")
    return row


def _folder(path: Path, split: float | None) -> Iterator[Row | Bad]:
    """Kaggle's folder; without PublicTest in it, a share of `train` is held out, else each tenth picture."""
    parts = {folder: folder.name.lower().replace("_", "") for folder in sorted(path.iterdir()) if folder.is_dir()}
    parts = {folder: name for folder, name in parts.items() if name in PARTS}
    if "Training" not in {PARTS[name] for name in parts.values()}:
        raise InputError(f"'{path}' has no folder train: expected train/<emotion>/*.jpg and test/<emotion>/*.jpg")
    tests = [folder for folder, name in parts.items() if PARTS[name] is None]
    tells = any(PARTS[name] == "PublicTest" for name in parts.values()) or any(
        any(folder.glob("*/PublicTest_*")) for folder in tests
    )
    if tells and split is not None:
        raise InputError(f"'{path}' tells itself what each face is for: leave --split {split:g} out")
    for part, name in sorted(parts.items(), key=lambda item: (PARTS[item[1]] != "Training", item[0])):
        for folder in sorted(inner for inner in part.iterdir() if inner.is_dir() and _may_be_picture(inner)):
            label = FOLDER_EMOTIONS.get(folder.name.lower().strip())
            if label is None:
                yield Bad(f"'{folder}' is named after no emotion: expected one of {', '.join(EMOTIONS)}, or 0 to 6")
                continue
            for index, file in enumerate(sorted(filter(_may_be_picture, folder.iterdir()))):
                prefix = file.name.partition("_")[0]
                usage = PARTS[name] or (prefix if tells or prefix in USAGES else None)
                if usage is None:
                    continue  # a test folder of unknown make is never called PublicTest or PrivateTest
                if usage == "Training" and not tells:
                    held_out = index % HELD_OUT == 0 if split is None else _of_file(file, split) == "PublicTest"
                    usage = "PublicTest" if held_out else usage
                yield Row(f"'{file}'", label, usage, NO_VOTES, partial(_picture, file, f"'{file}'"))


def _may_be_picture(path: Path) -> bool:
    return not path.name.startswith(".") and path.name.lower() not in NO_PICTURES


def _of_file(file: Path, split: float) -> Usage:
    try:
        return _held_out(file.read_bytes(), split)
    except OSError:
        return "Training"  # and its picture, which cannot be read, is named when it is decoded
