"""The demo clip on its way into the store, in a process of its own: all of `mien up demo` but the dashboard.

A line of JSON with the settings goes in; lines of JSON come out: that the first frame was analysed, and why it cannot
go on. A broker and a forwarder that run already are used. The process ends when its standard input does, for nobody
waits for it any more then: nothing is ever orphaned.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from mien.config import Settings, checked
from mien.edge.watch import run_watch
from mien.errors import MienError
from mien.forward.forwarder import run_forwarder
from mien.mqtt.broker import run_broker
from mien.system.locks import lock
from mien.system.orders import end_when_left, send, take_over
from mien.system.processes import limit_memory

__all__ = ["DemoStatus", "play"]

log = logging.getLogger(__name__)

END_S = 15.0
"""So long its parts may take to end, together."""


class DemoStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the process says.

    Attributes:
        playing: The first frame was analysed.
        failed: Why it cannot go on.
    """

    playing: bool = False
    failed: str = ""


def main() -> None:
    """Play with the settings that standard input holds, in so many MiB of memory as the argument says.

    What libraries print goes to standard error.
    """
    limit_memory(int(sys.argv[1]))
    given, out = take_over()
    if not (line := given.readline()):
        return
    stop = threading.Event()
    end_when_left(given, stop, END_S)
    try:
        values: dict[str, Any] = msgspec.json.decode(line)
        play(checked(values, "the dashboard"), stop, lambda: _send(out, DemoStatus(playing=True)))
    except MienError as error:
        _send(out, DemoStatus(failed=str(error)))
    except Exception as error:  # whoever waits must hear that it ended
        log.exception("the demo failed")
        _send(out, DemoStatus(failed=f"the demo failed unforeseen: {error!r}"))


def play(settings: Settings, stop: threading.Event, playing: Callable[[], None]) -> None:
    """Play the demo clip in a loop until `stop` is set.

    Args:
        settings: Where broker and store are, and how faces are read.
        stop: Ends it; it is set too when a part fails.
        playing: Called once the first frame was analysed.

    Raises:
        MienError: Broker, store or model cannot be used, or something watches the demo already.
    """
    home = settings.ensure_home()
    first = threading.Event()

    def seen(*_: object) -> None:
        if not first.is_set():
            first.set()
            playing()

    with ExitStack() as parts:
        if settings.broker.host is None and not _held(home / "broker" / "lock"):
            ready = threading.Event()
            parts.enter_context(_beside(lambda own: run_broker(settings, own, lambda _: ready.set()), stop))
            while not ready.wait(0.05) and not stop.is_set():
                pass
        if not _held(home / "forward.lock"):
            parts.enter_context(_beside(lambda own: run_forwarder(settings, own), stop))
        if not stop.is_set():
            run_watch(settings, ["demo"], stop, frame_callback=seen)


@contextmanager
def _beside(run: Callable[[threading.Event], object], stop: threading.Event) -> Iterator[None]:
    """Run a part in a thread as long as the block runs; when it fails `stop` is set, and its error raised."""
    own = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            run(own)
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that waits for it
            failed.append(error)
        stop.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        own.set()
        thread.join(END_S)
    if failed:
        raise failed[0]


def _held(path: Path) -> bool:
    """Return whether another process holds a lock file."""
    if not path.exists():
        return False
    try:
        lock(path).release()
    except BlockingIOError:
        return True
    return False


def _send(out: BinaryIO, what: DemoStatus) -> None:
    with suppress(BrokenPipeError):  # nobody listens, and standard input says so too
        send(out, what)


if __name__ == "__main__":
    main()
