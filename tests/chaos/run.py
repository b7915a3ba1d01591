"""Chaos: seeded schedules of disturbances over real processes, and the books balanced at the end of each.

    python tests/chaos/run.py [--schedules 20] [--seed 1] [--together 3] [--longest 10] [--sink]

Several schedules run at a time, each with a broker, a database and disks of its own. One that fails prints its seed,
what befell whom, and what is wrong; `--schedules 1 --seed N` plays it again. The last line holds the figures.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration"), str(HERE.parent)]

from schedule import Event, Schedule, from_seed  # noqa: E402 - after the path is set

from stepped_clock import step  # noqa: E402

STEPS = {"step ahead": 90.0, "step back": -60.0}
"""How many days a clock is set ahead."""

SETTLE_S = 180.0
"""So long after the last disturbance all must have arrived."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=1, help="The first schedule's; the others follow.")
    parser.add_argument("--together", type=int, default=3, help="So many at a time.")
    parser.add_argument("--longest", type=float, default=10.0, help="Seconds of disturbances at most.")
    parser.add_argument("--sink", action="store_true", help="deploy/sink.py in the forwarder's place.")
    chosen = parser.parse_args()
    began = time.monotonic()
    seeds = range(chosen.seed, chosen.seed + chosen.schedules)
    totals = {"taken": 0, "stored": 0, "dropped": 0, "events": 0}
    failed = []
    with ThreadPoolExecutor(chosen.together) as pool:
        for seed, done in zip(
            seeds, pool.map(lambda seed: _played(from_seed(seed, chosen.longest, chosen.sink)), seeds), strict=True
        ):
            for name in totals:
                totals[name] += done.get(name, 0)
            if done["wrong"]:
                failed.append(seed)
                print(f"FAILED {from_seed(seed, chosen.longest, chosen.sink)}", *done["wrong"], sep="\n  ", flush=True)
            else:
                print(f"seed {seed}: {done['told']}", flush=True)
    print(
        f"{chosen.schedules} schedules (seeds {seeds[0]} to {seeds[-1]}), {totals['events']:,} disturbances: "
        f"{totals['taken']:,} observations taken = {totals['stored']:,} stored once + {totals['dropped']:,} counted as "
        f"dropped; {len(failed)} schedules failed{': ' if failed else ''}{', '.join(map(str, failed))}; "
        f"{time.monotonic() - began:.0f} s"
    )
    sys.exit(1 if failed else 0)


def _played(schedule: Schedule) -> dict[str, Any]:
    try:
        return play(schedule)
    except Exception as error:  # noqa: BLE001 - the other schedules go on
        return {"wrong": [f"the schedule was not played: {error!r}", *traceback.format_exc().splitlines()[-12:]]}


