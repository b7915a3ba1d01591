"""Periods, sums per second, the chart and the wording of the dashboard."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from mien.charts.palette import COLOURS
from mien.dashboard.data.listener import PICTURE_S, Picture
from mien.dashboard.data.periods import Choice, Window, by_the_minute, parse_choice, resolve, rival, zone_named
from mien.dashboard.data.queries import PICTURE_FRESH_S, SourceState, Timeline, nothing
from mien.dashboard.data.second_sums import KEPT, ROW, Ring, blank, numbers, row_of
from mien.dashboard.pages import cards, checks, tables
from mien.dashboard.pages.charts import SHOWN, shares, stream, timeline_figure
from mien.dashboard.pages.model import model_card
from mien.dashboard.pages.system import last_lines
from mien.dashboard.pages.wording import amount, moment, span, stretch
from mien.dashboard.security.roles import Role
from mien.errors import StoreError
from mien.models.classifier import SHIPPED, Classifier
from mien.models.evaluation import evaluation_of
from mien.mqtt.messages import OutboxCounts, RemoteState, Stats
from mien.observation import EMOTIONS, Emotion, Face, Observation, Probabilities, new_id
from mien.stores.base import Bucket, Marker, Sums

NOW = datetime(2026, 11, 22, 14, 3, 21, 500_000, tzinfo=timezone.utc)
KOLKATA = ZoneInfo("Asia/Kolkata")
NEW_YORK = ZoneInfo("America/New_York")
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


def test_an_address_that_names_thousands_of_years_takes_no_more_points() -> None:
    choice = parse_choice({"period": "custom", "from": "1971-01-01", "to": "9000-12-31"}, [])
    window = resolve(choice, timezone.utc, NOW)
    assert window.points <= 401
    assert choice.end is not None
    assert window.end >= choice.end
    nothing(window)


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
    assert rows[["frames", "faces", "unclear"]].tolist() == [(2, 3, 2), (0, 0, 0), (1, 0, 0), (0, 0, 0)]
    assert rows["count_happy"][0] == 1
    assert rows["sum_happy"][0] == pytest.approx(2.7)
    ring.add(observe(NOW + timedelta(seconds=KEPT)))
    assert not numbers(ring.rows(first, 1)).any()
    assert ring.rows(first + KEPT, 1)["frames"][0] == 1
    ring.add(observe(NOW))  # too late for its slot: ignored
    assert ring.rows(first + KEPT, 1)["frames"][0] == 1
    assert not numbers(ring.before(first + KEPT).rows(first + KEPT, 1)).any()


def test_the_chart_stacks_shares_to_a_hundred_and_drops_to_nothing_where_nobody_was() -> None:
    window = Window(NOW.replace(microsecond=0), NOW.replace(microsecond=0) + timedelta(seconds=5), 1)
    rows = blank(5)
    for second, faces in ((0, 2), (1, 1), (4, 1)):
        rows[second] = row_of(sums(1, faces, 0, {}, dict.fromkeys(EMOTIONS, faces / 7)))
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
    assert timeline_figure(nothing(resolve(Choice(), KOLKATA, NOW)), KOLKATA, form="count")["data"]
    assert figure["layout"]["yaxis2"]["range"] == [0, 1.0]


def test_faces_are_stacked_as_steps_with_the_unclear_on_top() -> None:
    window = Window(NOW.replace(microsecond=0), NOW.replace(microsecond=0) + timedelta(seconds=2), 1)
    rows = blank(2)
    rows[0] = row_of(sums(2, 5, 1, {"happy": 4}, {}))
    every = timeline_figure(Timeline(window, rows), KOLKATA, form="count")
    bands = {band["name"]: band["y"] for band in every["data"][:-1]}
    assert (bands["Happy"], bands["Unclear"], bands["Sad"]) == ([4, 0, 0], [1, 0, 0], [0, 0, 0])
    assert every["layout"]["yaxis"]["range"] == [0, pytest.approx(5.3)]
    some = timeline_figure(Timeline(window, rows), KOLKATA, form="count", emotions=("sad",))
    assert [band["name"] for band in some["data"]] == ["Sad", "Faces a frame"]


def test_markers_are_lines_whose_labels_keep_apart_and_are_escaped() -> None:
    window = Window(NOW.replace(microsecond=0), NOW.replace(microsecond=0) + timedelta(seconds=100), 1)
    marked = [Marker(new_id(), window.start + timedelta(seconds=at), f"<b>{at}", None, "me") for at in (1, 4, 50)]
    layout = timeline_figure(nothing(window), KOLKATA, markers=marked)["layout"]
    assert [shape["x0"][-6:] for shape in layout["shapes"]] == ["22.000", "25.000", "11.000"]
    assert [note["text"] for note in layout["annotations"][1:]] == ["&lt;b&gt;1", "", "&lt;b&gt;50"]


def test_as_lines_a_period_and_what_it_is_compared_with_stand_in_one_chart() -> None:
    start = NOW.replace(microsecond=0)
    rows = blank(3)
    for second in (0, 2):
        rows[second] = row_of(sums(1, 1, 0, {}, {"happy": 0.4 + 0.1 * second}))
    window = Window(start, start + timedelta(seconds=3), 1)
    before = Window(start - timedelta(days=1), start - timedelta(days=1) + timedelta(seconds=3), 1)
    figure = timeline_figure(
        Timeline(window, rows), KOLKATA, form="lines", emotions=("happy",), other=Timeline(before, rows[::-1])
    )
    line, dashed, _ = figure["data"]
    assert line["y"] == [40, None, 60], "a gap where there is no face"
    assert dashed["y"] == [60, None, 40]
    assert dashed["x"] == line["x"] == [f"2026-11-22 19:33:{at}.500" for at in (21, 22, 23)], "at the same time"
    assert (dashed["line"]["dash"], dashed["line"]["color"]) == ("dash", line["line"]["color"])


def test_labels_of_markers_at_the_edges_are_not_cut() -> None:
    window = Window(NOW.replace(microsecond=0), NOW.replace(microsecond=0) + timedelta(seconds=100), 1)
    long = "A label that is longer than what stands in the chart"
    marked = [Marker(new_id(), window.start + timedelta(seconds=at), long, None, "me") for at in (1, 50, 99)]
    notes = timeline_figure(nothing(window), KOLKATA, markers=marked)["layout"]["annotations"][1:]
    assert [note["xanchor"] for note in notes] == ["left", "center", "right"]
    assert {note["hovertext"] for note in notes} == {long}


def test_a_stream_shows_faces_in_a_frame_and_bridges_short_gaps_alone() -> None:
    rows = blank(20)
    rows["frames"][[0, 1, 2, 6, 19]] = 10
    rows["sum_happy"][[0, 1, 2, 6, 19]] = 20  # ten frames a second with two happy faces each
    bands = dict(zip(SHOWN, stream(rows), strict=True))
    assert bands["happy"] == [200] * 9 + [0] * 8 + [200] * 3
    assert bands["sad"] == [0] * 20
    assert stream(blank(3)) == [[0] * 3] * 7


def sums(frames: int, faces: int, unclear: int, named: dict[Emotion, int], shares: dict[Emotion, float]) -> Sums:
    return Sums(frames, faces, unclear, dict.fromkeys(EMOTIONS, 0) | named, dict.fromkeys(EMOTIONS, 0.0) | shares)


TOTAL = sums(10, 4, 1, {"happy": 3}, {"angry": 0.5, "fear": 0.5, "happy": 2.6, "neutral": 0.4})
EMPTY = Sums()


def test_the_happiness_index_is_a_hundred_times_the_mean_probability_of_happy() -> None:
    figures = cards.figures(TOTAL, None)
    assert "65 <small>of 100</small>" in figures
    assert "Happy <small>65\u202f%</small>" in figures
    assert "4 <small>faces</small>" in figures
    assert "in 10 frames" in figures
    assert "1 face too unclear to name" in cards.share_list(TOTAL)


def test_one_point_of_difference_is_a_point() -> None:
    total, other = (sums(20, 4, 0, {"happy": 4}, {"happy": happy, "sad": 4 - happy}) for happy in (1.16, 1.12))
    assert "▲ 1 point against 28" in cards.figures(total, other)


def test_a_comparison_tells_the_difference() -> None:
    other = sums(20, 4, 0, {"happy": 2, "sad": 2}, {"fear": 0.5, "happy": 1.0, "sad": 2.1, "neutral": 0.4})
    figures = cards.figures(TOTAL, other)
    assert "▲ 40 points against 25" in figures
    assert "against Sad 52\u202f%" in figures
    assert "−52.5 points" in cards.share_list(TOTAL, other)
    table = tables.comparison(TOTAL, other, ("<now>", "then"))
    assert "&lt;now&gt;" in table
    assert "<td>0.40</td><td>0.20</td><td>+0.20</td>" in table
    assert "the same: 65" in cards.figures(TOTAL, TOTAL)
    near = [sums(10, 1, 0, {}, {"happy": happy}) for happy in (0.504, 0.496)]
    assert "the same: 50" in cards.figures(*near)
    assert "–" in tables.comparison(TOTAL, EMPTY, ("a", "b"))


def test_without_faces_no_figure_is_invented() -> None:
    for figures in (cards.figures(EMPTY, None), cards.figures(EMPTY, EMPTY), cards.headline([], EMPTY)):
        assert "–" in figures
        assert "nan" not in figures
    assert "nan" not in cards.share_list(EMPTY)


def test_numbers_add_fine_points_up_and_leave_empty_stretches_out() -> None:
    window = Window(NOW.replace(second=0, microsecond=0), NOW.replace(second=0, microsecond=0) + timedelta(hours=2), 60)
    rows = blank(120)
    rows["frames"][[0, 1, 119]], rows["faces"][[0, 1, 119]], rows["sum_happy"][:2] = 10, 5, 2.5
    table = tables.numbers(Timeline(window, rows), KOLKATA)
    assert table.count('<th scope="row">') == 2
    assert "Each row: 2 minutes" in table
    assert "22 Nov 2026, 19:33</th><td>20</td><td>10</td><td>50.0</td>" in table


@pytest.mark.parametrize(
    ("zone", "told"),
    [(timezone.utc, "20 Nov 2026"), (NEW_YORK, "Thu 19 Nov 2026, 19:00"), (KOLKATA, "Fri 20 Nov 2026, 05:30")],
)
def test_days_which_are_those_of_utc_are_told_with_the_hour_elsewhere(zone: Any, told: str) -> None:
    day = Window(datetime(2026, 11, 20, tzinfo=timezone.utc), datetime(2026, 11, 21, tzinfo=timezone.utc), 86400)
    line = Timeline(day, np.ones(1, ROW))
    assert f'<th scope="row">{told}</th>' in tables.numbers(line, zone)
    shown = timeline_figure(line, zone)["layout"]["xaxis"]["hoverformat"]
    assert day.start.astimezone(zone).strftime(shown) == told


def test_days_over_a_change_to_summer_time_tell_the_hour_in_chart_and_table_alike() -> None:
    london = ZoneInfo("Europe/London")
    days = Window(datetime(2026, 3, 27, tzinfo=timezone.utc), datetime(2026, 4, 1, tzinfo=timezone.utc), 86400)
    line = Timeline(days, np.ones(5, ROW))
    table = tables.numbers(line, london)
    assert ">Fri 27 Mar 2026, 00:00<" in table
    assert ">Tue 31 Mar 2026, 01:00<" in table
    assert timeline_figure(line, london)["layout"]["xaxis"]["hoverformat"] == days.clock(london)


def test_a_row_of_a_year_is_called_by_its_range() -> None:
    first = datetime(2025, 11, 22, tzinfo=timezone.utc)
    year = Window(first, first + timedelta(days=366), 86400)
    table = tables.numbers(Timeline(year, np.ones(366, ROW)), timezone.utc)
    assert "Each row: 7 days" in table
    assert ">22 Nov 2025 – 28 Nov 2025<" in table
    assert ">21 Nov 2026 – 22 Nov 2026<" in table, "the last row ends with the period"


def test_the_busiest_hour_is_that_of_the_viewers_clock() -> None:
    start = datetime(2026, 11, 16, 10, tzinfo=timezone.utc)  # a Monday; 15:30 to 16:30 in Kolkata
    hours = [Bucket(start + timedelta(hours=h), Sums(10, 10 * (1 + (h == 0)))) for h in range(5)]
    week = Window(start - timedelta(days=3), start + timedelta(days=3), 3600)
    told = tables.busiest(hours, week, KOLKATA)
    assert "Mon, 16:00 to 17:00</b> with 2.00 faces a frame" in told
    assert told.count("<tr>") == 8
    assert tables.busiest(hours, Window(start, start + timedelta(hours=5), 60), KOLKATA).count("<tr>") == 2
    assert "No frame" in tables.busiest([], week, KOLKATA)
    year = Window(start - timedelta(days=300), start + timedelta(days=1), 86400)
    assert "in the five weeks up to 17 Nov 2026" in tables.busiest(hours, year, KOLKATA)


def test_a_long_period_tells_the_hours_of_when_something_was_seen() -> None:
    window = Window(NOW - timedelta(days=365), NOW, 86400)
    rows = blank(365)
    rows["frames"][100:103] = 5
    assert Timeline(window, rows).seen == Window(window.start, window.start + timedelta(days=103), 86400)
    assert nothing(window).seen == window


def test_a_card_shows_availability_faces_and_where_they_stand() -> None:
    state = SourceState("lobby", True, NOW, NOW, NOW, 7, None, observe(NOW, faces=10))
    assert "Online since 19:33:21" in cards.source_head(state, KOLKATA, NOW)
    assert "Happy <small>90\u202f%" in cards.source_now(state)
    assert "10 faces" in cards.source_now(state)
    assert cards.people(state).count("<li ") == 10
    assert "and 40 faces more" in cards.people(state._replace(newest=observe(NOW, faces=100)))
    placed = cards.stage(state.newest)
    assert placed is not None
    assert placed["faces"][0] == {
        "key": "n0", "number": "3", "box": [5, 5, 10, 10], "emotion": "happy", "label": "Happy 90\u202f%",
    }  # fmt: skip
    assert len({face["key"] for face in placed["faces"]}) == 10, "also where a source says one track of all"
    gone = state._replace(online=False, newest=None, last=NOW - timedelta(days=30))
    assert "Offline" in cards.source_head(gone, KOLKATA, NOW)
    assert "Offline" in cards.source_now(gone)
    assert cards.source_foot(gone, KOLKATA, NOW) == "<span>Last seen 23 Oct 2026, 19:33</span>"
    assert "Unclear" in cards.source_now(state._replace(newest=observe(NOW, emotion=None)))


def test_what_is_said_of_pictures_and_who_may_ask_for_some() -> None:
    state = SourceState("lobby", True, NOW, NOW, NOW, 7, Stats(preview="off"), None)

    def told(state: SourceState, role: Role = "admin", **remote: object) -> str:
        held = RemoteState(False, None, None, False, **remote)  # type: ignore[arg-type]
        return cards.sight(state._replace(remote=held), KOLKATA, NOW, role)

    assert cards.preview(state) is None
    assert "No picture leaves the camera" in told(state)
    assert "button" not in told(state), "its watch.remote_preview is off"
    assert "button" not in cards.sight(state, KOLKATA, NOW, "admin"), "an older one says nothing of that"
    assert 'data-preview="blurred" data-of="lobby"' in told(state, remote_preview="blurred")
    assert "button" not in told(state, "editor", remote_preview="blurred")
    sends = state._replace(stats=Stats(preview="blurred"), picture=Picture(7, time.monotonic(), "blurred", b""))
    assert cards.preview(sends) == {"number": 7, "words": "Preview, faces blurred"}
    assert cards.preview(sends._replace(picture=Picture(8, 0.0, "plain", b""))) == {
        "number": 8, "words": "Preview, faces visible",
    }  # fmt: skip
    assert "button" not in told(sends), "its settings say so"
    asked = told(sends, remote_preview="blurred", preview_until=NOW + timedelta(minutes=30))
    assert "Preview, faces blurred, until 20:03:21" in asked
    assert 'data-preview="off"' in asked
    assert cards.sight(state._replace(online=False), KOLKATA, NOW, "admin") == ""
    assert PICTURE_FRESH_S < PICTURE_S, "who is told of one must still get it"


def test_a_source_that_only_starts_has_no_rate_yet() -> None:
    def foot(**stats: object) -> str:
        told = SourceState("lobby", True, NOW, NOW, NOW, 7, Stats(**stats), None)  # type: ignore[arg-type]
        return cards.source_foot(told, KOLKATA, NOW)

    assert "– frames/s" in foot(uptime_s=0.4)
    assert "– frames/s" in foot(fps=0.0, uptime_s=0.4)
    assert "0.0 frames/s" in foot(fps=0.0, uptime_s=60.0)
    assert "12.0 frames/s" in foot(fps=12.0, uptime_s=3.0)


def listening(**state: object) -> Any:
    return SimpleNamespace(connected=True, met=True, changed=NOW, reason="refused", **state)


def test_the_forwarder_is_judged_by_how_far_the_store_lies_behind() -> None:
    state = SourceState("lobby", True, NOW, NOW, NOW, 7, None, observe(NOW), stored=NOW - timedelta(seconds=2))
    assert checks.forwarder([state], listening(), None)[1:3] == ("ok", "Keeps up")
    late = state._replace(stored=NOW - timedelta(minutes=5))
    assert checks.forwarder([state, late], listening(), None)[1:3] == ("fail", "5\u202fmin behind")
    assert checks.forwarder([state._replace(stored=None)], listening(), None).word == "Stores nothing"
    assert checks.forwarder([], listening(), None).word == "Idle"
    assert checks.forwarder([state], listening(), StoreError("gone")).word == "Not known"


def test_lost_observations_are_told_of() -> None:
    state = SourceState("lobby", True, NOW, NOW, NOW, 7, Stats(outbox=OutboxCounts(7, 3)), None)
    assert checks.outboxes([state])[1:] == ("fail", "7 waiting", "3 were dropped from a full outbox of lobby")
    assert checks.outboxes([state._replace(stats=Stats(outbox=OutboxCounts(0, 0)))]).state == "ok"
    assert checks.outboxes([state._replace(stats=None)]).state == "note"
    assert checks.outboxes([]).state == "ok", "nothing has come, and nothing is wrong"


def test_a_store_shows_its_size_and_never_its_password() -> None:
    assert checks.store("sqlite:///mien.db", [], 4096, None, KOLKATA).word == "4.1\u202fkB"
    assert "secret" not in checks.store("postgresql://mien:secret@db/mien", [], 0, None, KOLKATA).text
    assert checks.store("sqlite:///none.db", [], None, StoreError("no such file"), KOLKATA).text == "no such file"
    hidden = checks.store("", [], None, StoreError("no such file"), KOLKATA)
    assert "file" not in hidden.text  # to those who need not know
    assert checks.store("", [], None, None, KOLKATA).word == "Readable"
    first = datetime(2026, 11, 22, 20, tzinfo=timezone.utc)
    state = SourceState("lobby", False, None, first, first, 9, None, None)
    assert "since 23 Nov 2026" in checks.store("", [state], None, None, KOLKATA).text
    assert "since 22 Nov 2026" in checks.store("", [state], None, None, NEW_YORK).text


def test_the_last_lines_of_all_logs_stand_in_the_order_of_their_times(tmp_path: Path) -> None:
    (tmp_path / "watch.log").write_text(
        "2026-11-22 10:00:01  watch  one\nTraceback\n2026-11-22 10:00:03  watch  three\n"
    )
    (tmp_path / "forward.log").write_bytes(b"2026-11-22 10:00:02  forward  two \xff\n" + b"x" * 40_000 + b"\n")
    (tmp_path / "up.log").write_text("2026-11-22 09:00:00  up  zero\n" * 2000)
    lines = last_lines(tmp_path)
    assert len(lines) == 40
    assert lines[-2:] == ["2026-11-22 10:00:01  watch  one", "2026-11-22 10:00:03  watch  three"]
    assert last_lines(tmp_path / "none") == []


def test_what_comes_from_outside_is_escaped() -> None:
    assert "<b>" not in cards.status("away", "No broker", '"><b>x')


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (65, "1 min 5 s"), (3600, "1 h"), (90_000, "1 day 1 h"), (200_000, "2 days 7 h")],
)
def test_lengths_of_time_have_two_units(seconds: float, words: str) -> None:
    assert stretch(seconds).replace("\u202f", " ") == words


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0"), (1204, "1,204"), (123_456, "123.5\u202fk"), (12_400_000, "12.4\u202fM")]
)
def test_large_numbers_are_short(number: int, words: str) -> None:
    assert amount(number) == words


def test_times_are_in_the_viewers_zone() -> None:
    assert moment(NOW, KOLKATA, NOW) == "19:33:21"
    assert moment(NOW - timedelta(days=1), KOLKATA, NOW) == "Sat 19:33"
    assert span(resolve(Choice((), "5m"), KOLKATA, NOW), KOLKATA) == "22 Nov, 19:28:21 – 19:33:22"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_of_a_model_that_ships_has_its_own_figures(name: str) -> None:
    classifier = Classifier.load(name)
    measured = evaluation_of(classifier.file, classifier.model_id)
    assert measured is not None, "copy the evaluation.json of this very file beside it"
    assert measured.accuracy.low < measured.accuracy.value < measured.accuracy.high
    card = model_card(classifier.model_id, classifier.contract, measured)
    assert f"{100 * measured.accuracy.value:.1f}\u202f%" in card
    assert f"{measured.accuracy.faces:,} faces of PrivateTest" in card
    assert card.count('<th scope="row">') == 7
    assert evaluation_of(classifier.file, "another@00000000") is None
    assert "How good it is, is not known here" in model_card("another@00000000", classifier.contract, None)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"model": {"id": "m@00000000"}}'])
def test_a_file_that_is_no_evaluation_tells_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.evaluation.json").write_bytes(content)
    assert evaluation_of(tmp_path / "m.onnx", "m@00000000") is None


def test_the_chart_weighs_faces_by_time_as_the_figures_do() -> None:
    rows = blank(3)
    rates = {17.0: 0.1, 3.0: 0.5, 2.9: 0.2, 1.3: 0.0}  # frames a second, and how happy what they show is
    total = Sums()
    for rate, happy in rates.items():
        shown = Probabilities(0, 0, 0, happy, 0, 0, 1 - happy)
        for _ in range(round(60 * rate)):
            face = Face(1, (0, 0, 90, 90), 0.9, "happy", shown)
            one = Observation(new_id(), "a", new_id(), 0, NOW, None, 0, 640, 360, "m@00000000", 5.0, [face])
            total.count(msgspec.structs.replace(one, span_s=1 / rate))
    rows[1] = row_of(total)
    assert total.happiness == pytest.approx(20, abs=0.1)
    drawn = shares(rows)
    assert drawn[1] == pytest.approx([total.share(emotion) for emotion in EMOTIONS])
    assert np.isnan(drawn[[0, 2]]).all()
