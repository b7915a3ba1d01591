"""Reading emotions: face crops go in, seven calibrated probabilities for each come out, and from models that have a
third head also where the faces look and how open eyes and mouths are.

The model is an ONNX file that carries its contract in its own metadata: what it takes, what it gives, how it was
calibrated. A file without one is refused. `mien.training` writes such files by the same contract.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, ModelError
from mien.models.device import open_session
from mien.observation import EMOTIONS, MODEL_NAME

__all__ = ["GEOMETRY", "INPUT", "OUTPUT", "SHIPPED", "Classifier", "Contract", "Geometry"]

INPUT, OUTPUT = "pixels", "probabilities"
"""The names of the graph's input, float32 (n, 1, size, size), and of its output, float32 (n, 7)."""

GEOMETRY = "geometry"
"""The name of the output of the third head, where there is one, float32 (n, 10): yaw, pitch, roll, eyes, mouth, and
how far each of them is expected to be off."""

UNSURE = (5.0, 5.0, 4.0, 0.12, 0.12)
"""Where the third head expects to be off by more than this, it says nothing."""

SHIPPED = ("fer2013", "ferplus")
"""The models that come with Mien: trained on FER-2013's labels, and on the votes of FER+."""

LATER = ("looks", "plausible")
"""What files may lack that were written before there was such a thing."""

VERSION = "1"
PREFIX = "mien."
BATCH = 32


