"""The queue on disk: taken = confirmed + dropped + rows, whatever happens."""

from __future__ import annotations

import random
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from mien.config import load
from mien.edge.outbox import UNCOMMITTED, Counts, Outbox, open_outbox, waiting_sources
from mien.errors import StoreError, UsageError
from mien.observation import EMOTIONS, Face, Observation, Probabilities, decode, new_id, now

SESSION = new_id()


def observation(seq: int, session: str = SESSION, age_s: float = 0) -> Observation:
    shares = Probabilities(**dict.fromkeys(EMOTIONS, 1 / 7))
    face = Face(0, (0, 0, 9, 9), 1, None, shares)
    return Observation(
        new_id(), "cam", session, seq, now() - timedelta(seconds=age_s), 0.0, seq, 64, 48, "m@00000000", 1.0, [face]
    )


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path, "cam", max_rows=100)
    yield outbox
    outbox.close()


def fill(outbox: Outbox, count: int, first: int = 0) -> None:
    for seq in range(first, first + count):
        outbox.append(observation(seq))
    assert outbox.flush()


def seqs(outbox: Outbox) -> list[int]:
    return [row.seq for row in outbox.released(0, 10_000)]


def test_gives_back_in_order_what_was_appended(outbox: Outbox) -> None:
    given = [observation(seq) for seq in range(20)]
    for one in given:
        outbox.append(one)
    outbox.set_window(50)
    assert outbox.flush()
    rows = outbox.released(0, 100)
    assert [decode(row.payload) for row in rows] == given
    assert outbox.released(rows[4].n, 3) == rows[5:8]
    assert rows[0].time == pytest.approx(time.time(), abs=5)


def test_releases_nothing_without_a_connection(outbox: Outbox) -> None:
    fill(outbox, 10)
    assert seqs(outbox) == []


def test_releases_no_more_than_the_window(outbox: Outbox) -> None:
    fill(outbox, 30)
    outbox.set_window(10)
    outbox.flush()
    assert seqs(outbox) == list(range(10))
    outbox.confirm(SESSION, [(0, 3)])
    outbox.flush()
    assert seqs(outbox) == list(range(4, 14))


def test_confirmed_rows_go_and_others_stay(outbox: Outbox) -> None:
    fill(outbox, 20)
    outbox.set_window(50)
    outbox.flush()
    outbox.confirm(SESSION, [(0, 4), (10, 10)])
    outbox.confirm(SESSION, [(0, 4)])
    outbox.confirm(new_id(), [(0, 2**53 - 1)])
    outbox.flush()
    assert seqs(outbox) == [*range(5, 10), *range(11, 20)]
    assert outbox.counts == Counts(taken=20, confirmed=6, dropped=0, depth=14)


def test_what_was_never_sent_cannot_be_confirmed(outbox: Outbox) -> None:
    fill(outbox, 20)
    outbox.confirm(SESSION, [(0, 19)])
    outbox.flush()
    assert outbox.counts == Counts(20, 0, 0, 20)


def test_a_full_outbox_drops_the_oldest_and_counts(outbox: Outbox) -> None:
    fill(outbox, 250)
    assert outbox.counts == Counts(250, 0, 150, 100)
    outbox.set_window(50)
    outbox.flush()
    assert seqs(outbox) == list(range(150, 200))


def test_what_may_have_been_sent_is_never_dropped(outbox: Outbox) -> None:
    fill(outbox, 80)
    outbox.set_window(30)
    outbox.flush()
    fill(outbox, 200, first=80)
    assert seqs(outbox) == list(range(30))
    assert outbox.counts == Counts(280, 0, 180, 100)
    outbox.confirm(SESSION, [(0, 29)])
    outbox.flush()
    assert seqs(outbox) == list(range(210, 240)), "after the hole that dropping left"
    assert outbox.counts == Counts(280, 30, 180, 70)


def test_what_is_too_old_and_was_never_sent_is_dropped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(tmp_path, "cam", max_age_s=3600)
    for seq in range(30):
        outbox.append(observation(seq, age_s=7200 if seq < 20 else 60))
        if seq % 5 == 4:
            assert outbox.flush()
    assert outbox.counts == Counts(taken=30, confirmed=0, dropped=20, depth=10)
    outbox.set_window(50)
    assert outbox.flush()
    assert seqs(outbox) == list(range(20, 30))
    assert caplog.text.count("drops, and counts, what waited longer than 0.0416667 days") == 1
    outbox.close()


