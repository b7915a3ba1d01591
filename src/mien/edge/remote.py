"""Settings that come by MQTT while a source is watched: requests go in, what holds now and its echo come out.

What was set is kept in the state folder: a camera that was paused is still paused after a power cut. A request that
is not right in every part changes nothing. One that the broker had retained is refused: it would come again with
each connection, and undo what was asked for since.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import msgspec

from mien.config import Settings
from mien.edge.preview import PreviewSwitch
from mien.errors import MienError, UsageError
from mien.mqtt.messages import Fps, RemoteState, SetRequest, Threshold, decode_message, encode_message
from mien.system.files import write_private

__all__ = ["Remote", "encode_request"]

log = logging.getLogger(__name__)

EXPECTED = (
    "expected a JSON object of threshold (0 to 1), fps (over 0, at most 240), both null for the source's own setting, "
    "pause (true or false), and preview (off, blurred or plain)"
)


class HeldSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was set from afar; None: nothing, so the settings hold."""

    threshold: Threshold | None = None
    fps: Fps | None = None
    pause: bool = False


class Remote:
    """What of a source can be set from afar.

    The properties may be read from any thread at any time.

    Args:
        settings: As they are for this source; `watch.remote` says whether requests are taken.
        source: The source's name.
        preview: What pictures it sends.

    Attributes:
        allowed: Whether threshold, fps and pause may be set.
        listens: Whether anything may be asked for.
    """

    def __init__(self, settings: Settings, source: str, preview: PreviewSwitch | None = None) -> None:
        self.allowed = settings.watch.remote
        self._preview = preview or PreviewSwitch(settings)
        self.listens = self.allowed or self._preview.most != "off"
        self._source = source
        self._fps, self._threshold = settings.watch.fps, settings.vision.abstain_below
        self._file = settings.home / "remote" / f"{source}.json"
        self._held = _read(self._file) if self.allowed else HeldSettings()
        self._newest: str | None = None
        self._error: str | None = None

    @property
    def threshold(self) -> float | None:
        """No emotion is named below this probability; None: the model's own threshold."""
        return self._threshold if self._held.threshold is None else self._held.threshold

    @property
    def fps(self) -> float | None:
        """At most so many frames a second; None: all."""
        return self._fps if self._held.fps is None else self._held.fps

    @property
    def paused(self) -> bool:
        """Whether no frame is to be looked at."""
        return self._held.pause

    def answer(self, payload: bytes, *, retained: bool = False) -> bytes | None:
        """Do what a request asks for, if it can be done, and return the state to publish.

        Args:
            payload: As it came from the wire.
            retained: Whether the broker had kept it.

        Returns:
            The state; None where this request has been answered before.
        """
        request, error = SetRequest(), None
        try:
            request = _decode(payload)
            if request.id is not None and request.id == self._newest:
                return None
            if retained:
                raise UsageError("the request is refused, for the broker had retained it: publish it without retain")
            self._hold(request)
        except UsageError as refused:
            error = str(refused)
            log.warning("'%s': %s", self._source, error)
        self._newest, self._error = request.id, error
        return self.state()

    def state(self) -> bytes:
        """Return what holds, as JSON."""
        held = self.allowed, self.threshold, self.fps, self.paused
        sent = self._preview.kind, self._preview.most, self._preview.until
        return encode_message(RemoteState(*held, self._newest, self._error, *sent))

    def ends(self) -> bool:
        """Return whether something that was asked for ends now by itself, so that there is a new state to publish."""
        if not self._preview.ends():
            return False
        log.info("'%s': the preview that was asked for from afar has ended", self._source)
        return True

    def _hold(self, request: SetRequest) -> None:
        named = ("threshold", "fps", "pause")
        asked = {name: value for name in named if (value := getattr(request, name)) is not msgspec.UNSET}
        if asked and not self.allowed:
            raise UsageError("the request is refused: watch.remote is false where this source is watched")
        if request.preview is not msgspec.UNSET:
            self._preview.ask(request.preview)
            log.info("'%s' was asked from afar for a preview: %s", self._source, request.preview or "off")
        held = msgspec.structs.replace(self._held, **asked)
        if held == self._held:
            return
        self._held = held
        log.info("'%s' was set from afar: %s", self._source, ", ".join(f"{name} {asked[name]}" for name in asked))
        try:
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(self._file, msgspec.json.encode(held))
        except (MienError, OSError) as error:
            raise UsageError(f"it holds until mien watch ends, and no longer: {error}") from error


def encode_request(asked: dict[str, Any], key: str) -> bytes:
    """Return a request as JSON.

    Args:
        asked: Values by name: threshold, fps, pause, preview.
        key: The id that the echo is to bear.

    Raises:
        UsageError: A name is unknown, or a value out of range.
    """
    try:
        payload = json.dumps({**asked, "id": key}, allow_nan=False).encode()
    except ValueError as error:
        raise UsageError(f"the request is refused: a value is no finite number; {EXPECTED}") from error
    _decode(payload)
    return payload


def _decode(payload: bytes) -> SetRequest:
    try:
        return decode_message(payload, SetRequest)
    except ValueError as error:
        reason = str(error)
        raise UsageError(f"the request is refused: {reason[:1].lower()}{reason[1:]}; {EXPECTED}") from error


def _read(file: Path) -> HeldSettings:
    try:
        return msgspec.json.decode(file.read_bytes(), type=HeldSettings)
    except FileNotFoundError:
        return HeldSettings()
    except (OSError, ValueError) as error:
        log.warning("cannot read '%s' (%s): what was set from afar is forgotten", file, error)
        return HeldSettings()
