"""All the sources at a broker, from afar: who is there and how they are goes out, and settings go to one of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from mien.config import Settings
from mien.edge.remote import encode_request
from mien.errors import BrokerError, MienError, UsageError
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import Connection
from mien.mqtt.messages import (
    RemoteState,
    Stats,
    TopicKind,
    decode_available,
    decode_message,
    split_topic,
    topic,
)
from mien.observation import is_source_name, new_id
from mien.words import by_number

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DEMO", "Member", "listen", "previews", "set_remotely"]

log = logging.getLogger(__name__)

ANSWER_S = 10.0
"""So long a source may take to answer, in seconds."""

MAX_SOURCES = 10_000


DEMO = "demo"
"""What a source is said to send that shows the clip which comes with Mien."""


class Member(NamedTuple):
    """A source at the broker.

    Attributes:
        source: Its name.
        online: Whether it says so; None: it says nothing.
        stats: Its newest statistics.
        state: What can be set from afar, and how it is set; None: it says nothing.
        sends: Whether it was seen to send a picture.
    """

    source: str
    online: bool | None = None
    stats: Stats = Stats()
    state: RemoteState | None = None
    sends: bool = False


def listen(settings: Settings, seconds: float) -> list[Member]:
    """Return the sources that a broker has word of, by name.

    Args:
        settings: Where the broker is, and the prefix.
        seconds: So long is listened, which must do for what the broker has retained.

    Raises:
        MienError: The broker cannot be reached, or does not let the topics be read.
    """
    return _heard(settings, seconds, ("available", "stats", "state"))


def previews(settings: Settings, seconds: float) -> dict[str, str]:
    """Return what pictures the sources send that are online, by their names: off, blurred, plain, demo, or unsaid.

    A source whose picture came sends pictures, whatever it says. `demo` is the clip that comes with Mien, as it is.

    Args:
        settings: Where the broker is, and the prefix.
        seconds: So long is listened; a source that sends pictures sends one a second.

    Raises:
        MienError: The broker cannot be reached, or does not let statistics be read.
    """
    kinds: dict[str, str] = {}
    for member in _heard(settings, seconds, ("available", "stats"), ("preview",)):
        if member.online or member.sends:
            word = member.stats.preview or "unsaid"
            word = DEMO if member.stats.demo and word == "plain" else word
            kinds[member.source] = "unsaid" if member.sends and word == "off" else word
    return kinds


def _heard(
    settings: Settings, seconds: float, kinds: tuple[TopicKind, ...], optional: tuple[TopicKind, ...] = ()
) -> list[Member]:
    """Return all sources, by name, after having listened for so long; optional is what a user may not be let read."""
    with _Listener(settings, "+", kinds, optional) as listener:
        listener.wait_for(lambda: False, seconds)
        return sorted(listener.members.values(), key=lambda member: by_number(member.source))


def set_remotely(settings: Settings, source: str, asked: dict[str, Any], answer_s: float = ANSWER_S) -> RemoteState:
    """Set what of a source can be set from afar, and return how it is set then, as the source says itself.

    Args:
        settings: Where the broker is, and the prefix.
        source: The source's name.
        asked: Values by name: threshold, fps, pause, preview; None: as the source's own settings say.
        answer_s: So long the source may take to answer, in seconds.

    Raises:
        UsageError: A name or value cannot be, or the source refuses it.
        MienError: The source is not there, takes no settings from afar, or does not answer.
    """
    key = new_id()
    request = encode_request(asked, key)
    with _Listener(settings, source, ("available", "state")) as listener:

        def known() -> Member:
            return listener.members.get(source, Member(source))

        listener.wait_for(lambda: known().state and known().online is not None, answer_s)
        state = known().state
        if state is None:
            raise MienError(f"nothing is known of a source '{source}' here: `mien fleet list` shows which there are")
        if not state.remote and (set(asked) != {"preview"} or state.remote_preview == "off"):
            if set(asked) == {"preview"}:
                raise UsageError(
                    f"'{source}' sends no pictures on request: see watch.remote_preview where it is watched"
                )
            raise MienError(f"'{source}' takes no settings from afar: set watch.remote = true where it is watched")
        if known().online is False:
            raise MienError(f"'{source}' is offline: nothing was set; try again once it is back")
        listener.publish(source, request)
        listener.wait_for(lambda: known().state is not None and known().state.id == key, answer_s)  # type: ignore[union-attr]
        state = known().state
    if state is None or state.id != key:
        raise MienError(
            f"'{source}' has not answered within {answer_s:g} s: see whether this user may publish on "
            f"{topic(settings.broker.prefix, source, 'set')}, and whether the source is online"
        )
    if state.error:
        raise UsageError(f"'{source}' says: {''.join(letter for letter in state.error if letter.isprintable())}")
    return state


class _Listener:
    """A connection that notes what sources say of themselves."""

    def __init__(
        self, settings: Settings, source: str, kinds: tuple[TopicKind, ...], optional: tuple[TopicKind, ...] = ()
    ) -> None:
        self.members: dict[str, Member] = {}
        self._prefix = settings.broker.prefix
        self._changed = threading.Condition()
        self._connection = Connection(
            find_broker(settings), f"mien-fleet-{new_id()}", on_message=self._note, on_lost=self._wake
        )
        try:
            for kind in kinds:
                self._connection.subscribe(topic(self._prefix, source, kind))
            for kind in optional:
                with suppress(BrokerError):
                    self._connection.subscribe(topic(self._prefix, source, kind))
        except MienError:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def publish(self, source: str, request: bytes) -> None:
        """Send a source a request."""
        self._connection.publish(topic(self._prefix, source, "set"), request)

    def wait_for(self, condition: Callable[[], object], seconds: float) -> None:
        """Wait until a condition holds, but no longer than so many seconds.

        Raises:
            MienError: The connection was lost.
        """
        with self._changed:
            self._changed.wait_for(lambda: condition() or self._connection.lost.is_set(), seconds)
        if self._connection.lost.is_set():
            raise MienError(f"the connection to the broker at {self._connection.address} was lost: try again")

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _note(self, message: Any) -> None:
        if message.qos:
            self._connection.acknowledge(message.mid)
        source, kind = split_topic(self._prefix, message.topic)
        if not is_source_name(source):
            return
        if source not in self.members and len(self.members) >= MAX_SOURCES:
            return
        with self._changed:
            self.members[source] = _updated(self.members.get(source, Member(source)), kind, message.payload)
            self._changed.notify_all()


def _updated(member: Member, kind: str, payload: bytes) -> Member:
    """Return what is known of a source after a message of it; one that cannot be read tells nothing."""
    if kind == "preview":
        return member._replace(sends=True)
    try:
        if kind == "available":
            return member._replace(online=decode_available(payload))
        if kind == "state":
            return member._replace(state=decode_message(payload, RemoteState))
        if kind == "stats":
            return member._replace(stats=decode_message(payload, Stats))
    except ValueError as error:
        log.debug("ignored a message of '%s' on %s: %s", member.source, kind, error)
    return member