def play(schedule: Schedule) -> dict[str, Any]:
    """Run a schedule and return the figures, and what is wrong."""
    from arena import Arena
    from audit import Sum, check, rows_left

    arena = Arena(schedule)
    try:
        arena.start_watch()
        began = time.monotonic()
        todo = [(one.at, n, _begin, one) for n, one in enumerate(schedule.events)]
        todo += [(one.at + one.lasts, n, _undo, one) for n, one in enumerate(schedule.events)]
        while todo:
            todo.sort(key=lambda one: one[:2])
            at, _, act, event = todo[0]
            while time.monotonic() - began < at:
                for role in arena.roles.values():
                    role.look_after()
                time.sleep(0.02)
            todo.pop(0)
            act(arena, event)
        calm = time.monotonic()
        arena.end_watch()
        if schedule.watch == "mien watch":
            arena.start_cameras()
        outboxes = arena.homes["edge"] / "outbox"
        while rows_left(outboxes, arena.sources) or not arena.roles["watch"].finished:
            for role in arena.roles.values():
                role.look_after()
            if time.monotonic() - calm > SETTLE_S:
                break
            time.sleep(0.1)
        settled = time.monotonic() - calm
        if "database" in arena.roles:
            _wait_for_database(arena.store_url)
        try:
            was_full = any((event.kind, event.target) == ("fill", "edge") for event in schedule.events)
            found, wrong = check(outboxes, arena.sources, arena.store_url, was_full=was_full)
        except Exception as error:  # noqa: BLE001 - a database that cannot be read is a finding too
            found, wrong = Sum(0, 0, 0), [f"the books cannot be read: {str(error).splitlines()[0]}"]
        logs = arena.logs()
        wrong += [
            f"{name} holds a traceback"
            for name, text in logs.items()
            if ("Traceback" in text or "is a bug" in text) and not name.endswith("sink.log")  # it may just end
        ]
        if wrong:
            wrong.append(_kept(arena))
        told = (
            f"{schedule.broker}, {schedule.store}, {schedule.watch}: {found.taken} taken, {found.stored} stored, "
            f"{found.dropped} dropped, {len(schedule.events)} disturbances, settled after {settled:.1f} s"
        )
        return {**found._asdict(), "events": len(schedule.events), "wrong": wrong, "told": told}
    except Exception as error:
        raise RuntimeError(f"{error!r}; {_kept(arena)}") from error
    finally:
        arena.close()


def _kept(arena: Any) -> str:
    """Keep what each part has said, and tell where."""
    kept = Path(os.environ.get("CHAOS_LOGS", "/tmp")) / f"mien-chaos-seed-{arena.schedule.seed}.log"  # noqa: S108
    kept.write_text("\n".join(f"==== {name}\n{text}" for name, text in arena.logs().items()))
    return f"the logs are in {kept}"


def _begin(arena: Any, event: Event) -> None:
    kind, target = event.kind, event.target
    if kind in ("kill", "stop", "freeze"):
        if target == "server":
            for pid in arena.servers():
                os.kill(pid, signal.SIGKILL if kind == "kill" else signal.SIGSTOP)
            return
        for role in _roles(arena, target):
            if kind == "freeze":
                role.signal(signal.SIGSTOP)
            elif kind == "stop":
                role.wanted = False
                role.signal(signal.SIGTERM)
            else:
                role.wanted = False
                role.kill()
    elif kind == "fill":
        arena.disks[target].fill()
    elif kind == "lock":
        arena.lock_store()
    elif kind == "replace":
        arena.replace_store()
    elif kind == "send again":
        arena.send_again()
    elif kind in STEPS:
        step(arena.clocks[target], STEPS[kind])
    elif (link := arena.links.get(target)) is not None:
        {"cut": link.cut, "cut in packet": link.cut_in_packet}.get(kind, lambda: link.set(kind))()


def _undo(arena: Any, event: Event) -> None:
    kind, target = event.kind, event.target
    if kind == "freeze":
        for pid in arena.servers() if target == "server" else []:
            os.kill(pid, signal.SIGCONT)
        for role in _roles(arena, target):
            role.signal(signal.SIGCONT)
    elif kind in ("kill", "stop"):
        for role in _roles(arena, target):
            if not role.wanted:
                role.kill()
                role.wanted = True
                role.start()
    elif kind == "fill":
        arena.disks[target].free()
    elif kind == "lock":
        arena.unlock_store()
    elif kind in STEPS:
        step(arena.clocks[target], 0)
    elif (link := arena.links.get(target)) is not None:
        link.set("pass")


def _roles(arena: Any, target: str) -> list[Any]:
    """Return the role; of several forwarders the first."""
    name = "forward-0" if target == "forward" else target
    return [arena.roles[name]] if name in arena.roles else []


def _wait_for_database(url: str) -> None:
    import sqlalchemy as sa

    end = time.monotonic() + 60
    while True:
        engine = sa.create_engine(url)
        try:
            engine.connect().close()
        except sa.exc.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return
        finally:
            engine.dispose()


if __name__ == "__main__":
    main()
