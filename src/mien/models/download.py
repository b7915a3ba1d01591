"""Fetching files: an address goes in, the content comes out, bounded in size; fsspec only where need be."""

from __future__ import annotations

import http.client
import string
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from mien.errors import InputError, MienError, MissingExtraError
from mien.masking import without_password

__all__ = ["download"]

TIMEOUT_S = 30.0


def download(url: str, limit: int) -> bytes:
    """Return a file's content.

    Args:
        url: A path, or an address with http(s)://, s3:// or another protocol that fsspec knows.
        limit: The most bytes that it may have.

    Raises:
        InputError: There is no such file, it is too large, or the protocol is unknown.
        MissingExtraError: The protocol needs a package that is not installed.
        MienError: It cannot be read.
    """
    protocol = url.partition("://")[0].lower() if "://" in url else "file"
    read: Callable[[str, int], bytes] = {"file": _read_file, "http": _read_http, "https": _read_http}.get(
        protocol, _read_fsspec
    )
    shown = without_password(url)
    try:
        content = read(url, limit + 1)
    except FileNotFoundError as error:
        raise InputError(f"there is no '{shown}': expected the folder of a run of `mien train`") from error
    except (OSError, http.client.HTTPException) as error:
        raise MienError(f"cannot read '{shown}': {error}; check the address and your rights to it") from error
    if len(content) > limit:
        raise InputError(f"'{shown}' is larger than the {limit >> 20} MB allowed")
    return content


def _read_file(url: str, limit: int) -> bytes:
    with Path(url.partition("://")[2] if "://" in url else url).open("rb") as file:
        return file.read(limit)


def _read_http(url: str, limit: int) -> bytes:
    shown = without_password(url)
    try:
        place = urllib.parse.urlsplit(url)
        if not place.hostname:
            raise InputError(f"cannot read '{shown}': it names no host, as https://example.org/run would")
        if "@" in place.netloc:
            raise InputError(f"cannot read '{shown}': http and https are read without user and password here")
    except ValueError as error:
        raise InputError(f"cannot read '{shown}': it is no address ({str(error).lower()})") from error
    try:
        url = urllib.parse.quote(url, safe=string.printable)
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310  # `download` lets only http(s) here
            content: bytes = answer.read(limit)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.HTTPStatus.NOT_FOUND:
                raise FileNotFoundError(url) from error
            raise OSError(f"the server answers {error.code} {error.reason}") from error
    return content


def _read_fsspec(url: str, limit: int) -> bytes:
    protocol, shown = url.partition("://")[0], without_password(url)
    try:
        import fsspec

        files, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        if protocol == "s3":
            raise MissingExtraError(f"'{shown}'", "s3") from error
        raise InputError(f"cannot read '{shown}': {error}; install fsspec and its package for {protocol}://") from error
    except ValueError as error:
        raise InputError(f"cannot read '{shown}': {error}") from error
    try:
        with files.open(path, "rb") as file:
            content: bytes = file.read(limit)
    except OSError:
        raise
    except Exception as error:  # each protocol's package has its own
        raise OSError(" ".join(str(error).split())[:300] or type(error).__name__) from error
    return content
