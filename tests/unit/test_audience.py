"""The audience report: reactions of known size are found, cold events are not, and the page says what it rests on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from seeing import recording, shares

from mien.config import checked
from mien.errors import InputError
from mien.reports.audience.events import Event, read_events
from mien.reports.audience.groups import compared, courses
from mien.reports.audience.page import _notes
from mien.reports.audience.reactions import joined, react
from mien.reports.audience.report import AudienceRequest, report_audience
from mien.reports.audience.seats import Seat, Watching, read_seats, watching
from mien.reports.base import bootstrap
from mien.reports.base.recordings import Inputs

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from audience import HAPPY, HEIGHTS, audience, events, smoothed


def test_intervals_hold_known_peaks() -> None:
    """The benchmark measures this at length with whole audiences; here many small ones must not be far off."""
    at = np.arange(12)
    truth = np.array([0.0, 0.1, 0.3])[:, None] * np.exp(-((at - 5) ** 2) / 8)
    held, cold, runs = 0, 0, 40
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        strength = rng.gamma(4, 0.25, (10, 3, 1))
        curves = truth * strength + rng.normal(0, 0.05, (10, 3, 12))
        found = bootstrap.peaks(curves[:, :, None], seed, replicates=1000)
        held += int(((found.all_low <= truth.max(1)) & (truth.max(1) <= found.all_high)).all())
        cold += int(found.all_p[0] < 0.05)
    assert held / runs >= 0.9
    assert cold / runs <= 0.1


def test_a_strong_reaction_is_found_where_it_is() -> None:
    found = react(audience(30, np.random.default_rng(5)), events())
    best = max(found.each, key=lambda one: one.height.value)
    assert best.event.label == f"event {int(np.argmax(HEIGHTS)) + 1}"
    assert best.landed
    assert best.emotion == HAPPY
    assert 2 <= best.latency.value <= 4
    assert best.latency.low <= best.latency.value <= best.latency.high
    assert best.reacted[0] >= 18  # a fifth does not react


def steady(viewers: int, groups: list[str] | None = None, rise: float = 0.3) -> Watching:
    """Everybody's happiness jumps by the same after 20 s, for four seconds."""
    values = np.zeros((viewers, 320, 7), np.float32)
    values[:, :, HAPPY] = 0.2 + 0.01 * np.random.default_rng(0).normal(size=(viewers, 320))
    values[:, 84:100, HAPPY] += rise
    return Watching([f"v{n}" for n in range(viewers)], groups or [""] * viewers, values)


def test_height_latency_and_duration_are_those_of_the_curve() -> None:
    (one,) = react(steady(8), [Event(20, "joke")]).each
    assert one.height.value == pytest.approx(0.3, abs=0.02)
    assert 1 <= one.latency.value <= 5
    assert one.duration.value == pytest.approx(4, abs=0.3)
    assert one.reacted[0] == 8


def test_height_and_latency_are_of_the_same_moment() -> None:
    shares = np.full((5, 160, 7), 0.1, np.float32) + np.arange(5, dtype=np.float32)[:, None, None] / 100
    shares[:, 100:108, HAPPY] += 0.1 + np.arange(5, dtype=np.float32)[:, None] / 50
    shares[:4, 88:92, HAPPY] += 0.4  # higher, but one of the five is away
    shares[4, 86:94] = np.nan
    (reaction,) = react(Watching([*"abcde"], [""] * 5, shares), [Event(20, "it")]).each
    assert reaction.height.value == pytest.approx(0.14, abs=1e-3)
    assert reaction.latency.value == 5.0
    assert np.nanmean(react(Watching([*"abcde"], [""] * 5, shares), [Event(20, "it")]).heights[:, 0, HAPPY]) == (
        pytest.approx(reaction.height.value)
    )


def test_few_viewers_have_no_intervals() -> None:
    (one,) = react(steady(3), [Event(20, "joke")]).each
    assert one.height.value == pytest.approx(0.3, abs=0.02)
    assert np.isnan([one.height.low, one.p, one.latency.low]).all()
    assert not one.landed
    assert react(steady(2), [Event(20, "joke")], anonymous=3).unseen


def test_events_that_nobody_saw_are_named() -> None:
    watched = steady(6)
    watched.shares[:, 70:90] = np.nan
    assert [one.label for one in react(watched, [Event(20, "joke"), Event(30, "later")]).unseen] == ["joke"]