@dataclass(frozen=True)
class Contract:
    """What a model file says of itself, in its ONNX metadata, under keys that begin with `mien.`.

    Attributes:
        name: The model's, such as `mien-7`.
        input_size: The side of the crops that it takes, in pixels.
        temperature: What its scores were divided by to calibrate them; the graph has done so already.
        abstain_below: No emotion should be named where the highest probability is below this.
        trained_on: Which data.
        licence: Of the weights.
        labels: The emotions in the order of the output.
        input_range: What the pixels are; the graph does its own normalisation.
        looks: How it looks at a face, in words; empty where the file does not say.
        plausible: Pairs of a level, such as 0.9, and the probability from which each emotion is plausible at it, in the
            order of the labels; empty where the file does not say.
    """

    name: str
    input_size: int
    temperature: float
    abstain_below: float
    trained_on: str
    licence: str
    labels: tuple[str, ...] = EMOTIONS
    input_range: str = "0-255"
    looks: str = ""
    plausible: tuple[tuple[float, tuple[float, ...]], ...] = ()

    def to_metadata(self) -> dict[str, str]:
        """Return what goes into the ONNX file's metadata."""
        texts = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        texts |= {"contract": VERSION, "labels": ",".join(self.labels)}
        texts["plausible"] = ";".join(f"{level:g}:{','.join(map(str, least))}" for level, least in self.plausible)
        return {PREFIX + key: text for key, text in texts.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Contract:
        """Return the contract that an ONNX file's metadata hold.

        Raises:
            ModelError: There is none, it is of another version, or this version cannot serve it; the message says why.
        """
        texts = {key.removeprefix(PREFIX): text for key, text in metadata.items() if key.startswith(PREFIX)}
        if "contract" not in texts:
            raise ModelError("it carries no contract (no metadata key 'mien.contract'); `mien export` writes it")
        if texts["contract"] != VERSION:
            raise ModelError(f"its contract is of version {texts['contract']!r}, this Mien reads version {VERSION}")
        if missing := [field.name for field in fields(cls) if field.name not in texts and field.name not in LATER]:
            raise ModelError(f"its contract lacks {', '.join(PREFIX + name for name in missing)}")
        labels = tuple(texts["labels"].split(","))
        if labels != EMOTIONS:
            raise ModelError(f"its labels are {texts['labels']}, expected {','.join(EMOTIONS)}")
        if texts["input_range"] != "0-255":
            raise ModelError(f"its input range is {texts['input_range']!r}, expected '0-255'")
        if not re.fullmatch(MODEL_NAME, texts["name"]):
            raise ModelError(
                f"its name is {texts['name'][:80]!r}, expected 1 to 80 letters, digits, spaces or . _ + ( ) -, "
                "the first a letter or digit"
            )
        return cls(
            name=texts["name"],
            input_size=int(_number(texts, "input_size", 8, 512)),
            temperature=_number(texts, "temperature", 1e-3, 1e3),
            abstain_below=_number(texts, "abstain_below", 0, 1),
            trained_on=texts["trained_on"],
            licence=texts["licence"],
            looks=texts.get("looks", ""),
            plausible=_plausible(texts.get("plausible", "")),
        )


@dataclass(frozen=True)
class Geometry:
    """Where faces look, and how open eyes and mouths are; NaN where the model does not say.

    Attributes:
        pose: Yaw, pitch and roll in degrees, shape (n, 3), float32; it says all three or none. Yaw over 0: turned to
            the viewer's right; pitch grows as the chin comes down, an upright face is near 9; roll over 0: turned
            clockwise in the picture.
        openness: Of eyes and mouth, 0 (closed) to 1 (wide open), shape (n, 2), float32; eyes are usually near 0.6.
    """

    pose: NDArray[np.float32]
    openness: NDArray[np.float32]


class Classifier:
    """A model of emotions; make one with `Classifier.load`.

    Attributes:
        contract: What the model says of itself.
        file: What it was read from.
        model_id: Its name @ the first 8 hex digits of its file's sha256.
        threshold: No emotion should be named where the highest probability is below this.
        runs_on: A line that says on what it is computed, and why on nothing faster.
        sees_geometry: Whether it has a third head, for `read`.
    """

    def __init__(self, session: Any, contract: Contract, digest: str, file: Path) -> None:
        self.contract: Contract = contract
        self.file: Path = file
        self.model_id: str = f"{contract.name}@{digest[:8]}"
        self.threshold: float = contract.abstain_below
        self.runs_on: str = "runs on cpu"
        self.sees_geometry: bool = GEOMETRY in [given.name for given in session.get_outputs()]
        self._session = session

    @classmethod
    def load(cls, path: str | Path | None = None, *, threads: int = 1, device: str = "cpu") -> Classifier:
        """Return the model in a file.

        Args:
            path: An ONNX file with a contract; None or "fer2013": the shipped model trained on FER-2013's labels;
                "ferplus": the one trained on the votes of FER+.
            threads: How many threads it computes on, where that is the processor.
            device: `auto` or one of `mien.models.device.DEVICES`.

        Raises:
            ModelError: There is no such file, or it carries no contract, or one that this version cannot read; or the
                device cannot be used here.
        """
        file = _file(path)
        try:
            content = file.read_bytes()
        except (OSError, ValueError) as error:  # a ValueError: there is a null character in the path
            reason = error.strerror if isinstance(error, OSError) else error
            raise ModelError(f"cannot read model '{file}': {reason}") from error
        try:
            session, runs_on = open_session(content, device, threads)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"cannot read model '{file}': it is no ONNX model that can be run here") from error
        try:
            contract = Contract.from_metadata(session.get_modelmeta().custom_metadata_map)
            _check_graph(session)
        except ModelError as error:
            raise ModelError(f"cannot use model '{file}': {error}") from None
        classifier = cls(session, contract, hashlib.sha256(content).hexdigest(), file)
        classifier.runs_on = runs_on
        return classifier

    def classify(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return one probability per emotion for each face crop.

        Args:
            crops: Grey face crops, shape (n, h, w), uint8, 0-255; n may be 0.

        Returns:
            Probabilities, shape (n, 7), float32, in EMOTIONS order, calibrated; each row sums to 1.

        Raises:
            ValueError: The crops have another shape or type.
            ModelError: The model cannot be run, or gives something else than probabilities.
        """
        return self.read(crops)[0]

    def read(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Geometry | None]:
        """Return what `classify` does, and where the faces look; None for the latter where the model has no third head.

        Args:
            crops: As for `classify`.

        Raises:
            ValueError: The crops have another shape or type.
            ModelError: The model cannot be run, or gives something else than it should.
        """
        crops = np.asarray(crops)
        if crops.ndim != 3 or crops.dtype != np.uint8 or 0 in crops.shape[1:]:
            raise ValueError(f"crops must be uint8 of shape (n, h, w), not {crops.dtype} of shape {crops.shape}")
        if crops.shape[2] in (3, 4):
            raise ValueError(f"crops must be grey, of shape (n, h, w): {crops.shape} is that of one colour picture")
        results = np.empty((len(crops), len(EMOTIONS)), np.float32)
        seen = np.empty((len(crops), 2 * len(UNSURE)), np.float32)
        for start in range(0, len(crops), BATCH):
            part = slice(start, start + BATCH)
            results[part], seen[part] = self._run(self._to_size(crops[part]))
        return results, _geometry(seen) if self.sees_geometry else None

    def plausible(self, probabilities: NDArray[np.float32], level: float) -> NDArray[np.bool_]:
        """Return which emotions are plausible of each face: of those that people see in faces, so large a share.

        These are conformal sets by class: of faces like those that the thresholds were fitted on, each emotion is
        among the plausible ones in at least this share of the faces that show it (Sadinle, Lei and Wasserman 2019,
        "Least ambiguous set-valued classifiers with bounded error levels"). The likeliest emotion is always among them.

        Args:
            probabilities: As `classify` returns them, shape (n, 7).
            level: One of those in the model's contract, such as 0.9.

        Returns:
            Shape (n, 7), in EMOTIONS order.

        Raises:
            InputError: The model does not know the level.
        """
        known = dict(self.contract.plausible)
        if level not in known:
            levels = ", ".join(f"{each:g}" for each in known)
            raise InputError(
                f"model {self.model_id} tells no plausible emotions at {level:g}: "
                + (f"expected one of {levels}" if levels else "`python -m mien.training.export` teaches it to")
            )
        shares = np.asarray(probabilities).reshape(-1, len(EMOTIONS))
        likeliest = np.arange(len(EMOTIONS)) == shares.argmax(1)[:, None]
        return np.asarray((shares >= np.array(known[level])) | likeliest)

    def _to_size(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        import cv2

        size = self.contract.input_size
        if crops.shape[1:] == (size, size):
            return crops[:, None].astype(np.float32)
        way = cv2.INTER_AREA if max(crops.shape[1:]) > size else cv2.INTER_CUBIC
        sized = [cv2.resize(face, (size, size), interpolation=way) for face in crops]
        return np.asarray(sized, np.float32)[:, None]

    def _run(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the probabilities, (n, 7), and what the third head says, (n, 10); NaN where there is none."""
        names = [OUTPUT, GEOMETRY] if self.sees_geometry else [OUTPUT]
        try:
            given, *more = (np.asarray(output) for output in self._session.run(names, {INPUT: pixels}))
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"model {self.model_id} fails on input of shape {pixels.shape}: {reason}") from error
        seen = more[0] if more else np.full((len(pixels), 2 * len(UNSURE)), np.nan)
        for output, columns in ((given, len(EMOTIONS)), (seen, 2 * len(UNSURE))):
            if output.shape != (len(pixels), columns):
                raise ModelError(
                    f"model {self.model_id} gives shape {output.shape} for {len(pixels)} crops, "
                    f"expected ({len(pixels)}, {columns})"
                )
        if not (given.min() >= 0 and np.abs(given.sum(1) - 1).max() <= 1e-3):  # NaN fails both
            raise ModelError(f"model {self.model_id} gives numbers that are no probabilities")
        return given.astype(np.float32, copy=False), seen.astype(np.float32, copy=False)


