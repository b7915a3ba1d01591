"""A data set so small and so separable that a network learns it in seconds."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.training import data

SPLITS = {"Training": 140, "PublicTest": 35, "PrivateTest": 35}


def draw(emotion: int, random: np.random.Generator) -> np.ndarray:
    """A face of an emotion: a grey noise with one bright bar, whose height tells which; alike when mirrored."""
    pixels = random.integers(60, 120, (48, 48))
    pixels[4 + 6 * emotion : 8 + 6 * emotion, 6:42] += 120
    return pixels.astype(np.uint8)


def write(path: Path, splits: dict[str, int], seed: int = 0) -> Path:
    random = np.random.default_rng(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for usage, count in splits.items():
            for index in range(count):
                pixels = " ".join(map(str, draw(index % 7, random).ravel()))
                writer.writerow([index % 7, pixels, usage])
    return path


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("faces") / "fer2013.csv", SPLITS)


@pytest.fixture(scope="session")
def voted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as Parquet, with FER+ votes: all ten for the next emotion, but for a few faces without any."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    random = np.random.default_rng(0)
    rows = []
    for usage, count in SPLITS.items():
        for index in range(count):
            picture = io.BytesIO()
            Image.fromarray(draw(index % 7, random)).save(picture, format="png")
            votes = dict.fromkeys([f"ferplus_{name}" for name in data.VOTES + data.OTHER_VOTES], 0)
            votes[f"ferplus_{data.VOTES[(index + 1) % 7]}"] = 0 if index % 20 == 19 else 10
            rows.append({"image": {"bytes": picture.getvalue()}, "label": index % 7, "usage": usage, **votes})
    path = tmp_path_factory.mktemp("voted") / "fer2013.parquet"
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    return path


@pytest.fixture(scope="session")
def write_csv() -> Callable[..., Path]:
    return write


@pytest.fixture(autouse=True)
def few_threads() -> Iterator[None]:
    """As many as any machine has, so that sums are added in the same order everywhere."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
