"""Who is logged in: a random number in the browser's cookie, of which the server keeps a hash.

Sessions outlive the server, end by themselves, and end at once when their owner's access is revoked or changed.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time as clock
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import msgspec

from mien.dashboard.base_path import base_of
from mien.dashboard.security.accounts import Access, Account
from mien.dashboard.security.roles import Caller
from mien.errors import MienError
from mien.system.files import others_may_read, write_private

__all__ = ["Sessions", "cookie_name"]

log = logging.getLogger(__name__)

MOST = 1000
"""So many sessions there are at most; a new one then ends the oldest."""


class Session(msgspec.Struct, frozen=True):
    """A login.

    Attributes:
        name: Whose.
        access: The hash that their entry had when they logged in.
        expires: When it ends, in seconds since 1970.
    """

    name: str
    access: str
    expires: float


class Sessions:
    """The logins of a dashboard.

    Args:
        access: Who may log in.
        path: The file in which they are kept.
        lasting_s: How long a login lasts, in seconds.
    """

    def __init__(self, access: Access, path: Path, lasting_s: float) -> None:
        self._access, self._path, self._lasting_s = access, path, lasting_s
        self._sessions: dict[str, Session] = _read(path)

    def begin(self, entry: Account) -> str:
        """Begin a session and return what its cookie holds."""
        key = secrets.token_urlsafe(32)
        now = clock.time()
        kept = sorted(
            (session for session in self._sessions.items() if session[1].expires > now),
            key=lambda session: session[1].expires,
        )
        self._sessions = dict(kept[1 - MOST :])
        self._sessions[_digest(key)] = Session(entry.name, entry.digest, now + self._lasting_s)
        self._write()
        return key

    def who(self, key: str) -> Caller | None:
        """Return whose session a cookie holds; None: it has ended, or there never was one."""
        session = self._sessions.get(_digest(key))
        if session is None or session.expires <= clock.time():
            return None
        entry = self._access.entry(session.name)
        if entry is None or entry.digest != session.access:
            return None
        return Caller(entry.name, entry.role, login=True)

    def end(self, key: str) -> None:
        """End a session."""
        if self._sessions.pop(_digest(key), None):
            self._write()

    def _write(self) -> None:
        try:
            write_private(self._path, msgspec.json.encode(self._sessions))
        except MienError as error:
            log.warning("%s; logins end with this dashboard", error)


def cookie_name(name: str, scope: MutableMapping[str, Any]) -> str:
    """Return what a session's cookie is called in a request: over HTTPS browsers then see to it that it came so."""
    if scope.get("scheme") != "https":
        return name
    return f"__Secure-{name}" if base_of(scope) else f"__Host-{name}"  # the latter is bound to the path /


def _read(path: Path) -> dict[str, Session]:
    try:
        if others_may_read(path):
            log.warning("others may read '%s': nobody is logged in any more", path)
            return {}
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Session])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("cannot read '%s' (%s): nobody is logged in any more", path, error)
        return {}


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