def test_what_grew_old_in_a_closed_outbox_goes_when_it_is_opened_but_nothing_that_was_sent(tmp_path: Path) -> None:
    first = Outbox(tmp_path, "cam")
    for seq in range(30):
        first.append(observation(seq, age_s=7200))
    assert first.flush()
    first.set_window(10)
    assert first.flush()
    first.close()
    second = Outbox(tmp_path, "cam", max_age_s=3600)
    assert second.flush()
    assert second.counts == Counts(taken=30, confirmed=0, dropped=20, depth=10)
    assert seqs(second) == list(range(10)), "a store may have these"
    second.close()


def test_an_idle_outbox_looks_for_what_grew_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.edge.outbox.AGES_EVERY_S", 0.2)
    outbox = Outbox(tmp_path, "cam", max_age_s=3)
    fill(outbox, 5)
    end = time.monotonic() + 60
    while outbox.counts.depth and time.monotonic() < end:
        time.sleep(0.05)
    assert outbox.counts == Counts(5, 0, 5, 0)
    outbox.close()


def test_is_bounded_as_the_settings_say(tmp_path: Path) -> None:
    outbox = open_outbox(load({"home": tmp_path, "outbox": {"max_age_days": 0.5}}), "cam")
    outbox.append(observation(0, age_s=0.6 * 86400))
    outbox.append(observation(1, age_s=0.4 * 86400))
    assert outbox.flush()
    assert outbox.counts == Counts(2, 0, 1, 1)
    outbox.close()


def test_a_restart_keeps_rows_counts_and_what_was_released(tmp_path: Path) -> None:
    first = Outbox(tmp_path, "cam", max_rows=100)
    fill(first, 120)
    first.set_window(10)
    first.flush()
    first.confirm(SESSION, [(20, 24)])
    first.close()
    second = Outbox(tmp_path, "cam", max_rows=100)
    assert second.counts == Counts(120, 5, 20, 95)
    assert seqs(second) == list(range(25, 35)), "as released before"
    assert second.inherited == 120
    fill(second, 5, first=120)
    assert second.counts == Counts(125, 5, 20, 100)
    second.close()


def test_an_emptied_queue_never_counts_from_the_start_again(outbox: Outbox) -> None:
    outbox.set_window(50)
    fill(outbox, 3)
    last = outbox.released(0, 10)[-1].n
    outbox.confirm(SESSION, [(0, 2)])
    outbox.flush()
    fill(outbox, 1, first=3)
    assert outbox.released(last, 10)[0].seq == 3


def test_says_when_it_has_committed(outbox: Outbox) -> None:
    called: list[int] = []
    outbox.changed = lambda: called.append(outbox.counts.taken)
    fill(outbox, 3)
    end = time.monotonic() + 60
    while called[-1:] != [3]:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_one_process_at_a_time(outbox: Outbox, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'cam' is being watched already"):
        Outbox(tmp_path, "cam")
    Outbox(tmp_path, "another").close()


def test_the_files_are_their_owners_alone(outbox: Outbox, tmp_path: Path) -> None:
    fill(outbox, 1)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_names_the_sources_that_still_wait(outbox: Outbox, tmp_path: Path) -> None:
    Outbox(tmp_path, "empty").close()
    (tmp_path / "broken.db").write_bytes(b"no database" * 100)
    fill(outbox, 1)
    assert waiting_sources(tmp_path) == ["broken", "cam"], "of one that is damaged something may be left"


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "cam.db").mkdir()
    with pytest.raises(StoreError, match="outbox"):
        Outbox(tmp_path, "cam")


def left_by_a_kill(folder: Path, count: int = 300) -> None:
    """Leave an outbox as a kill leaves it: 40 were confirmed, 60 more may have been sent, and nothing was closed."""
    script = textwrap.dedent(f"""
        import os, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_outbox import SESSION, Outbox, observation
        outbox = Outbox(Path({str(folder)!r}), "cam")
        for seq in range({count}):
            outbox.append(observation(seq))
            if seq == 150:
                outbox.flush()
        outbox.set_window(100)
        outbox.flush()
        outbox.confirm(SESSION, [(0, 39)])
        outbox.set_window(60)
        outbox.flush()
        os._exit(9)
    """)
    subprocess.run([sys.executable, "-c", script], check=False)