def _geometry(seen: NDArray[np.float32]) -> Geometry:
    """Return what the third head says, without what it is unsure of."""
    values, errors = np.split(seen, 2, axis=1)
    sure = errors <= UNSURE  # NaN is not
    pose = np.where(sure[:, :3].all(1, keepdims=True), values[:, :3], np.nan)
    openness = np.where(sure[:, 3:], values[:, 3:].clip(0, 1), np.nan)
    return Geometry(pose.astype(np.float32), openness.astype(np.float32))


def _file(path: str | Path | None) -> Path:
    name = str(path) if path is not None else SHIPPED[0]
    if name not in SHIPPED:
        return Path(name)
    file = Path(__file__).parent / "weights" / f"{name}.onnx"
    if not file.exists():
        raise ModelError(f"the model '{name}' does not come with this version of Mien: name an ONNX file instead")
    return file


def _check_graph(session: Any) -> None:
    inputs = [given.name for given in session.get_inputs()]
    outputs = [given.name for given in session.get_outputs()]
    if inputs != [INPUT] or OUTPUT not in outputs:
        raise ModelError(
            f"its graph takes {', '.join(inputs)} and gives {', '.join(outputs)}, expected {INPUT} and {OUTPUT}"
        )


def _plausible(text: str) -> tuple[tuple[float, tuple[float, ...]], ...]:
    """Return the thresholds that the contract's text holds, such as `0.9:0.1,0.2,…;0.95:…`."""
    table: list[tuple[float, tuple[float, ...]]] = []
    try:
        for part in filter(None, text.split(";")):
            written, _, least = part.partition(":")
            table.append((float(written), tuple(float(share) for share in least.split(","))))
    except ValueError:
        table = [(math.nan, ())]
    for level, shares in table:
        if not 0 < level < 1 or len(shares) != len(EMOTIONS) or not all(0 <= share <= 1 for share in shares):
            raise ModelError(
                f"its {PREFIX}plausible is {text[:80]!r}, expected a level and {len(EMOTIONS)} probabilities, each "
                "from 0 to 1, as in 0.9:0.1,0.2,…"
            )
    return tuple(table)


def _number(texts: Mapping[str, str], key: str, low: float, high: float) -> float:
    try:
        value = float(texts[key])
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise ModelError(f"its {PREFIX}{key} is {texts[key]!r}, expected a number from {low:g} to {high:g}")
    return value
