"""When an alert is raised and resolved, by a clock that the test moves."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from mien.config import AlertSettings
from mien.forward.alerts import SOURCES, AlertMonitor, Notice
from mien.observation import EMOTIONS, Face, Observation, Probabilities, new_id

SESSION = new_id()


def seen(source: str, seq: int, *emotions: str | None, ago_s: float = 0.0) -> Observation:
    shares = Probabilities(**(dict.fromkeys(EMOTIONS, 0.1) | {"happy": 0.4}))
    faces = [Face(n, (0, 0, 50, 50), 0.9, emotion, shares) for n, emotion in enumerate(emotions)]  # type: ignore[arg-type]
    now = datetime.now(timezone.utc) - timedelta(seconds=ago_s)
    return Observation(new_id(), source, SESSION, seq, now, 0.0, seq, 640, 360, "m@00000000", 1.0, faces)


def watcher(**alert: Any) -> AlertMonitor:
    return AlertMonitor((AlertSettings(name="it", **alert),), 0.0)


def told(watcher: AlertMonitor, at: float) -> list[tuple[str, str | None, float]]:
    return [(notice.state, notice.source, notice.value) for _, notice in watcher.notices(at)]


def test_a_share_is_raised_once_and_resolved_once() -> None:
    watched = watcher(on="share", emotion="sad", above=0.5, window_s=10, min_faces=4, cooldown_s=30)
    for seq in range(3):
        watched.observation(seq, seen("hall", seq, "sad"))
    assert told(watched, 2) == [], "too few faces"
    watched.observation(3, seen("hall", 3, "sad", "happy", None))
    assert told(watched, 3) == [("raised", "hall", 0.6667)]
    assert told(watched, 4) == []
    watched.observation(5, seen("hall", 4, "happy", "happy", "happy"))
    assert told(watched, 5) == [("resolved", "hall", 0.4444)]
    watched.observation(6, seen("hall", 5, *["sad"] * 20))
    assert told(watched, 6) == [], "it cools down"
    watched.observation(33, seen("hall", 6, *["sad"] * 4))
    assert told(watched, 33.5) == [("raised", "hall", 1.0)]
    assert told(watched, 60) == [("resolved", "hall", 0.0)], "nobody is there any more"


def test_what_is_sent_again_counts_once_and_each_source_for_itself() -> None:
    watched = watcher(on="share", emotion="happy", below=0.5, window_s=60, min_faces=2)
    for _ in range(5):
        watched.observation(1, seen("a", 7, "sad"))
        watched.observation(1, seen("b", 7, "happy", "happy"))
    assert told(watched, 2) == []
    watched.observation(2, seen("a", 8, "sad"))
    assert told(watched, 2) == [("raised", "a", 0.0)]


def test_a_backlog_does_not_count_as_now() -> None:
    watched = watcher(on="share", emotion="sad", above=0.5, window_s=10, min_faces=4, cooldown_s=1)
    for seq in range(40):
        watched.observation(100 + seq / 10, seen("hall", seq, "sad", ago_s=3600 - seq))
    assert told(watched, 104) == []
    watched.observation(104.5, seen("hall", 40, *["sad"] * 4, ago_s=8))
    assert told(watched, 105) == [("raised", "hall", 1.0)]
    assert told(watched, 109) == [("resolved", "hall", 0.0)], "it counts in the second in which it was seen"
    for seq in range(41, 61):  # those of many seconds, the oldest last
        watched.observation(110, seen("hall", seq, "sad", ago_s=seq - 41.0))
    assert told(watched, 110) == [("raised", "hall", 1.0)]


def test_offline_counts_from_the_last_word() -> None:
    watched = watcher(on="offline", after_s=30)
    watched.available(0, "old", online=False)
    assert told(watched, 99) == [], "one that was gone before is nobody's business"
    watched.available(100, "hall", online=True)
    watched.available(110, "hall", online=False)
    watched.available(120, "hall", online=False)
    assert told(watched, 139) == []
    assert told(watched, 140) == [("raised", "hall", 30.0)]
    watched.available(150, "hall", online=True)
    assert told(watched, 150) == [("resolved", "hall", 0.0)]


def test_a_named_source_that_never_comes_is_offline() -> None:
    watched = watcher(on="offline", source="hall", after_s=30)
    watched.available(1, "other", online=True)
    watched.available(2, "other", online=False)
    assert told(watched, 29) == []
    assert told(watched, 50) == [("raised", "hall", 50.0)]


def test_drops_are_told_as_they_grow() -> None:
    watched = watcher(on="drops", window_s=20)
    watched.dropped(0, "hall", 500)
    assert told(watched, 1) == [], "nobody knows how old these are"
    watched.dropped(10, "hall", 512)
    assert told(watched, 10) == [("raised", "hall", 12)]
    watched.dropped(25, "hall", 513)
    assert told(watched, 40) == []
    assert told(watched, 45) == [("resolved", "hall", 1)]


def test_the_store_is_about_no_source() -> None:
    watched = watcher(on="store", after_s=5)
    watched.store(10, works=False)
    watched.store(14, works=False)
    assert told(watched, 14) == []
    assert told(watched, 15) == [("raised", None, 5.0)]
    watched.store(16, works=True)
    assert told(watched, 16) == [("resolved", None, 0.0)]


def test_memory_is_bounded() -> None:
    watched = watcher(on="share", emotion="sad", above=0.5, window_s=5, min_faces=1)
    for n in range(SOURCES + 200):
        watched.observation(n, seen(f"s{n}", 0, "sad"))
        if n % 100 == 0:
            assert told(watched, n)[-1] == ("raised", f"s{n}", 1.0)
    for n in range(1000):
        watched.observation(2000 + n, seen("hall", n, "sad"))
    assert len(watched._seen) == SOURCES
    assert len(watched._raised_at) <= SOURCES
    assert len(watched._seen["hall"]._seconds) <= 6


def test_each_kind_says_what_it_is_about() -> None:
    watched = watcher(on="share", emotion="sad", above=0.25, min_faces=1)
    watched.observation(0, seen("hall", 0, "sad"))
    ((_, notice),) = watched.notices(0)
    assert isinstance(notice, Notice)
    assert notice.text == "it: sad is 100% of the faces of 'hall' in 60 s (above 25%)"


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        ({"on": "share", "above": 0.5}, "needs emotion"),
        ({"on": "share", "emotion": "sad"}, "either above or below"),
        ({"on": "share", "emotion": "sad", "above": 0.5, "below": 0.5}, "either above or below"),
        ({"on": "offline", "above": 0.5}, "alone"),
        ({"on": "store", "source": "hall"}, "about no source"),
        ({"on": "rain"}, "'share', 'offline', 'drops' or 'store'"),
        ({"on": "store", "webhook": "file:///etc/passwd"}, "begins with http"),
        ({"on": "store", "webhook": "https://"}, "begins with http"),
    ],
)
def test_an_alert_that_cannot_be_is_refused(alert: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        watcher(**alert)
