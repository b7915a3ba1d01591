"""A film in sections: read apart from each other, they become what one machine says, row by row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import polars as pl
import pytest

from filming import write_long_film
from mien.config import VisionSettings
from mien.media.base import MARK_S
from mien.media.video import Video
from mien.run.collection.items import Item, items_of
from mien.run.collection.sections import CollectionAnalysis, ItemOutcome, analyse_whole, join, make_plan, read_section
from mien.run.options import AnalyzeOptions

OF_THE_RUN = ("id", "session", "time", "elapsed_ms")
"""Columns that differ from one run to the next on the same machine."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Item:
    (item,) = items_of([str(write_long_film(tmp_path_factory.mktemp("films") / "evening.mp4"))])
    return item


@pytest.fixture
def analysis(tmp_path: Path, tiny_model: Path) -> Callable[..., CollectionAnalysis]:
    """Makes an analysis into a folder of a name, on so many cores that each minute is a section."""

    def make(folder: str, **chosen: Any) -> CollectionAnalysis:
        return CollectionAnalysis(
            VisionSettings(model=tiny_model), str(tmp_path / folder), AnalyzeOptions(**chosen), cores=8
        )

    return make


def rows(analysis: CollectionAnalysis, item: Item) -> pl.DataFrame:
    return pl.read_parquet(Path(analysis.output, item.part)).drop(OF_THE_RUN)


def in_sections(item: Item, analysis: CollectionAnalysis) -> ItemOutcome:
    plan = make_plan(item, analysis)
    assert len(plan.sections) > 1
    for number in reversed(range(len(plan.sections))):
        assert read_section(item, plan, number, analysis).as_planned
    outcome = join(item, plan, analysis)
    assert not list(Path(analysis.output).rglob("*.npz"))
    return outcome


@pytest.mark.parametrize(
    "chosen", [{}, {"fps": 3.0, "start": 55.1}, {"every": 3, "end": 121.9, "sets": None}], ids=["all", "fps", "every"]
)
def test_sections_become_what_one_machine_says(
    film: Item, analysis: Callable[..., CollectionAnalysis], chosen: dict[str, Any]
) -> None:
    here, apart = analysis("here", **chosen), analysis("apart", **chosen)
    whole = analyse_whole(film, make_plan(film, here, divide=False), here)
    assert in_sections(film, apart) == whole
    assert rows(apart, film).equals(rows(here, film))
    if not chosen:
        faces = rows(here, film).filter(pl.col("track").is_not_null())
        stays = faces.group_by("track").agg(
            pl.col("offset_s").min().alias("from"), pl.col("offset_s").max().alias("to")
        )
        over = stays.filter((pl.col("from") < MARK_S - 1) & (pl.col("to") > MARK_S + 1))
        assert len(over) == 1, "a face keeps its track where sections meet"


def test_a_survey_knows_the_times_that_decoding_finds(film: Item) -> None:
    with Video(film.files[0], "a") as video:
        told = video.survey()
    with Video(film.files[0], "a") as video:
        offsets = [frame.offset_s for frame in video]
    assert told is not None
    np.testing.assert_array_equal(told.offsets, offsets)
    place = told.place_of(100)
    assert place is not None
    with Video(film.files[0], "a") as video:
        video.begin_at(place)
        first = next(iter(video))
    assert 0 < place.before <= first.index <= 100
    assert first.offset_s == offsets[first.index]


def test_a_film_that_is_not_as_its_packets_say_is_found_out(
    film: Item, analysis: Callable[..., CollectionAnalysis], tmp_path: Path
) -> None:
    content = bytearray(Path(film.files[0]).read_bytes())
    with av.open(film.files[0]) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    spoiled = next(packet for packet in packets if packet.is_keyframe and packet.pts * packet.time_base > 62)
    assert spoiled.pos is not None
    content[spoiled.pos : spoiled.pos + spoiled.size] = bytes(spoiled.size)
    path = tmp_path / "spoiled.mp4"
    path.write_bytes(content)
    (item,) = items_of([str(path)])
    chosen = analysis("out")
    plan = make_plan(item, chosen)
    assert not all(read_section(item, plan, number, chosen).as_planned for number in range(len(plan.sections)))
    outcome = analyse_whole(item, plan, chosen)
    assert outcome.problem is not None
    assert "could not be decoded" in outcome.problem
    assert not list(Path(chosen.output).rglob("*.npz"))


def test_a_piece_that_lies_there_is_not_read_again(
    film: Item, analysis: Callable[..., CollectionAnalysis], tmp_path: Path
) -> None:
    chosen = analysis("out")
    plan = make_plan(film, chosen)
    read_section(film, plan, 0, chosen)
    (piece,) = Path(chosen.output).rglob("*.npz")
    written = piece.stat().st_mtime_ns
    assert read_section(film, plan, 0, chosen).as_planned
    assert piece.stat().st_mtime_ns == written
