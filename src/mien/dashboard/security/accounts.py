"""Who may use the dashboard from elsewhere: names with a role and a token or a password, in a file of their own.

Of tokens, which are long and random, a SHA-256 is kept; of passwords a scrypt hash, which is slow to guess at. The file
is its owner's alone, and what is changed in it holds for a running dashboard at once.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from mien.dashboard.security.roles import Caller, Role
from mien.errors import ConfigError, MienError, UsageError
from mien.system.files import others_may_read, write_private
from mien.system.locks import PATIENCE_S, alone

__all__ = ["Access", "Account", "entries", "make_token", "revoke", "set_password"]

log = logging.getLogger(__name__)

SHORTEST = 10
LONGEST = 1024
"""So many bytes a password has, at least and at most."""

PREFIX = "mien_"
SCRYPT = {"n": 2**15, "r": 8, "p": 3, "maxmem": 64 << 20, "dklen": 32}
"""32 MiB of memory and about a quarter of a second for each guess."""


class Account(msgspec.Struct, frozen=True):
    """Somebody who may use the dashboard.

    Attributes:
        name: What they are called.
        role: What they may.
        kind: What they show.
        digest: The hash of it, in hexadecimal digits.
        salt: Of a password's hash, in hexadecimal digits; empty for tokens.
        created: When it was made, UTC.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.@-]{1,64}\Z")]
    role: Role
    kind: Literal["token", "password"]
    digest: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    salt: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{0,64}\Z")]
    created: datetime


NOBODY = Account("nobody", "viewer", "password", "0" * 64, "0" * 32, datetime(1970, 1, 1, tzinfo=timezone.utc))
"""Checked in place of a name that is not known, so that the time taken does not tell which names are."""


class Access:
    """The entries of a state folder, read again whenever their file changes.

    Args:
        home: The state folder.
    """

    def __init__(self, home: Path) -> None:
        self._path = _path(home)
        self._stamp: tuple[int, int, int] | None = None
        self._entries: dict[str, Account] = {}

    def entry(self, name: str) -> Account | None:
        """Return the entry of a name."""
        self._refresh()
        return self._entries.get(name)

    def bearer(self, token: str) -> Caller | None:
        """Return who shows a token."""
        self._refresh()
        digest = _digest(token)
        entries = [entry for entry in self._entries.values() if hmac.compare_digest(entry.digest, digest)]
        return Caller(entries[0].name, entries[0].role, login=True) if entries and entries[0].kind == "token" else None

    def check(self, name: str, secret: str) -> Account | None:
        """Return the entry of a name whose password or token this is; it takes as long where there is no such name."""
        self._refresh()
        entry = self._entries.get(name, NOBODY)
        if len(secret.encode("utf-8", "replace")) > LONGEST:
            return None
        shown = _digest(secret) if entry.kind == "token" else _scrypt(secret, entry.salt)
        return entry if hmac.compare_digest(entry.digest, shown) and entry is not NOBODY else None

    def __bool__(self) -> bool:
        self._refresh()
        return bool(self._entries)

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        except FileNotFoundError:
            self._stamp, self._entries = None, {}
            return
        if stamp == self._stamp:
            return
        self._stamp, self._entries = stamp, {}
        try:
            self._entries = _read(self._path)
        except ConfigError as error:
            log.error("nobody has access: %s", error)  # noqa: TRY400 - the line says it all


def make_token(home: Path, name: str, role: Role) -> str:
    """Make a token for a name, which must be new, and return it; it is not kept.

    Raises:
        UsageError: The name is taken, or cannot be one.
        MienError: The state folder cannot be written.
    """
    token = PREFIX + secrets.token_urlsafe(32)
    _add(home, name, role, "token", _digest(token), "")
    return token


def set_password(home: Path, name: str, role: Role, password: str) -> None:
    """Let a name, which must be new, log in with a password.

    Raises:
        UsageError: The name is taken or cannot be one, or the password is too short or too long.
        MienError: The state folder cannot be written.
    """
    size = len(password.encode("utf-8", "replace"))
    if not SHORTEST <= size <= LONGEST:
        raise UsageError(f"the password has {size:,} characters: expected {SHORTEST} to {LONGEST:,}")
    salt = secrets.token_hex(16)
    _add(home, name, role, "password", _scrypt(password, salt), salt)


def revoke(home: Path, name: str) -> None:
    """Delete the entry of a name; whoever is logged in by it is not any more.

    Raises:
        UsageError: There is no such name.
        MienError: The state folder cannot be written.
    """
    with _changed(home) as known:
        if name not in known:
            there = f"expected one of {', '.join(sorted(known))}" if known else "nobody has access"
            raise UsageError(f"there is no access for {name!a}: {there}")
        del known[name]


def entries(home: Path) -> list[Account]:
    """Return the entries of a state folder by name.

    Raises:
        ConfigError: The file cannot be used, or others may read it.
    """
    return [entry for _, entry in sorted(_read(_path(home)).items())]


def _add(home: Path, name: str, role: Role, kind: Literal["token", "password"], digest: str, salt: str) -> None:
    made = Account(name, role, kind, digest, salt, datetime.now(timezone.utc))
    try:
        msgspec.convert(msgspec.to_builtins(made), Account)
    except msgspec.ValidationError:
        raise UsageError(f"{name!a} is no name: expected 1 to 64 of A-Z a-z 0-9 _ . @ -") from None
    with _changed(home) as known:
        if name in known:
            raise UsageError(f"'{name}' has access already: choose another name, or `mien access revoke {name}` first")
        known[name] = made


@contextmanager
def _changed(home: Path) -> Iterator[dict[str, Account]]:
    """Yield the entries by name and write what they are at the end; others wait meanwhile."""
    busy = MienError(f"another `mien access` holds '{home / 'access.lock'}': wait for it, or end it")
    try:
        with alone(home / "access.lock", busy, PATIENCE_S):
            known = _read(_path(home))
            yield known
            write_private(_path(home), msgspec.json.format(msgspec.json.encode(list(known.values())), indent=1))
    except OSError as error:
        raise MienError(f"cannot write in '{home}': {error.strerror}; check your rights") from error


def _read(path: Path) -> dict[str, Account]:
    try:
        if others_may_read(path):
            raise ConfigError(f"others may read '{path}': close it with `chmod 600 {path}`")
        return {entry.name: entry for entry in msgspec.json.decode(path.read_bytes(), type=list[Account])}
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read who has access from '{path}' ({error}): mend or delete it, and use `mien access` again"
        ) from error


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _scrypt(password: str, salt: str) -> str:
    return hashlib.scrypt(password.encode("utf-8", "replace"), salt=bytes.fromhex(salt), **SCRYPT).hex()


def _path(home: Path) -> Path:
    return home / "access.json"