def whole(folder: Path) -> None:
    """Have all in the file itself, as when the log was worked off."""
    with closing(sqlite3.connect(folder / "cam.db")) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def nonsense(folder: Path) -> None:
    whole(folder)
    (folder / "cam.db").write_bytes(b"no database" * 1000)


def cut_short(folder: Path) -> None:
    whole(folder)
    path = folder / "cam.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(folder: Path) -> None:
    whole(folder)
    content = bytearray((folder / "cam.db").read_bytes())
    chance = random.Random(3)
    for page in range(2, len(content) // 4096, 5):
        content[page * 4096 : page * 4096 + 20] = chance.randbytes(20)
    (folder / "cam.db").write_bytes(content)


def without_log(folder: Path) -> None:
    (folder / "cam.db-wal").unlink()


def emptied(folder: Path) -> None:
    (folder / "cam.db").write_bytes(b"")
    (folder / "cam.db-wal").unlink()


@pytest.mark.parametrize("damage", [nonsense, cut_short, flipped, without_log, emptied])
def test_a_damaged_outbox_is_set_aside_and_nothing_goes_uncounted(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    left_by_a_kill(tmp_path)
    damage(tmp_path)
    outbox = Outbox(tmp_path, "cam")
    taken, confirmed, dropped, depth = outbox.counts
    outbox.set_window(10_000)
    assert outbox.flush()
    rows = outbox.released(0, 10_000)
    assert len(rows) == depth == outbox.counts.depth
    assert [decode(row.payload).seq for row in rows] == [row.seq for row in rows]
    assert taken == 300 == confirmed + dropped + depth
    stored = {*range(40), *(row.seq for row in rows)}
    assert 300 - len(stored) <= dropped, "what is not there is counted"
    assert "counted as dropped" in caplog.text
    aside = [path.name for path in tmp_path.glob("cam.db.damaged-*")]
    assert bool(aside) == (damage not in (without_log, emptied))
    fill(outbox, 10, first=300)
    outbox.close()
    again = Outbox(tmp_path, "cam")
    assert again.counts == Counts(310, confirmed, dropped, depth + 10), "it is counted once"
    again.close()


def test_damage_that_shows_while_it_runs_ends_nothing(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(outbox, 20)
    whole, failing = outbox._drop_aged, [True]

    def damaged(released: int) -> int:
        if failing.pop() if failing else False:
            raise sqlite3.DatabaseError("database disk image is malformed")
        return whole(released)

    monkeypatch.setattr(outbox, "_drop_aged", damaged)
    fill(outbox, 10, first=20)
    assert outbox.counts == Counts(30, 0, 0, 30)
    assert "is begun anew: 20 observations were taken over, 0 could not be read" in caplog.text
    outbox.set_window(100)
    assert outbox.flush()
    assert seqs(outbox) == list(range(30))


def test_damage_that_shows_as_rows_are_read_or_miss_is_taken_over_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither may be met again and again while nothing is delivered."""
    outbox = Outbox(tmp_path, "cam")
    fill(outbox, 300)
    outbox.set_window(200)
    assert outbox.flush()
    with closing(sqlite3.connect(outbox.path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = [page for (page,) in raw.execute("SELECT pageno FROM dbstat WHERE name = 'rows' AND pagetype = 'leaf'")]
    with outbox.path.open("r+b") as file:
        file.seek((pages[0] - 1) * 4096)
        file.write(bytes(range(100)))
    outbox._reader.execute("PRAGMA schema_version")
    assert outbox.released(0, 1000) == []
    assert outbox.flush()
    taken, confirmed, dropped, depth = outbox.counts
    assert (taken, confirmed) == (300, 0)
    assert 0 < dropped == 300 - depth
    assert "is begun anew" in caplog.text
    outbox.set_window(400)
    assert outbox.flush()
    assert len(outbox.released(0, 1000)) == depth
    outbox._writer.execute("UPDATE rows SET session = CAST(x'ff2222' AS TEXT) WHERE n = (SELECT max(n) FROM rows)")
    assert outbox.released(0, 1000) == []
    assert outbox.flush()
    assert outbox.counts == Counts(300, 0, dropped + 1, depth - 1)
    monkeypatch.setattr(outbox, "_released", 0)
    outbox._writer.execute("DELETE FROM rows")
    monkeypatch.setattr(outbox, "_out", 0)
    outbox.set_window(500)
    assert outbox.flush()
    assert outbox.counts == Counts(300, 0, 300, 0)
    outbox.close()


def test_what_cannot_be_written_at_the_end_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(tmp_path, "cam")
    fill(outbox, 20)
    outbox._writer.execute(f"PRAGMA max_page_count = {outbox._writer.execute('PRAGMA page_count').fetchone()[0]}")
    for seq in range(20, 269):
        outbox.append(observation(seq))
    outbox.close()
    assert "249 observations could not be written" in caplog.text
    assert outbox.counts == Counts(269, 0, 249, 20)
    again = Outbox(tmp_path, "cam")
    assert again.counts == Counts(269, 0, 249, 20)
    fill(again, 1, first=269)
    assert again.counts == Counts(270, 0, 249, 21)
    again.close()


def test_a_row_that_is_damaged_is_counted_and_holds_nobody_up(outbox: Outbox) -> None:
    fill(outbox, 5)
    outbox.set_window(10)
    assert outbox.flush()
    outbox.discard(outbox.released(0, 10)[2].n)
    assert outbox.flush()
    assert outbox.counts == Counts(5, 0, 1, 4)
    assert seqs(outbox) == [0, 1, 3, 4]


def test_a_full_disk_delays_and_loses_nothing(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    fill(outbox, 1)
    pages = outbox._writer.execute("PRAGMA page_count").fetchone()[0]
    outbox._writer.execute(f"PRAGMA max_page_count = {pages}")
    for seq in range(1, 60):
        outbox.append(observation(seq))
    assert not outbox.flush(0.5)
    assert outbox.counts == Counts(1, 0, 0, 1)
    outbox._writer.execute("PRAGMA max_page_count = 100000")
    assert outbox.flush(5)
    assert outbox.counts == Counts(60, 0, 0, 60)
    assert sum("disk is full" in record.message for record in caplog.records) == 1


def test_a_disk_that_stays_full_costs_the_oldest_and_stops_nobody(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, "cam")
    fill(outbox, 20)
    outbox.set_window(10)
    assert outbox.flush()
    pages = outbox._writer.execute("PRAGMA page_count").fetchone()[0]
    outbox._writer.execute(f"PRAGMA max_page_count = {pages}")
    for seq in range(20, 20 + 2 * UNCOMMITTED + 500):
        outbox.append(observation(seq))
    outbox.confirm(SESSION, [(0, 4)])
    until = time.monotonic() + 60
    while outbox.counts.confirmed != 5:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert len(outbox.released(0, 20)) == 10, "what was there goes on being sent"
    outbox._writer.execute("PRAGMA max_page_count = 100000")
    assert outbox.flush(60)
    taken, confirmed, dropped, depth = outbox.counts
    assert taken == 20 + 2 * UNCOMMITTED + 500 == confirmed + dropped + depth
    assert dropped >= UNCOMMITTED
    left = [row[0] for row in outbox._reader.execute("SELECT seq FROM rows ORDER BY n")]
    assert left == [*range(5, 20), *range(taken - depth + 15, taken)], "the oldest of those in memory went"
    outbox.close()


def test_kill_9_at_any_moment_keeps_the_sum(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import sys, random
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from test_outbox import Outbox, observation, new_id
        session, chance = new_id(), random.Random()
        outbox = Outbox(Path({str(tmp_path)!r}), "cam", max_rows=300)
        outbox.set_window(100)
        for seq in range(10**6):
            outbox.append(observation(seq, session))
            if seq % 7 == 0:
                outbox.confirm(session, [(seq - chance.randint(0, 20), seq - chance.randint(0, 5))])
            if seq % 50 == 0:
                print(outbox.counts.taken, flush=True)
    """)
    told = 0
    for after in (0.0, 0.07, 0.2):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        while int(process.stdout.readline()) < told + 200:
            pass
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split("\n")
        told = max([told, *(int(line) for line in rest[:-1] if line)])
        with sqlite3.connect(tmp_path / "cam.db") as reader:
            taken, gone, rows = reader.execute(
                "SELECT taken, confirmed + dropped, (SELECT count(*) FROM rows) FROM counts"
            ).fetchone()
        reader.close()
        assert taken == gone + rows
        assert taken >= told, "what was told to be taken is on disk"
