"""The models of this machine: a training run's address goes in, a verified model file comes out.

A run's folder says in `latest.json` which of its models is newest and which is best, for each head: the one that
answers as FER-2013's labels do, and the one that answers as those who voted for FER+ did. The one that is wanted is
fetched, checked against its sha256, loaded and tried; only then does one atomic write make it this machine's model of
its head. What was used before, a pulled model or the one that comes with Mien, can be brought back. No torch is needed.

    <home>/models/fer2013.json     which model is used, and which was before; ferplus.json likewise
    <home>/models/<sha256>.onnx    those
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from mien.config import Settings, VisionSettings
from mien.errors import InputError, MienError, ModelError
from mien.masking import without_password
from mien.models.classifier import Classifier
from mien.system.files import replacing

__all__ = ["Head", "Installed", "current", "head_of", "in_use", "pull", "rollback", "sign"]

log = logging.getLogger(__name__)

MAX_INDEX = 1 << 20
MAX_MODEL = 200 << 20
"""The largest files that are fetched, in bytes."""

Head = Literal["fer2013", "ferplus"]
HEADS: tuple[Head, ...] = ("fer2013", "ferplus")
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Epoch(msgspec.Struct, frozen=True):
    """What a run says of one epoch; `accuracy` is that by the head's own labels on PublicTest."""

    epoch: Annotated[int, msgspec.Meta(ge=0)]
    accuracy: Annotated[float, msgspec.Meta(ge=0, le=1)]
    model: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}$")]
    sha256: Digest


class Epochs(msgspec.Struct, frozen=True):
    """The newest and the best epoch of one head."""

    latest: Epoch
    best: Epoch


class Run(Epochs, frozen=True, kw_only=True):
    """A run's `latest.json`: the epochs of the head `fer2013`, and those of `ferplus` if it was trained."""

    format: Literal[1]
    ferplus: Epochs | None = None


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
    """What the file of a head holds; None stands for the model that comes with Mien."""

    current: Installed | None
    previous: Installed | None = None


def pull(url: str, home: Path, *, which: Literal["best", "latest"] = "best", head: Head = "fer2013") -> Installed:
    """Make a run's model the one of this machine, and return what is known of it.

    Args:
        url: The run's folder: a path, or an address with http(s)://, s3:// or another protocol that fsspec knows.
        home: The state folder.
        which: The run's best epoch on PublicTest, or its latest.
        head: Whose answers the model gives: those of FER-2013's labels, or those of the people who voted for FER+.

    Raises:
        InputError: There is no run at the address, it has no such head, or what it says of itself cannot be used.
        ModelError: The model is not the one that the run describes, or carries no contract that this version reads.
        MissingExtraError: The protocol needs a package that is not installed.
        MienError: The address cannot be reached, or the state folder not be written.
    """
    from mien.models.download import download

    folder = (url.removesuffix("latest.json") or ".").rstrip("/") if url.strip() else ""
    if not folder or folder.endswith(":"):
        raise InputError(f"no run at '{url}': expected a run's folder or its address, such as s3://bucket/run")
    shown = without_password(folder)
    try:
        run = msgspec.json.decode(download(f"{folder}/latest.json", MAX_INDEX), type=Run)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"'{shown}/latest.json' is not what `mien train` writes: {error}") from error
    epochs = run.ferplus if head == "ferplus" else run
    if epochs is None:
        raise InputError(f"the run at '{shown}' has no model of the FER+ votes: its data held none; pull fer2013")
    wanted = epochs.latest if which == "latest" else epochs.best
    content = download(f"{folder}/{wanted.model}", MAX_MODEL)
    digest = hashlib.sha256(content).hexdigest()
    if digest != wanted.sha256:
        raise ModelError(
            f"'{shown}/{wanted.model}' is damaged: its sha256 is {digest[:12]}…, expected {wanted.sha256[:12]}…; the "
            "model of this machine stays as it was. Try again, or copy the run anew"
        )
    models = home / "models"
    try:
        models.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(_file(home, digest)) as part:
            part.write_bytes(content)
            model_id = _tried(part, f"{shown}/{wanted.model}")
        installed = Installed(model_id, digest, f"{shown}/{wanted.model}", wanted.epoch, wanted.accuracy)
        before = _pointer(home, head)
        if before.current is None or before.current.sha256 != digest:
            _point(home, head, Pointer(installed, before.current))
    except OSError as error:
        raise MienError(f"cannot write '{models}': {error.strerror}; check the space and your rights") from error
    return installed


