"""The commands that look after a store: prune, erase, dead-letters, replay, export, copy, vacuum and backup.

`cli` takes them in. Each opens the store of the settings, or the one that `--store` names.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.common import Zone, settings_of, time_of, zone_of
from mien.cli.help_text import Commands
from mien.errors import UsageError
from mien.observation import zone_name
from mien.system.clock import FORWARDERS_CLOCK, SteadyClock
from mien.system.logs import log_as
from mien.words import counted

if TYPE_CHECKING:
    from mien.stores.base import Store

__all__ = ["app"]

app = Commands()

Url = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="The store [default: the one that the settings name]"),
]

DAYS = {"h": 1 / 24, "d": 1, "w": 7}


@app.callback()
def look_after() -> None:
    """Look after what is stored: prune, erase, export, copy, back up."""


@app.command(epilog="Example: mien store prune --older-than 30d")
def prune(
    older_than: Annotated[str, typer.Option(metavar="AGE", help="How old, such as 36h, 30d or 8w.")],
    store: Url = None,
) -> None:
    """Delete old raw rows; their sums per minute, hour and day stay."""
    before = datetime.now(timezone.utc) - _age(older_than)
    with _opened(_url(store)) as opened:
        pruned = opened.prune(before)
    noted = settings_of("store").home / FORWARDERS_CLOCK
    if store is None and noted.exists():  # whoever deletes by the machine's clock takes it for right
        clock = SteadyClock(noted)
        clock.set(datetime.now(timezone.utc))
        clock.note()
    typer.echo(
        f"{counted(pruned, 'raw observation', 'raw observations')} from before {_shown(before)} deleted; their "
        "sums stay"
    )


@app.command(epilog="Example: mien store erase --source lobby --from 2026-11-22T09:00 --to 2026-11-22T10:30")
def erase(
    source: Annotated[str, typer.Option(help="Whose observations.")],
    start: Annotated[
        str, typer.Option("--from", metavar="TIME", help="From when on, such as 2026-11-22T09:00; see --zone.")
    ],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Until when; see --zone.")],
    zone: Zone = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: Url = None,
) -> None:
    """Delete for good what a source saw in a period. Rows, faces and their share of all sums go."""
    where = zone_of(zone)
    first, last = time_of(start, "--from", where), time_of(end, "--to", where)
    if not first < last:
        raise UsageError(f"--to '{end}' is not later than --from '{start}': expected a period")
    if first < (now := datetime.now(timezone.utc)) < last:
        last = now  # what is seen from now on is not meant, and must not be refused
    url = _url(store)
    with _opened(url) as opened:
        known = [info.source for info in opened.sources()]
        if source not in known:
            raise UsageError(
                f"the store has no source '{source}': expected one of {', '.join(known) or 'none, it is empty'}"
            )
        question = f"Erase all of '{source}' from {_shown(first, where)} to {_shown(last, where)}, for good?"
        if not yes and not sys.stdin.isatty():
            raise UsageError(f"{question} There is nobody to ask: add --yes")
        if not yes:
            typer.confirm(question, abort=True)
        gone = opened.erase(source, first, last)
    period = f"from {_shown(first, where)} to {_shown(last, where)}"
    erased_count = counted(gone, "observation", "observations")
    typer.echo(f"{erased_count} of '{source}' {period} erased, with their share of all sums")


@app.command("dead-letters", epilog="Example: mien store dead-letters --limit 20")
def dead_letters(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most to list, the newest first.")] = 100,
    store: Url = None,
) -> None:
    """List the messages that were no valid observations, and why."""
    with _opened(_url(store), read_only=True) as opened:
        letters, dropped = opened.dead_letters(limit), opened.dropped_dead_letters()
    for letter in letters:
        begin = ascii(letter.payload[:60].decode("utf-8", "replace"))[1:-1]
        typer.echo(
            f"{letter.id}  {_shown(letter.time)}  {ascii(letter.topic)[1:-1]}  {ascii(letter.reason)[1:-1]}  {begin}"
        )
    if not letters:
        typer.echo("there are no dead letters")
    if dropped:
        typer.echo(f"{dropped:,} older ones made room for newer ones and are gone")


@app.command(epilog="Example: mien store replay")
def replay(store: Url = None) -> None:
    """Store the dead letters that have become valid. An upgrade can do that."""
    from mien.forward.replay import replay as run

    with _opened(_url(store)) as opened:
        valid, left = run(opened)
    typer.echo(f"{valid:,} dead letters are stored now; {left:,} are still not valid")


@app.command(epilog="Example: mien store export observations.parquet")
def export(
    out: Annotated[Path, typer.Argument(help="A .csv, .jsonl or .parquet (extra analyze).")],
    store: Url = None,
) -> None:
    """Write all raw observations to a file, one row per face."""
    from mien.table import TableWriter

    with (
        _opened(_url(store), read_only=True) as opened,
        TableWriter(out) as table,
        _counted("exporting", opened) as advance,
    ):
        for batch in opened.observations():
            for observation in batch:
                table.add(observation, "")
            advance(len(batch))
    typer.echo(
        f"{counted(table.count, 'observation is', 'observations are')} in {out}"
        if table.count
        else "the store has no raw observations"
    )


@app.command(epilog="Example: mien store copy sqlite:///mien.db postgresql://mien@db.example.org/mien")
def copy(
    origin: Annotated[str, typer.Argument(metavar="FROM", help="The store's URL.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The URL of the one that gets what it lacks.")],
) -> None:
    """Bring what one store has into another. Begun again, it goes on where it was."""
    from mien.stores.base import open_store
    from mien.stores.maintenance import copy as run

    log_as("store")
    with (
        _opened(origin, read_only=True) as source,
        closing(open_store(target)) as opened,
        _counted("copying", source) as advance,
    ):
        copied = run(source, opened, advance)
    typer.echo(
        f"{counted(copied.observations, 'observation', 'observations')} copied, {copied.known:,} were there "
        f"already or are refused there; "
        f"sums of {copied.minutes:,} pruned minutes and {copied.letters:,} dead letters copied"
    )


@app.command(epilog="Example: mien store vacuum")
def vacuum(store: Url = None) -> None:
    """Give the room of deleted rows back to the disk. SQLite needs as much again meanwhile."""
    url = _url(store)
    with _opened(url) as opened:
        opened.vacuum()
    typer.echo("the room of deleted rows is free again")


@app.command(epilog="Example: mien store backup mien-2026-11-22.db")
def backup(
    file: Annotated[Path, typer.Argument(help="The new file.")],
    store: Url = None,
) -> None:
    """Write a SQLite store, as it is now, to a file. Others go on reading and writing it."""
    from mien.stores.maintenance import backup as run

    url = _url(store)
    with _opened(url, read_only=True):
        size = run(url, file)
    typer.echo(f"{file} holds the store, {size / 1e6:,.1f} MB, checked")


@app.command(epilog="Example: mien store restore mien-2026-11-22.db")
def restore(
    file: Annotated[Path, typer.Argument(help="What `mien store backup` wrote.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: Url = None,
) -> None:
    """Put a backup in a SQLite store's place. It happens in one step; what came since the backup is gone."""
    from mien.stores.base import open_store
    from mien.stores.maintenance import restore as run

    url = _url(store)
    question = f"Replace all that is in the store by what '{file}' holds?"
    if not yes and not sys.stdin.isatty():
        raise UsageError(f"{question} There is nobody to ask: add --yes")
    if not yes:
        typer.confirm(question, abort=True)
    size = run(url, file)
    with closing(open_store(url)) as opened:  # one of an earlier version is upgraded
        frames = sum(source.frames for source in opened.sources())
    typer.echo(
        f"the store is what '{file}' held, {size / 1e6:,.1f} MB with {counted(frames, 'observation', 'observations')}"
    )