def test_groups_differ_by_what_they_differ() -> None:
    watched = steady(16, ["a"] * 8 + ["b"] * 8)
    watched.shares[8:, :, HAPPY] += 0.1 + 0.02 * np.random.default_rng(1).normal(size=(8, 1)).astype(np.float32)
    found = compared(watched, react(watched, [Event(20, "joke")]))
    assert [one.what for one in found] == ["all of it, mean", "joke"]
    assert found[0].low < found[0].value < found[0].high < 0
    assert found[0].value == pytest.approx(-0.1, abs=0.03)
    assert found[0].g < -2
    assert found[1].low < 0 < found[1].high
    assert [course.group for course in courses(watched)] == ["", "a", "b"]


def test_a_seat_is_a_unit_and_an_offset_moves_it() -> None:
    def faces(at: float) -> list:
        left = shares(happy=0.8 if 30 <= at < 34 else 0.1)
        return [(1, (100, 100, 80, 80), left), (2, (500, 100, 80, 80), shares(happy=0.3))]

    made = recording(np.arange(0, 60, 0.2), faces, name="hall")
    seats = [Seat("hall", "", 10, "left", (0, 0, 0.5, 1)), Seat("hall", "", 10, "right", (0.5, 0, 0.5, 1))]
    notes: list[str] = []
    watched = watching([made], [*seats, Seat("other")], notes)
    assert watched.names == ["hall/left", "hall/right"]
    assert watched.shares[0, 88, HAPPY] == pytest.approx(0.8)  # 22 s of the treatment is 32 s of the recording
    assert watched.shares[1, 88, HAPPY] == pytest.approx(0.3)
    assert "no recording" in notes[0]


def test_events_are_read_and_what_is_wrong_is_noted(tmp_path: Path) -> None:
    notes: list[str] = []
    (tmp_path / "a.csv").write_text("Time;Label;Duration\n1:30;joke;2\n20;opening;\nsoon;bad;\n")
    assert read_events(tmp_path / "a.csv", notes) == [Event(20, "opening"), Event(90, "joke", 2)]
    assert "line 4" in notes[0]
    assert "sorted" in notes[1]
    (tmp_path / "a.srt").write_text("1\n00:00:03,000 --> 00:00:05,500\nThe dog\n")
    assert read_events(tmp_path / "a.srt", notes) == [Event(3, "The dog", 2.5)]
    for content in ("a,b\n1,2\n", "time,label\n", "time,label\nnever,x\n"):
        (tmp_path / "bad.csv").write_text(content)
        with pytest.raises(InputError, match=r"bad\.csv"):
            read_events(tmp_path / "bad.csv", [])
    (tmp_path / "seats.csv").write_text("recording,seat\nhall,left\n")
    with pytest.raises(InputError, match="line 2"):
        read_seats(tmp_path / "seats.csv")


