"""How good a model is, as far as it was measured: what `mien evaluate` wrote goes in, its main figures come out.

They are read from the file beside the model, `fer2013.evaluation.json` beside `fer2013.onnx`: an `evaluation.json`
as it is written. It counts only for the very file that was measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from mien.observation import Emotion

__all__ = ["Evaluation", "Recall", "Share", "evaluation_of"]


class Share(msgspec.Struct, frozen=True):
    """A share of faces with its 95 % interval, 0 to 1."""

    value: float
    low: float
    high: float
    faces: int


class Group(Share, frozen=True):
    """The accuracy over a part of the faces."""

    group: str


class Recall(msgspec.Struct, frozen=True):
    """How well one emotion is read, 0 to 1; None where there is nothing to divide by."""

    precision: float | None
    recall: float | None
    f1: float | None
    faces: int


class Calibration(msgspec.Struct, frozen=True):
    """The expected calibration error over 15 bins."""

    ece: float


class Abstention(msgspec.Struct, frozen=True):
    """The accuracy over the faces of which an emotion is named, and their share."""

    coverage: float
    accuracy: Share | None


class Named(msgspec.Struct, frozen=True):
    """The model that was measured: its name @ the first 8 hex digits of its file's sha256."""

    id: str


class Evaluation(msgspec.Struct, frozen=True):
    """The main figures of an evaluation.

    Attributes:
        model: Which was measured.
        split: On which part of FER-2013.
        accuracy: The share of faces named as the labels do.
        macro_f1: The mean of the emotions' F1.
        calibration: How far its probabilities are from how often it is right.
        classes: The emotions.
        groups: Parts of the faces.
        ferplus: The share of faces named as the majority does who voted for FER+.
        abstention: The accuracy where the model does not abstain.
    """

    model: Named
    split: Literal["Training", "PublicTest", "PrivateTest"]
    accuracy: Share
    macro_f1: float
    calibration: Calibration
    classes: dict[Emotion, Recall]
    groups: tuple[Group, ...] = ()
    ferplus: Share | None = None
    abstention: Abstention | None = None


def evaluation_of(file: Path, model_id: str) -> Evaluation | None:
    """Return what was measured of a model; None: nothing that lies beside its file.

    Args:
        file: The model's.
        model_id: Its name @ the first 8 hex digits of its file's sha256.
    """
    try:
        evaluation = msgspec.json.decode(file.with_suffix(".evaluation.json").read_bytes(), type=Evaluation)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return evaluation if evaluation.model.id == model_id else None
