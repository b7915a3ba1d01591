"""Lab Streaming Layer: observations go in, samples of one outlet for each source come out, at LSL's own clock.

liblsl binds the ports that it serves on to every network, whatever its settings say. So on Linux Mien binds them to the
loopback device at once, and elsewhere it opens no outlet, unless the settings let the network in; then liblsl's own
configuration (lsl_api.cfg) holds.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import socket
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mien.config import Settings
from mien.errors import MienError, MissingExtraError
from mien.observation import EMOTIONS, Face, Observation
from mien.version import __version__

__all__ = ["CHANNELS", "LOOPBACK", "STREAM_TYPE", "LslOutlet", "dominant", "lsl_library", "peers"]

log = logging.getLogger(__name__)

STREAM_TYPE = "FacialExpression"
"""The content type; those that XDF lists have none for expressions."""

CHANNELS = (*((emotion, "probability") for emotion in EMOTIONS), ("confidence", "normalized"), ("track", "number"))
"""Label and unit of each channel, in order."""

FIRST_PORT, PORTS = 16571, 513
"""Discovery, then the ports that outlets serve on; with a range of its own Mien knows which sockets are liblsl's."""

LOOPBACK = f"""[ports]
MulticastPort = {FIRST_PORT}
BasePort = {FIRST_PORT + 1}
PortRange = {PORTS - 1}
AllowRandomPorts = false
IPv6 = disable
[multicast]
AddressesOverride = {{224.0.0.183, 127.0.0.1}}
Interfaces = {{127.0.0.1}}
TTLOverride = 0
[log]
level = -2
"""
"""liblsl's configuration for this machine alone; programs that are to see several sources take the same."""

DEVICE = b"lo"

HOLDS = 0.5
"""The face that was dominant stays so while it is in view and at least this share of the largest one's area."""

_opening = threading.Lock()
_configured = False


class LslOutlet:
    """What a source shows, as a stream of the Lab Streaming Layer: a sample per frame, of its dominant face.

    Args:
        settings: Whether the network may see it.
        source: The source's name.
        model: Which model reads its faces.

    Raises:
        MissingExtraError: pylsl is not installed.
        MienError: liblsl is not, or the stream cannot be kept to this machine.
    """

    def __init__(self, settings: Settings, source: str, model: str) -> None:
        self._pylsl = lsl_library(network=settings.watch.lsl_network)
        self._network, self._source = settings.watch.lsl_network, source
        self._key = hashlib.sha256(f"{socket.gethostname()}:{settings.home}".encode()).hexdigest()[:16]
        self._track: int | None = None
        self._outlet: Any = None
        self._open(model)

    def push(self, observation: Observation) -> None:
        """Send what a frame showed, at the time when the frame was there; without a face all channels are NaN."""
        if observation.model != self._model:
            self._open(observation.model)
        face = dominant(observation.faces, self._track)
        self._track = face.track if face else None
        at = self._pylsl.local_clock() - observation.elapsed_ms / 1000
        self._outlet.push_sample(_sample(face), at)

    def close(self) -> None:
        """End the stream."""
        self._outlet = None

    def _open(self, model: str) -> None:
        """Open the outlet, anew where another model reads the faces: receivers find it again by its id."""
        self._outlet, self._model = None, model
        pylsl = self._pylsl
        name, key = f"mien-{self._source}", f"mien-{self._source}-{self._key}"
        info = pylsl.StreamInfo(name, STREAM_TYPE, len(CHANNELS), pylsl.IRREGULAR_RATE, pylsl.cf_float32, key)
        _describe(info.desc(), self._source, model)
        with _opening:
            try:
                self._outlet = pylsl.StreamOutlet(info)
            except RuntimeError as error:
                raise MienError(
                    f"cannot open an LSL outlet for '{self._source}': {error}; are its ports free?"
                ) from error
            if not self._network:
                try:
                    _keep_to_loopback()
                except MienError:
                    self._outlet = None
                    raise