def _url(named: str | None) -> str:
    """Set up the log and return the store's URL."""
    return settings_of("store", {"store": {"url": named}}).store_url


@contextmanager
def _opened(url: str, *, read_only: bool = False) -> Iterator[Store]:
    """Open a store that is there; none is made."""
    from mien.stores.base import open_store

    with closing(open_store(url, read_only=True)) as reader:
        if read_only:
            yield reader
            return
    with closing(open_store(url)) as writer:
        yield writer


@contextmanager
def _counted(what: str, store: Store) -> Iterator[Callable[[int], None]]:
    """Show how far a walk through all observations has come."""
    from mien.cli.terminal import progress

    with progress() as bar:
        task = bar.add_task(what, total=sum(source.frames for source in store.sources()))
        yield lambda count: bar.advance(task, count)


def _age(text: str) -> timedelta:
    if not (match := re.fullmatch(r"(\d{1,4})([hdw])", text)):
        raise UsageError(
            f"--older-than '{text}' is no age: expected a number of hours, days or weeks, such as 36h, 30d or 8w"
        )
    return timedelta(days=int(match[1]) * DAYS[match[2]])


def _shown(time: datetime, zone: tzinfo | None = None) -> str:
    """Return a time as that zone, or this machine's, has it."""
    return f"{time.astimezone(zone).isoformat(sep=' ', timespec='seconds')} ({zone_name(zone, time)})"
