"""Every error that Mien raises on purpose.

    MienError                    exit code 1: the environment failed
    ├── UsageError               exit code 2: what the user gave cannot be used
    │   ├── ConfigError          an unknown or invalid setting
    │   └── InputError           a picture, video, camera, stream or data file
    │       └── PictureError     what was handed over in Python is no picture; also a ValueError
    ├── ModelError               a model file without a contract, or one this version cannot read
    ├── BrokerError              no broker at that address, or it refuses
    ├── StoreError               a database that cannot be opened, read or written
    ├── MissingExtraError        a feature whose optional dependencies are not installed
    └── PartialError             the work was done in part; what was done is kept

A message is one line that names the thing, what was expected, what came and what to do. Only `mien.cli.app` turns an
error into an exit code.

    >>> import mien
    >>> try:
    ...     mien.analyze("no-such-photo.jpg")
    ... except mien.errors.MienError as error:
    ...     print(type(error).__name__, error.exit_code)
    InputError 2
"""

from __future__ import annotations

__all__ = [
    "BrokerError",
    "ConfigError",
    "InputError",
    "MienError",
    "MissingExtraError",
    "ModelError",
    "PartialError",
    "PictureError",
    "StoreError",
    "UsageError",
]


class MienError(Exception):
    """The base of every error that Mien raises on purpose."""

    exit_code = 1


class UsageError(MienError):
    """An argument, setting or input that cannot be used."""

    exit_code = 2


class ConfigError(UsageError):
    """An unknown or invalid setting."""


class InputError(UsageError):
    """A picture, video, camera, stream or data file that cannot be read."""


class PictureError(InputError, ValueError):
    """What was handed over in Python is no picture: an array of another shape or type, a list, a URL."""


class ModelError(MienError):
    """A model file that carries no contract, or one that this version cannot read."""


class BrokerError(MienError):
    """An MQTT broker that cannot be reached or started, or that refuses the connection."""


class StoreError(MienError):
    """A store that cannot be opened, read or written.

    Attributes:
        public: The same for those who are not to know where the store is, such as viewers of the dashboard.
    """

    public = "the store cannot be read just now: its admin sees why on the page System"


class MissingExtraError(MienError):
    """A feature whose optional dependencies are not installed.

    Args:
        feature: What was asked for, as the user knows it.
        extra: The name of the extra that brings it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra '{extra}', which is not installed: pip install 'mien[{extra}]'")
        self.extra = extra


class PartialError(MienError):
    """The work was done in part; the message says what was kept and where."""
