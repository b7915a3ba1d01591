"""What a state folder keeps to itself: the built-in broker's own user and password, and what client ids are made of.

User and password are made by `mien secrets` for who is to come from other machines; without them the broker makes a
password anew at each start, which is all that this machine needs. A broker ends the connection of whoever has a client
id when somebody else comes with it, and gives them the queue that waits: so nobody else may be able to know it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from pathlib import Path
from typing import Annotated

import msgspec

from mien.errors import ConfigError, MienError
from mien.system.files import others_may_read, write_private
from mien.system.locks import PATIENCE_S, alone

__all__ = ["Credentials", "client_id", "make", "read"]

CLIENT_SECRET = re.compile(rb"[0-9a-f]{64}")


class Credentials(msgspec.Struct, frozen=True):
    """What a client of the built-in broker shows; of characters that need no quoting anywhere."""

    username: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
    password: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{16,128}\Z")]


def make(home: Path) -> Credentials:
    """Make new credentials in the state folder, readable by its owner alone, and return them.

    Raises:
        MienError: The folder cannot be written.
    """
    made = Credentials("mien", secrets.token_urlsafe(24))
    write_private(_path(home), msgspec.json.encode(made))
    return made


def read(home: Path) -> Credentials | None:
    """Return the credentials in the state folder; None: none were made.

    Raises:
        ConfigError: The file cannot be used, or others may read it.
    """
    path = _path(home)
    try:
        if others_may_read(path):
            raise ConfigError(f"others may read '{path}': make new ones with `mien secrets --new`")
        return msgspec.json.decode(path.read_bytes(), type=Credentials)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read '{path}' ({error}): make new ones with `mien secrets --new`") from error


def client_id(home: Path, role: str, of: str) -> str:
    """Return a client id that is the same after a restart, and that nobody can know without this state folder.

    Args:
        home: The state folder; a secret is kept there.
        role: What the client does, which everybody may know.
        of: What tells it from others of the same state folder.

    Raises:
        MienError: There is no secret yet, and none can be kept.
    """
    named = f"{role}:{of}".encode(errors="surrogateescape")
    return f"mien-{role}-{hmac.new(_client_secret(home), named, hashlib.sha256).hexdigest()[:24]}"


def _client_secret(home: Path) -> bytes:
    path = home / "client-ids.secret"
    with alone(
        home / "client-ids.lock",
        MienError(f"another process holds '{home / 'client-ids.lock'}': try again"),
        PATIENCE_S,
    ):
        try:
            secret = path.read_bytes()
            if CLIENT_SECRET.fullmatch(secret) and not others_may_read(path):
                return secret
        except FileNotFoundError:
            pass
        except OSError as error:
            raise MienError(f"cannot read '{path}': {(error.strerror or str(error)).lower()}; whose is it?") from error
        secret = secrets.token_hex(32).encode()  # also for one that is damaged, or that others have seen
        write_private(path, secret)
        return secret


def _path(home: Path) -> Path:
    return home / "secrets.json"
