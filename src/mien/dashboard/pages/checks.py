"""How every part of Mien is doing, as far as the dashboard can see: broker, forwarder, store, each source.

What the broker says and what the store has go in; a line per part comes out, with what to do where something is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Literal, NamedTuple

from mien.dashboard.data.listener import MAX_SOURCES, Listener
from mien.dashboard.data.queries import SourceState
from mien.dashboard.pages.wording import amount, counted, moment, size, stretch
from mien.errors import StoreError
from mien.masking import without_password
from mien.stores.base import Arrivals
from mien.system.machine import peak_bytes
from mien.version import __version__
from mien.words import by_number

__all__ = ["BEHIND_S", "Health", "broker", "dashboard", "forwarder", "outboxes", "store"]

BEHIND_S = 10.0
"""So far may the store lie behind the broker before it is worth a word, in seconds."""


class Health(NamedTuple):
    """How a part is doing.

    Attributes:
        name: Which part.
        state: `ok`; `note`: works, but is worth a look; `fail`: doesn't work.
        word: In a word or two.
        text: What else there is to say, or to do.
    """

    name: str
    state: Literal["ok", "note", "fail"]
    word: str
    text: str


def broker(listener: Listener, zone: tzinfo, now: datetime) -> Health:
    """Return whether the broker is there, and whether all who send to it can be followed."""
    since = moment(listener.changed, zone, now)
    if listener.connected and (left_out := listener.left_out()):
        beyond = f"{counted(left_out, 'source', 'sources')} beyond the {MAX_SOURCES} that are followed live"
        return Health("Broker", "note", "Connected", f"since {since}; {beyond}: their figures come from the store")
    if listener.connected:
        return Health("Broker", "ok", "Connected", f"since {since}")
    word = "Away" if listener.met else "Not found"
    return Health(
        "Broker", "fail", word, f"since {since}: {listener.reason}. Start it with `mien up` or `mien broker`."
    )


def forwarder(states: Sequence[SourceState], listener: Listener, failed: StoreError | None) -> Health:
    """Return how far what is stored lies behind what the broker says."""
    if failed:
        return Health("Forwarder", "note", "Not known", "the store cannot be asked")
    if not listener.connected:
        return Health("Forwarder", "note", "Not known", "without a broker nothing comes that could be stored")
    lags = {
        state.source: (state.newest.time - state.stored).total_seconds() if state.stored else None
        for state in states
        if state.online and state.newest and state.newest.time
    }
    if not lags:
        return Health("Forwarder", "ok", "Idle", "no source sends just now")
    never = sorted((name for name, lag in lags.items() if lag is None), key=by_number)
    if never:
        return Health("Forwarder", "fail", "Stores nothing", f"nothing of {', '.join(never)}: does `mien forward` run?")
    source, lag = max(((name, lag) for name, lag in lags.items() if lag is not None), key=lambda named: named[1])
    if lag > BEHIND_S:
        return Health("Forwarder", "fail", f"{stretch(lag)} behind", f"with '{source}': does `mien forward` run?")
    return Health("Forwarder", "ok", "Keeps up", f"{max(lag, 0):.1f} s behind at most")


def store(
    url: str,
    states: Sequence[SourceState],
    total: int | None,
    failed: StoreError | None,
    zone: tzinfo,
    arrivals: Sequence[Arrivals] = (),
) -> Health:
    """Return how large the store is and since when it has data.

    Args:
        url: Where it is; empty: not to be told.
        states: The sources in it.
        total: Its size in bytes, if it told.
        failed: Why it cannot be asked.
        zone: The viewer's.
        arrivals: What came late or was refused, of every source that it knows.
    """
    if failed:
        return Health("Store", "fail", "Cannot be read", str(failed) if url else "its admin can see why")
    frames = sum(state.frames for state in states)
    first = min((state.first for state in states if state.first), default=None)
    facts = [counted(frames, "frame", "frames")]
    if first:
        facts.append(f"since {first.astimezone(zone):%d %b %Y}")
    if late := sum(counts.late for counts in arrivals):
        facts.append(f"{amount(late)} came late")
    if refused := sum(counts.refused for counts in arrivals):
        facts.append(f"{amount(refused)} refused, of times that were erased")
    if url:
        facts.append(without_password(url))
    return Health("Store", "ok", size(total) if total else "Readable", " · ".join(facts))


def outboxes(states: Sequence[SourceState]) -> Health:
    """Return what waits on the disks of the sources, and what was lost from there."""
    queues = {state.source: state.stats.outbox for state in states if state.stats and state.stats.outbox}
    if not states:
        return Health("Outboxes", "ok", "None yet", "no source has come so far")
    if not queues:
        return Health("Outboxes", "note", "Not known", "no source has said how its outbox stands")
    waiting = sum(queue.depth or 0 for queue in queues.values())
    lost = sum(queue.dropped or 0 for queue in queues.values())
    word = f"{amount(waiting)} waiting"
    if lost:
        names = ", ".join(sorted((source for source, queue in queues.items() if queue.dropped), key=by_number))
        return Health("Outboxes", "fail", word, f"{amount(lost)} were dropped from a full outbox of {names}")
    return Health("Outboxes", "ok", word, f"in {counted(len(queues), 'outbox', 'outboxes')}, none dropped")


def dashboard(viewers: int, began: datetime, now: datetime) -> Health:
    """Return how this process itself is doing."""
    peak = peak_bytes()
    memory = f" · {size(peak)} at most" if peak else ""
    pages = counted(viewers, "open page", "open pages")
    runs = stretch((now - began).total_seconds())
    return Health("Dashboard", "ok", f"Mien {__version__}", f"{pages} · runs for {runs}{memory}")