def rollback(home: Path, head: Head = "fer2013") -> Installed | None:
    """Bring back what this machine used before the last pull or rollback.

    Returns:
        What is known of it; None: it is the model that comes with Mien.

    Raises:
        InputError: No model of this head was pulled.
        ModelError: The file of the model before is damaged.
        MienError: The state folder cannot be written.
    """
    known = _pointer(home, head)
    if known == Pointer(None):
        raise InputError(f"there is no earlier model to go back to: no {head} model was pulled (`mien model pull`)")
    if known.previous:
        _check(home, known.previous)
    try:
        _point(home, head, Pointer(known.previous, known.current))
    except OSError as error:
        raise MienError(f"cannot write '{home / 'models'}': {error.strerror}; check your rights") from error
    return known.previous


def current(home: Path, head: Head = "fer2013") -> tuple[Path, Installed] | None:
    """Return the file of the model that was pulled to this machine and what is known of it; None: Mien's own is used.

    Raises:
        ModelError: The file is missing, damaged, or has a contract that this version cannot read.
    """
    known = _pointer(home, head).current
    if known is None:
        return None
    _check(home, known)
    return _file(home, known.sha256), known


def in_use(settings: Settings) -> VisionSettings:
    """Return how faces are read on this machine: where the settings name no file, with the model pulled to it, if any.

    A pulled model that cannot be used is replaced by the one that comes with Mien, and the log says why.
    """
    head = head_of(settings.vision.model)
    if head is None:
        return settings.vision
    try:
        pulled = current(settings.home, head)
    except ModelError as error:
        log.warning("%s; until then the model that comes with Mien is used", error)
        return settings.vision
    return settings.vision.model_copy(update={"model": pulled[0]}) if pulled else settings.vision


def head_of(model: Path | None) -> Head | None:
    """Return the head whose model of this machine the setting `vision.model` means; None: it names a file."""
    name = "fer2013" if model is None else str(model)
    return next((head for head in HEADS if head == name), None)


def sign(home: Path, head: Head) -> tuple[int, int] | None:
    """Return what tells one choice of this machine's model from the next: each writes a new file."""
    try:
        status = _pointer_file(home, head).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _file(home: Path, digest: str) -> Path:
    return home / "models" / f"{digest}.onnx"


def _pointer_file(home: Path, head: Head) -> Path:
    return home / "models" / f"{head}.json"


def _check(home: Path, installed: Installed) -> None:
    file = _file(home, installed.sha256)
    try:
        status = file.stat()
    except OSError as error:
        raise ModelError(f"cannot read model '{file}': {error.strerror}; pull it again") from error
    if problem := _problem(file, installed.sha256, status.st_mtime_ns, status.st_size):
        raise ModelError(f"{problem}: pull it again, or go back with `mien model rollback`")


@functools.lru_cache(maxsize=8)
def _problem(file: Path, digest: str, _changed_ns: int, _size: int) -> str | None:
    """Return what is wrong with a model's file; looked at once, as long as it doesn't change."""
    try:
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            return f"model '{file}' is damaged"
        Classifier.load(file)
    except (OSError, ModelError) as error:
        return str(error)
    return None


def _pointer(home: Path, head: Head) -> Pointer:
    file = _pointer_file(home, head)
    try:
        return msgspec.json.decode(file.read_bytes(), type=Pointer)
    except FileNotFoundError:
        return Pointer(None)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read '{file}' ({error}): delete it and pull the model again") from error


def _point(home: Path, head: Head, pointer: Pointer) -> None:
    """Write the head's file atomically and drop the models that no head names any longer."""
    models = home / "models"
    with replacing(_pointer_file(home, head)) as part, part.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(pointer), indent=1))
        file.flush()
        os.fsync(file.fileno())
    try:
        pointers = [_pointer(home, head) for head in HEADS]
    except ModelError:
        return  # what the other head needs is not known
    kept = {model.sha256 for known in pointers for model in (known.current, known.previous) if model}
    for model in models.glob("*.onnx"):
        if model.stem not in kept:
            model.unlink(missing_ok=True)


def _tried(file: Path, origin: str) -> str:
    """Load the model, let it answer once and return its id."""
    try:
        classifier = Classifier.load(file)
        size = classifier.contract.input_size
        classifier.classify(np.zeros((1, size, size), np.uint8))
    except ModelError as error:
        reason = str(error).replace(str(file), origin)
        raise ModelError(f"{reason}; the model of this machine stays as it was") from error
    return classifier.model_id
