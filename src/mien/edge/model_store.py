"""The model of this machine: a training run's address goes in, a verified model file comes out.

A run's folder says in `latest.json` which of its models is newest and which is best. The one that is wanted is fetched,
checked against its sha256, loaded and tried; only then does one atomic write make it the model of this machine. The
model before it is kept, so that one command brings it back. No torch is needed.

    <home>/models/current.json     which model is used, and which was before
    <home>/models/<sha256>.onnx    those two
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from mien.errors import InputError, MienError, MissingExtraError, ModelError
from mien.vision.emotions import Classifier

__all__ = ["Installed", "current", "pull", "rollback"]

MAX_INDEX = 1 << 20
MAX_MODEL = 200 << 20
"""The largest files that are fetched, in bytes."""
TIMEOUT_S = 30.0

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Epoch(msgspec.Struct, frozen=True):
    """What a run says of one epoch."""

    epoch: Annotated[int, msgspec.Meta(ge=0)]
    accuracy: Annotated[float, msgspec.Meta(ge=0, le=1)]
    model: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}$")]
    sha256: Digest


class Run(msgspec.Struct, frozen=True):
    """A run's `latest.json`."""

    format: Literal[1]
    latest: Epoch
    best: Epoch


class Installed(msgspec.Struct, frozen=True):
    """A model on this machine.

    Attributes:
        model_id: The model's name @ the first 8 hex digits of its sha256.
        sha256: Of the file.
        origin: Where it was fetched from.
        epoch: Of the run.
        accuracy: On PublicTest, as the run says; 0 to 1.
    """

    model_id: str
    sha256: Digest
    origin: str
    epoch: int
    accuracy: float


class Pointer(msgspec.Struct, frozen=True):
    """What `current.json` holds."""

    current: Installed
    previous: Installed | None = None


def pull(url: str, home: Path, *, which: Literal["best", "latest"] = "best") -> Installed:
    """Make a run's model the one of this machine, and return what is known of it.

    Args:
        url: The run's folder: a path, or an address with http(s)://, s3:// or another protocol that fsspec knows.
        home: The state folder.
        which: The run's best epoch on PublicTest, or its latest.

    Raises:
        InputError: There is no run at the address, or what it says of itself cannot be used.
        ModelError: The model is not the one that the run describes, or carries no contract that this version reads.
        MissingExtraError: The protocol needs a package that is not installed.
        MienError: The address cannot be reached, or the state folder not be written.
    """
    folder = url.removesuffix("latest.json").rstrip("/")
    try:
        run = msgspec.json.decode(_fetch(f"{folder}/latest.json", MAX_INDEX), type=Run)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"'{folder}/latest.json' is not what `mien train` writes: {error}") from error
    wanted = run.latest if which == "latest" else run.best
    content = _fetch(f"{folder}/{wanted.model}", MAX_MODEL)
    digest = hashlib.sha256(content).hexdigest()
    if digest != wanted.sha256:
        raise ModelError(
            f"'{folder}/{wanted.model}' is damaged: its sha256 is {digest[:12]}…, expected {wanted.sha256[:12]}…; the "
            "model of this machine stays as it was. Try again, or copy the run anew"
        )
    models = home / "models"
    try:
        models.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = models / f"{digest}.part"
        part.write_bytes(content)
        model_id = _tried(part, f"{folder}/{wanted.model}")
        part.replace(_file(home, digest))
        installed = Installed(model_id, digest, f"{folder}/{wanted.model}", wanted.epoch, wanted.accuracy)
        known = _pointer(home)
        if known is None or known.current.sha256 != digest:
            _point(home, Pointer(installed, known.current if known else None))
    except OSError as error:
        raise MienError(f"cannot write '{models}': {error.strerror}; check the space and your rights") from error
    return installed


def rollback(home: Path) -> Installed:
    """Make the model before the present one the one of this machine again, and return what is known of it.

    Raises:
        InputError: No model was pulled before the present one.
        ModelError: Its file is damaged.
        MienError: The state folder cannot be written.
    """
    known = _pointer(home)
    if known is None or known.previous is None:
        raise InputError("there is no earlier model to go back to: `mien model pull` keeps the one that it replaces")
    _check(home, known.previous)
    try:
        _point(home, Pointer(known.previous, known.current))
    except OSError as error:
        raise MienError(f"cannot write '{home / 'models'}': {error.strerror}; check your rights") from error
    return known.previous


