"""Periods, sums per second, the chart and the wording of the dashboard."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from mien.dashboard import cards
from mien.dashboard.charts import SHOWN, timeline_figure
from mien.dashboard.periods import Choice, Window, by_the_minute, parse_choice, resolve, rival, zone_named
from mien.dashboard.queries import SourceState, Timeline, nothing
from mien.dashboard.seconds import COLUMNS, KEPT, Ring
from mien.dashboard.wording import amount, moment, span
from mien.observation import EMOTIONS, Face, Observation, Probabilities, new_id
from mien.stores.base import Summary
from mien.vision.colours import COLOURS

NOW = datetime(2026, 11, 22, 14, 3, 21, 500_000, tzinfo=timezone.utc)
KOLKATA = ZoneInfo("Asia/Kolkata")
HAPPY = Probabilities(0.0, 0.0, 0.0, 0.9, 0.0, 0.0, 0.1)


def observe(time: datetime, faces: int = 1, emotion: str | None = "happy") -> Observation:
    face = Face(3, (64, 36, 128, 72), 0.9, emotion, HAPPY)  # type: ignore[arg-type]
    return Observation(new_id(), "lobby", new_id(), 0, time, None, 0, 1280, 720, "mien-1@00000000", 5.0, [face] * faces)


@pytest.mark.parametrize(
    ("period", "width", "start"),
    [
        ("5m", 1, "2026-11-22T13:58:21"),
        ("1h", 60, "2026-11-22T13:03:00"),
        ("today", 300, "2026-11-21T18:30:00"),  # midnight in Kolkata
        ("7d", 3600, "2026-11-15T14:00:00"),
    ],
)
def test_a_period_becomes_a_window_at_multiples_of_its_width(period: str, width: int, start: str) -> None:
    window = resolve(Choice((), period), KOLKATA, NOW)
    assert window.width == width
    assert window.start == datetime.fromisoformat(start).replace(tzinfo=timezone.utc)
    assert NOW <= window.end <= NOW + timedelta(seconds=width)


@pytest.mark.parametrize("days", [0.001, 0.02, 1, 30, 400, 4000])
def test_any_period_takes_a_sensible_number_of_points(days: float) -> None:
    window = resolve(Choice((), "custom", NOW - timedelta(days=days), NOW), KOLKATA, NOW)
    assert 1 <= window.points <= 402
    assert window.start <= NOW - timedelta(days=days) + timedelta(seconds=1)
    assert window.end >= NOW


def test_short_periods_are_shown_by_the_second_however_long_ago() -> None:
    past = NOW - timedelta(days=1)
    window = resolve(Choice((), "custom", past, past + timedelta(minutes=5)), KOLKATA, NOW)
    assert window.width == 1
    assert by_the_minute(window).start == past.replace(second=0, microsecond=0)
    assert by_the_minute(window).points == 6


@pytest.mark.parametrize(
    ("versus", "start"),
    [
        ("before", "2026-11-22T12:03:00"),
        ("day", "2026-11-21T13:03:00"),
        ("week", "2026-11-15T13:03:00"),
        ("year", "2025-11-23T13:03:00"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00"),
        ("@stage", "2026-11-22T13:03:00"),
    ],
)
def test_a_period_is_compared_with_one_of_the_same_length_or_with_a_source(versus: str, start: str) -> None:
    choice = Choice(("lobby",), "1h", versus=versus)
    window, sources = rival(choice, KOLKATA, NOW)
    assert window.start == datetime.fromisoformat(start).replace(tzinfo=timezone.utc)
    assert window.width == 60
    assert window.points in (60, 61)
    assert sources == (("stage",) if versus == "@stage" else ("lobby",))


def test_a_comparison_beyond_the_beginning_of_time_is_with_nothing() -> None:
    start = datetime(1971, 6, 1, tzinfo=timezone.utc)
    window, _ = rival(Choice((), "custom", start, start + timedelta(days=365), versus="before"), KOLKATA, NOW)
    assert window.start.year in (1970, 1971)
    assert window.end <= start + timedelta(days=28)


def test_a_choice_survives_its_way_through_the_url() -> None:
    start = NOW.replace(microsecond=0)
    choice = Choice(("door", "lobby"), "custom", start, start + timedelta(1), ("happy", "sad"), "count", "@stage")
    pairs = choice.pairs()
    sources, emotions = ([value for name, value in pairs if name == wanted] for wanted in ("source", "emotion"))
    assert parse_choice(dict(pairs), sources, emotions) == choice


@pytest.mark.parametrize(
    "query",
    [
        {"period": "nonsense"},
        {"as": "pie", "vs": "@<b>"},
        {"vs": "tomorrow"},
        {"period": "custom"},
        {"period": "custom", "from": "soon", "to": "later"},
        {"period": "custom", "from": "2026-11-22T00:00:00Z", "to": "2026-11-21T00:00:00Z"},
        {"period": "custom", "from": "0001-01-01", "to": "9999-12-31T23:59:59-12:00"},
    ],
)
def test_a_malformed_choice_falls_back_to_the_default(query: dict[str, str]) -> None:
    assert parse_choice(query, ["<script>", "", "x" * 65, "ok_1"]) == Choice(("ok_1",))


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../../etc/passwd", None, 7, "\0"])
def test_an_unknown_zone_is_utc(name: object) -> None:
    assert zone_named(name) is timezone.utc


def test_a_ring_sums_per_second_and_forgets_what_is_older_than_it_keeps() -> None:
    ring, first = Ring(), int(NOW.timestamp())
    ring.add(observe(NOW))
    ring.add(observe(NOW + timedelta(milliseconds=300), faces=2, emotion=None))
    ring.add(observe(NOW + timedelta(seconds=2), faces=0))
    rows = ring.rows(first, 4)
    assert rows[:, :3].tolist() == [[2, 3, 2], [0, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert rows[0, 3 + EMOTIONS.index("happy")] == 1
    assert rows[0, 10 + EMOTIONS.index("happy")] == pytest.approx(2.7)
    ring.add(observe(NOW + timedelta(seconds=KEPT)))
    assert not ring.rows(first, 1).any()
    assert ring.rows(first + KEPT, 1)[0, 0] == 1
    ring.add(observe(NOW))  # too late for its slot: ignored
    assert ring.rows(first + KEPT, 1)[0, 0] == 1
    assert not ring.before(first + KEPT).rows(first + KEPT, 1).any()


def test_the_chart_stacks_shares_to_a_hundred_and_drops_to_nothing_where_nobody_was() -> None:
    window = Window(NOW.replace(microsecond=0), NOW.replace(microsecond=0) + timedelta(seconds=5), 1)
    rows = np.zeros((5, COLUMNS))
    for second, faces in ((0, 2), (1, 1), (4, 1)):
        rows[second, :2] = 1, faces
        rows[second, 10:] = faces / 7
    figure = timeline_figure(Timeline(window, rows), KOLKATA)
    bands, count = figure["data"][:-1], figure["data"][-1]
    assert [band["name"].lower() for band in bands] == list(SHOWN)
    assert [band["fillcolor"] for band in bands] == [COLOURS[emotion] for emotion in SHOWN]
    totals = dict(zip(bands[0]["x"], np.sum([band["y"] for band in bands], axis=0), strict=True))
    assert totals["2026-11-22 19:33:21.000"] == pytest.approx(100, abs=0.1)
    assert totals["2026-11-22 19:33:20.999"] == 0
    assert totals["2026-11-22 19:33:23.001"] == 0  # two seconds with faces, then none
    assert totals["2026-11-22 19:33:25.500"] == pytest.approx(100, abs=0.1)
    assert bands[0]["x"] == sorted(bands[0]["x"])
    assert count["y"] == [2, 1, 0, 0, 1, 0]
    assert figure["layout"]["xaxis"]["range"] == ["2026-11-22 19:33:21.000", "2026-11-22 19:33:26.000"]


def test_an_empty_chart_has_a_valid_figure() -> None:
    figure = timeline_figure(nothing(resolve(Choice(), KOLKATA, NOW)), KOLKATA)
    assert figure["data"][0]["x"] == []
    assert figure["layout"]["yaxis2"]["range"] == [0, 1.0]


def test_the_happiness_index_is_a_hundred_times_the_mean_probability_of_happy() -> None:
    sums = (0.5, 0.0, 0.5, 2.6, 0.0, 0.0, 0.4)
    total = Summary(10, 4, 1, (0, 0, 0, 3, 0, 0, 0), sums)
    figures = cards.figures(total, [])
    assert figures["Happiness index"][0] == "65<small>of 100</small>"
    assert figures["Most shown"][0] == "Happy<small>65\u202f%</small>"
    assert figures["Analysed"] == ("4<small>faces</small>", "in 10 frames · 0.40 a frame")
    assert "1 face too unclear to name" in cards.share_list(total)


def test_without_faces_no_figure_is_invented() -> None:
    empty = Summary(0, 0, 0, (0,) * 7, (0.0,) * 7)
    figures = cards.figures(empty, [])
    assert figures["Happiness index"][0].startswith("–")
    assert figures["Most shown"][0].startswith("–")
    assert "nan" not in cards.share_list(empty)


def test_a_card_shows_availability_faces_and_where_they_stand() -> None:
    state = SourceState("lobby", True, NOW, NOW, NOW, 7, None, observe(NOW, faces=10))
    assert "Online since 19:33:21" in cards.source_head(state, KOLKATA, NOW)
    assert cards.people(state).count("<li>") == 8
    assert "and 2 faces more" in cards.people(state)
    placed = cards.stage(state.newest)
    assert placed is not None
    assert placed["faces"][0] == {"key": "3", "box": [5, 5, 10, 10], "emotion": "happy", "label": "Happy 90\u202f%"}
    gone = state._replace(online=False, newest=None, last=NOW - timedelta(days=30))
    assert "Offline" in cards.source_head(gone, KOLKATA, NOW)
    assert cards.source_foot(gone, KOLKATA, NOW) == "<span>Last seen 23 Oct 2026, 19:33</span>"


def test_what_comes_from_outside_is_escaped() -> None:
    assert "<b>" not in cards.status("away", "No broker", '"><b>x')


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0"), (1204, "1,204"), (123_456, "123.5\u202fk"), (12_400_000, "12.4\u202fM")]
)
def test_large_numbers_are_short(number: int, words: str) -> None:
    assert amount(number) == words


def test_times_are_in_the_viewers_zone() -> None:
    assert moment(NOW, KOLKATA, NOW) == "19:33:21"
    assert moment(NOW - timedelta(days=1), KOLKATA, NOW) == "Sat 19:33"
    assert span(resolve(Choice((), "5m"), KOLKATA, NOW), KOLKATA) == "22 Nov, 19:28:21 – 19:33:22"
