"""A collection on a Ray cluster: items go in, what has become of each comes out as it is ready.

Each item is planned on some machine, its sections are read on any, and one puts it together. Whatever is lost with a
worker is done again elsewhere, a few times: what was read lies in the output, not in the worker. Ray is started here on
this machine's cores, where it listens on loopback alone and asks nobody anything, or is one that runs already.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mien.errors import MienError, MissingExtraError, UsageError
from mien.masking import without_password
from mien.run.collection.here import Result
from mien.run.collection.items import Item
from mien.run.collection.sections import (
    CollectionAnalysis,
    Read,
    ReadingPlan,
    analyse_whole,
    join,
    make_plan,
    read_section,
)

__all__ = ["cluster", "is_local", "run_on_ray"]

TRIES = 4
"""So often something is begun whose workers die."""

CONNECTS = 3
"""So often a head is asked for a connection."""

WITHIN_S = 10.0
"""A cluster that does not answer for so long cannot be reached, in seconds."""

LOOPBACK = ("127.0.0.1", "localhost")

LONGEST_SOCKET = 60
"""In a temporary folder with a longer name Ray finds no room for the names of its sockets."""


@contextlib.contextmanager
def cluster(on: str) -> Iterator[int]:
    """Enter a Ray cluster and yield how many cores it has.

    Args:
        on: "ray": the one that RAY_ADDRESS names, or else one on this machine that ends with the block; or the address
            of one, such as `ray://head:10001`.

    Raises:
        UsageError: It is no such address.
        MissingExtraError: It needs the extra `ray`.
        MienError: The cluster cannot be reached or started.
    """
    if on != "ray" and not on.startswith("ray://"):
        raise UsageError(
            f"--on '{on}' is no engine: expected ray, or the address of a cluster such as ray://head:10001"
        )
    address = on if on != "ray" else os.environ.get("RAY_ADDRESS") or "local"
    with contextlib.ExitStack() as held:
        host, port = _place_of(address)
        if host in LOOPBACK:
            held.enter_context(_loopback())
        ray = _imported()
        try:
            if not ray.is_initialized():
                if port:
                    socket.create_connection((host, port), timeout=WITHIN_S).close()
                here = _here(held) if address == "local" else {}
                _connect(ray, address, here)
                held.callback(ray.shutdown)
            cores = int(ray.cluster_resources().get("CPU", 0))
        except (ConnectionError, OSError, RuntimeError, ValueError, AssertionError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            reason = lines[-1] if lines[0].endswith(":") else lines[0]  # what the head had to say ends with its reason
            raise MienError(f"cannot reach the Ray cluster '{without_password(address)}': {reason[:200]}") from error
        if not cores:
            raise MienError(f"the Ray cluster '{without_password(address)}' has no processor to give")
        yield cores


def _connect(ray: Any, address: str, here: dict[str, Any]) -> None:
    """Connect; a head starts a process for each client, which now and then fails, and is asked again."""
    for left in reversed(range(CONNECTS if address.startswith("ray://") else 1)):
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **here)
        except ConnectionError:  # noqa: PERF203
            if not left:
                raise
            ray.shutdown()
        else:
            return


def is_local(on: str) -> bool:
    """Return whether an engine is one that is started here."""
    return on == "ray" and not os.environ.get("RAY_ADDRESS")


def run_on_ray(
    items: Sequence[Item], analysis: CollectionAnalysis, advance: Callable[[Item], None], ended: Callable[[], None]
) -> Iterator[Result]:
    """Yield what has become of each item, in the order in which they are ready.

    Args:
        items: What is to be done.
        analysis: How.
        advance: Told of each item that is begun.
        ended: Called as each section has been read.
    """
    ray = _imported()
    work = _Work(ray, ray.put(analysis), max(2, 2 * analysis.cores), ended)
    waiting = deque(items)
    while waiting or work.is_busy:
        while waiting and work.has_room:
            advance(waiting[0])
            work.begin(waiting.popleft())
        yield from work.results()


@dataclass
class _Progress:
    """How far an item is.

    Attributes:
        item: The item.
        plan: How it is read, once that is known.
        left: How many sections are still to be read.
        is_over: Whether nothing of it is waited for any more.
        is_whole: Whether it is read as a whole, as it is not what its plan says.
    """

    item: Item
    plan: ReadingPlan | None = None
    left: int = 0
    is_over: bool = False
    is_whole: bool = False


@dataclass(frozen=True)
class _Failed:
    reason: str


class _Work:
    """What runs on the cluster and what is ready to, in a bounded number of tasks at a time."""

    def __init__(self, ray: Any, analysis: Any, most: int, ended: Callable[[], None]) -> None:
        self._ray, self._analysis, self._most, self._ended = ray, analysis, most, ended
        self._task = ray.remote(num_cpus=1, max_retries=TRIES - 1)(_run)
        self._ready: deque[tuple[_Progress, str, int]] = deque()
        self._running: dict[Any, tuple[_Progress, str]] = {}

    @property
    def is_busy(self) -> bool:
        return bool(self._ready or self._running)

    @property
    def has_room(self) -> bool:
        return len(self._ready) + len(self._running) < self._most

    def begin(self, item: Item) -> None:
        self._ready.append((_Progress(item), "plan", 0))

    def results(self) -> Iterator[Result]:
        """Start what there is room for, wait until something has ended, and yield what that brings."""
        while self._ready and len(self._running) < self._most:
            progress, what, number = self._ready.popleft()
            if progress.is_over or (progress.is_whole and what == "read"):
                continue
            reference = self._task.remote(what, progress.item, progress.plan, number, self._analysis)
            self._running[reference] = progress, what
        if not self._running:
            return
        ended, _ = self._ray.wait(list(self._running), num_returns=1)
        for reference in ended:
            progress, what = self._running.pop(reference)
            try:
                answer = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:  # its workers died, again and again
                answer = _Failed(_reason(error))
            yield from self._ended_with(progress, what, answer)

    def _ended_with(self, progress: _Progress, what: str, answer: Any) -> Iterator[Result]:
        if progress.is_over or (progress.is_whole and what == "read"):
            return
        item, plan = progress.item, progress.plan
        if isinstance(answer, _Failed):
            progress.is_over = True
            yield item, plan.sha256 if plan else None, 1, answer.reason
        elif isinstance(answer, ReadingPlan):
            progress.plan, progress.left = answer, len(answer.sections)
            if answer.sha256 == item.known:
                progress.is_over = True
                yield item, answer.sha256, 1, None
            elif answer.sections:
                self._ready.extend((progress, "read", number) for number in range(progress.left))
            else:
                self._ready.appendleft((progress, "whole", 0))
        elif isinstance(answer, Read):
            self._ended()
            progress.left -= 1
            if not answer.as_planned:
                progress.is_whole = True
                self._ready.appendleft((progress, "whole", 0))
            elif not progress.left:
                self._ready.appendleft((progress, "join", 0))
        else:
            progress.is_over = True
            yield item, plan.sha256 if plan else None, len(plan.sections) if plan and what == "join" else 1, answer


def _run(what: str, item: Item, plan: ReadingPlan | None, number: int, analysis: CollectionAnalysis) -> Any:
    """Do a part of the work on a worker; what is wrong with a film comes back as an answer, and is not tried again."""
    try:
        if what == "plan" or plan is None:
            return make_plan(item, analysis)
        if what == "read":
            return read_section(item, plan, number, analysis)
        if what == "join":
            return join(item, plan, analysis)
        return analyse_whole(item, plan, analysis, workers=1)
    except MienError as error:
        return _Failed(str(error))
    except Exception as error:  # noqa: BLE001 - a film that nobody thought of costs itself, not the run
        return _Failed(f"cannot analyse '{item.name}': {type(error).__name__} ({error})")


def _reason(error: Exception) -> str:
    name = type(error).__name__
    return (
        f"its worker ended {TRIES} times without an answer ({name}): too little memory, or a file that no decoder bears"
    )


def _place_of(address: str) -> tuple[str, int | None]:
    """Return the host and port of a cluster; where it is started here, loopback and None."""
    if address == "local":
        return "127.0.0.1", None
    place = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        port = place.port
    except ValueError as error:
        raise UsageError(f"'{without_password(address)}' is no address of a Ray cluster: {error}") from error
    return place.hostname or "", port


@contextlib.contextmanager
def _loopback() -> Iterator[None]:
    """Have Ray's parts meet on loopback, as it does by itself on macOS and Windows."""
    name = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    before = os.environ.get(name)
    os.environ[name] = "0"
    _imported()
    from ray._private import ray_constants

    was, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = was
        _set(name, before)


def _here(held: contextlib.ExitStack) -> dict[str, Any]:
    """Prepare what a cluster that is started here needs, and return how it is started: for itself, by a new token."""
    from ray._private import services
    from ray._raylet import Config  # type: ignore[attr-defined]

    for name, value in {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}.items():
        held.callback(_set, name, os.environ.get(name))
        os.environ[name] = value
    Config.initialize("")  # it may have read the variables before
    held.callback(setattr, services, "start_api_server", services.start_api_server)
    # its dashboard is not needed, and asks the network in which cloud it is, whatever it was told
    services.start_api_server = lambda *_, **__: (None, None)
    base = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix="mien-", dir=base if len(base) < LONGEST_SOCKET else "/tmp"))  # noqa: S108
    held.callback(shutil.rmtree, folder, ignore_errors=True)
    return {"_temp_dir": str(folder), "_node_ip_address": "127.0.0.1", "include_dashboard": False}


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _imported() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("--on ray", "ray") from error
    return ray