def dominant(faces: Sequence[Face], before: int | None) -> Face | None:
    """Return the face that stands for a frame: the one before it while it is in view and large, else the largest.

    Args:
        faces: The frame's.
        before: The track of the face that stood for the frame before.
    """
    if not faces:
        return None
    largest = max(faces, key=_area)
    same = next((face for face in faces if before is not None and face.track == before), None)
    return same if same is not None and _area(same) >= HOLDS * _area(largest) else largest


def _area(face: Face) -> int:
    return face.box[2] * face.box[3]


def _sample(face: Face | None) -> list[float]:
    if face is None:
        return [math.nan] * len(CHANNELS)
    track = math.nan if face.track is None else float(face.track)
    return [*(share for _, share in face.probabilities), face.confidence, track]


def _describe(desc: Any, source: str, model: str) -> None:
    """Describe a stream as XDF's conventions ask."""
    channels = desc.append_child("channels")
    for label, unit in CHANNELS:
        channel = channels.append_child("channel")
        for name, value in (("label", label), ("unit", unit), ("type", STREAM_TYPE)):
            channel.append_child_value(name, value)
    acquisition = desc.append_child("acquisition")
    for name, value in (("manufacturer", "Mien"), ("model", model), ("software", f"mien {__version__}")):
        acquisition.append_child_value(name, value)
    desc.append_child("synchronization").append_child_value("can_drop_samples", "true")
    desc.append_child_value("source", source)


def peers() -> dict[int, str]:
    """Return the hosts that this process's sockets are connected to, by the numbers of these sockets."""
    hosts = {}
    for connected in _sockets():
        with connected, suppress(OSError):
            if connected.family in (socket.AF_INET, socket.AF_INET6) and connected.type == socket.SOCK_STREAM:
                hosts[os.fstat(connected.fileno()).st_ino] = str(connected.getpeername()[0])
    return hosts


def lsl_library(*, network: bool) -> Any:
    """Return pylsl, told to stay on this machine unless the network may see its streams.

    Raises:
        MissingExtraError: It is not installed.
        MienError: liblsl is not, or it cannot be kept to this machine.
    """
    global _configured
    try:
        import pylsl
    except ImportError:
        raise MissingExtraError("--lsl", "lsl") from None
    except (RuntimeError, OSError) as error:
        raise MienError(
            "--lsl needs liblsl, which pylsl's wheel carries for Linux on x86-64 with glibc 2.35 or later alone: "
            "install it from its releases, or name the file in PYLSL_LIB"
        ) from error
    if not network and not hasattr(socket, "SO_BINDTODEVICE"):
        raise MienError(
            "--lsl can be kept to this machine on Linux alone: to let the network see the streams, set "
            "watch.lsl_network"
        )
    with _opening:
        if not _configured and not network:
            pylsl.set_config_content(LOOPBACK)
        _configured = True
    return pylsl


def _keep_to_loopback() -> None:
    """Bind the sockets that liblsl serves on to the loopback device.

    Raises:
        MienError: The system does not let it.
    """
    for served in _sockets():
        with served:
            if not _is_lsl(served):
                continue
            try:
                served.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, DEVICE)
            except OSError as error:
                raise MienError(
                    f"--lsl cannot be kept to this machine ({error.strerror}; it takes Linux 5.7 or later): to let the "
                    "network see the streams, set watch.lsl_network"
                ) from error


def _sockets() -> Iterator[socket.socket]:
    """Yield this process's sockets, each by a handle of its own."""
    for entry in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):  # it was closed meanwhile
            if stat.S_ISSOCK(entry.stat().st_mode):
                yield socket.socket(fileno=os.dup(int(entry.name)))


def _is_lsl(served: socket.socket) -> bool:
    """Return whether a socket is one that liblsl serves on: bound to one of its ports, and connected to nobody."""
    if served.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    if not FIRST_PORT <= served.getsockname()[1] < FIRST_PORT + PORTS:
        return False
    try:
        served.getpeername()
    except OSError:
        return True
    return False