def test_the_page_and_its_tables(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tables = []
    for viewer in range(6):
        base = rng.uniform(0.1, 0.3)

        def faces(at: float, base: float = base) -> list:
            happy = base + (0.4 if 21 <= at < 25 else 0) + rng.normal(0, 0.02)
            return [(1, (100, 100, 80, 80), shares(happy=float(np.clip(happy, 0, 1))))]

        made = recording(np.arange(0, 50, 0.25), faces).faces
        named = {"offset_s": pl.col("at"), "source": pl.lit(f"seat-{viewer}"), "file": pl.lit(f"seat-{viewer}.mp4")}
        tables.append(made.with_columns(**named))
    pl.concat(tables).write_parquet(tmp_path / "watched.parquet")
    (tmp_path / "events.csv").write_text("time,label\n20,The <punchline>\n35,nothing\n900,late\n")
    settings = checked({"home": tmp_path / "home"}, "the test")
    request = AudienceRequest(Inputs((str(tmp_path / "watched.parquet"),)), tmp_path / "events.csv")
    made = report_audience(request, settings)
    assert "landed best" in made.lead
    assert "The &lt;punchline&gt;" in made.html()
    assert any("beyond the end" in note for note in made.notes)
    made.write(tmp_path / "audience.html")
    told = pl.read_parquet(tmp_path / "audience.reactions.parquet")
    each = pl.read_parquet(tmp_path / "audience.viewers.parquet").filter(pl.col("at") == 20)
    assert told["height"][0] == pytest.approx(each["happy"].mean())
    for one in made.data:
        assert list(one.columns) == one.table.columns
    hidden = report_audience(AudienceRequest(request.inputs, request.events, anonymous=3), settings)
    assert "viewers" not in [one.name for one in hidden.data]
    seats = tmp_path / "seats.csv"
    seats.write_text("recording,group\nseat-1,evening\nanna,evening\n")
    for anonymous, named in ((None, True), (3, False)):
        asked = AudienceRequest(request.inputs, request.events, seats, anonymous=anonymous)
        shown = report_audience(asked, settings)
        assert ("anna" in shown.html(), "seat-2" in shown.html(), "of" in shown.asked) == (named,) * 3


def still(viewers: int, seconds: float, seed: int, spread: float = 0.15) -> Watching:
    """Viewers whom nothing moves: slow noise around their level, and no more."""
    rng = np.random.default_rng(seed)
    keep = np.exp(-0.25 / 1.5)
    noise = rng.normal(0, spread, (viewers, round(4 * seconds)))
    for point in range(1, noise.shape[1]):
        noise[:, point] = keep * noise[:, point - 1] + np.sqrt(1 - keep**2) * noise[:, point]
    values = np.full((*noise.shape, 7), 0.01, np.float32)
    values[:, :, HAPPY] = 0.4 + smoothed(noise)
    return Watching([f"v{n}" for n in range(viewers)], [""] * viewers, values)


def test_who_reacted_cannot_be_told_without_quiet_stretches() -> None:
    close = [Event(20 + 15.0 * n, f"event {n}") for n in range(8)]
    assert [reaction.reacted for reaction in react(still(12, 150, 1), close).each] == [None] * 8


def test_where_nothing_happens_few_are_said_to_react() -> None:
    hits = viewers = 0
    for seed in range(3):
        events = [Event(30 + 45.0 * n, f"event {n}", 2.0) for n in range(6)]
        for reaction in react(still(16, 310, seed), events).each:
            assert reaction.reacted is not None
            if reaction.emotion == HAPPY:
                hits, viewers = hits + reaction.reacted.hits, viewers + reaction.reacted.viewers
    assert viewers >= 150
    assert hits / viewers <= 0.09  # 5 % of the truth, by chance up to 9 % of so few


def moved(at: float, rise: float = 0.4) -> Watching:
    """Twelve viewers who smile from a second after a moment on, for four seconds."""
    watched = still(12, 120, 4, 0.03)
    first = round(4 * (at + 1))
    watched.shares[:, first : first + 16, HAPPY] += rise
    return watched


@pytest.mark.parametrize("gap", [6.0, 8.0, 9.5])
def test_a_reaction_belongs_to_the_event_that_it_follows(gap: float) -> None:
    first, second = react(moved(40 + gap), [Event(40, "first"), Event(40 + gap, "second")]).each
    assert (first.landed, second.landed) == (False, True)
    assert (first.cut, first.window) == (True, gap)
    first, second = react(moved(40), [Event(40, "first"), Event(40 + gap, "second")]).each
    assert (first.landed, second.landed) == (True, False)
    assert not second.cut


def test_events_faster_than_a_reaction_are_judged_as_one() -> None:
    close = [Event(40, "set-up"), Event(43, "punchline", 2), Event(47, "laughter"), Event(80, "other")]
    assert joined(close) == [Event(40, "set-up + 1 more + laughter", 7.0), Event(80, "other")]
    assert joined(close[:2]) == [Event(40, "set-up + punchline", 5.0)]
    assert joined([Event(2.0 * n, f"cue {n}", 1.5) for n in range(30)])[0].duration <= 12, "not the whole of the film"
    assert joined([]) == []


def test_no_event_is_no_reaction() -> None:
    assert react(still(6, 60, 1), []).each == []


def test_lists_name_all_or_say_how_many_more() -> None:
    from mien.words import counted, listed

    notes: list[str] = []
    made = [recording(np.arange(0, 2, 0.25), lambda _: [])]
    watching(made, [Seat(f"stranger-{n}") for n in range(7)], notes)
    assert "stranger-4 and 2 more" in notes[0]
    assert (counted(1, "frame", "frames"), counted(1204, "frame", "frames")) == ("1 frame", "1,204 frames")
    assert (listed([]), listed(["a", "b"]), listed(["a", "b"], most=1)) == ("", "a, b", "a and 1 more")


@pytest.mark.parametrize(("anonymous", "few"), [(3, "Fewer than 3 viewers, as --anonymous"), (None, "Too few")])
def test_why_nothing_is_said_of_an_event_is_told_truly(anonymous: int | None, few: str) -> None:
    hidden = react(steady(2), [Event(20, "joke")], anonymous=3)
    assert hidden.unseen
    note = _notes(hidden, 2, anonymous)[0]
    assert note.startswith(few)
    assert "“joke” at 0:20" in note
