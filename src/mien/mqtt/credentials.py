"""The built-in broker's own user and password, made by `mien secrets` for who is to come from other machines.

Without them the broker makes a password anew at each start, which is all that this machine needs.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import msgspec

from mien.errors import ConfigError
from mien.system.files import others_may_read, write_private

__all__ = ["Credentials", "make", "read"]


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


def _path(home: Path) -> Path:
    return home / "secrets.json"