def current(home: Path) -> tuple[Path, Installed] | None:
    """Return the file of the model that was pulled to this machine and what is known of it, or None.

    Raises:
        ModelError: The file is missing or damaged.
    """
    known = _pointer(home)
    if known is None:
        return None
    _check(home, known.current)
    return _file(home, known.current.sha256), known.current


def _file(home: Path, digest: str) -> Path:
    return home / "models" / f"{digest}.onnx"


def _check(home: Path, installed: Installed) -> None:
    file = _file(home, installed.sha256)
    try:
        whole = hashlib.sha256(file.read_bytes()).hexdigest() == installed.sha256
    except OSError as error:
        raise ModelError(f"cannot read model '{file}': {error.strerror}; pull it again") from error
    if not whole:
        raise ModelError(f"model '{file}' is damaged: pull it again, or go back with `mien model rollback`")


def _pointer(home: Path) -> Pointer | None:
    file = home / "models" / "current.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Pointer)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read '{file}' ({error}): delete it and pull the model again") from error


def _point(home: Path, pointer: Pointer) -> None:
    """Write current.json atomically and drop the models that it no longer names."""
    models = home / "models"
    part = models / f"current.{os.getpid()}.part"
    with part.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(pointer), indent=1))
        file.flush()
        os.fsync(file.fileno())
    part.replace(models / "current.json")
    kept = {pointer.current.sha256, pointer.previous.sha256 if pointer.previous else ""}
    for model in models.glob("*.onnx"):
        if model.stem not in kept:
            model.unlink(missing_ok=True)


def _tried(file: Path, origin: str) -> str:
    """Load the model and let it answer once; return its id, or remove the file."""
    try:
        classifier = Classifier.load(file)
        size = classifier.contract.input_size
        classifier.classify(np.zeros((1, size, size), np.uint8))
    except ModelError as error:
        file.unlink(missing_ok=True)
        reason = str(error).replace(str(file), origin)
        raise ModelError(f"{reason}; the model of this machine stays as it was") from error
    return classifier.model_id


def _fetch(url: str, limit: int) -> bytes:
    """Return a file's content, at most `limit` bytes."""
    protocol = url.partition("://")[0].lower() if "://" in url else "file"
    read: Callable[[str, int], bytes] = {"file": _read_file, "http": _read_http, "https": _read_http}.get(
        protocol, _read_fsspec
    )
    try:
        content = read(url, limit + 1)
    except FileNotFoundError as error:
        raise InputError(f"there is no '{url}': expected the folder of a run of `mien train`") from error
    except (OSError, http.client.HTTPException) as error:
        raise MienError(f"cannot read '{url}': {error}; check the address and your rights to it") from error
    if len(content) > limit:
        raise InputError(f"'{url}' is larger than the {limit >> 20} MB allowed")
    return content


def _read_file(url: str, limit: int) -> bytes:
    with Path(url.removeprefix("file://")).open("rb") as file:
        return file.read(limit)


def _read_http(url: str, limit: int) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310  # `_fetch` lets only http(s) here
            content: bytes = answer.read(limit)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.HTTPStatus.NOT_FOUND:
                raise FileNotFoundError(url) from error
            raise OSError(f"the server answers {error.code} {error.reason}") from error
    return content


def _read_fsspec(url: str, limit: int) -> bytes:
    protocol = url.partition("://")[0]
    try:
        import fsspec

        files, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        if protocol == "s3":
            raise MissingExtraError(f"'{url}'", "s3") from error
        raise InputError(f"cannot read '{url}': {error}; install fsspec and its package for {protocol}://") from error
    except ValueError as error:
        raise InputError(f"cannot read '{url}': {error}") from error
    try:
        with files.open(path, "rb") as file:
            content: bytes = file.read(limit)
    except OSError:
        raise
    except Exception as error:  # each protocol's package has its own
        raise OSError(str(error).partition("\n")[0]) from error
    return content
