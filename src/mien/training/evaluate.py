"""Evaluate: a model and a data set in, what it gets right and wrong out, as numbers, a page and JSON.

The split is PublicTest unless another is asked for by name: PrivateTest is for the final figure of a released model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime

from mien.errors import InputError, ModelError
from mien.models.classifier import SHIPPED, Classifier
from mien.observation import EMOTIONS
from mien.training import data as faces_data
from mien.training import figures
from mien.training import groups as parts
from mien.training.audit import audit, duplicates
from mien.training.data import USAGES, Faces, Usage
from mien.training.foreign import ForeignModel
from mien.training.groups import groups
from mien.training.page import page, trust

__all__ = ["Evaluation", "audit", "evaluate", "load_model", "measure"]


LISTED = "listed "
"""Before the name of what the user lists, so that it may be called as what is seen."""
NO_FORM = {"labels": None, "input_range": "0-255", "mean": (0.0,), "std": (1.0,)}


class Model(Protocol):
    """What can be evaluated."""

    model_id: str

    def classify(self, crops: Any) -> Any:
        """Return probabilities, shape (n, 7), for grey face crops, shape (n, h, w), uint8."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        figures: Everything that `evaluation.json` holds.
        files: The files written.
    """

    figures: dict[str, Any]
    files: list[Path]

    def lines(self) -> list[str]:
        """Return the findings in short, for a terminal."""
        found, lowest = self.figures, self.figures["lowest_recall"]
        lines = [
            f"{found['model']['id']} on {found['split']}, {found['faces']:,} faces",
            f"accuracy                      {_share(found['accuracy'])}",
            f"  without Training's copies   {_share(found['accuracy_without_duplicates'])}",
            f"macro-F1                      {found['macro_f1']:.3f}",
            f"lowest recall                 {lowest['value']:.1%} ({lowest['emotion']})",
            f"calibration error (ECE)       {trust(found['calibration'])}",
        ]
        if found["ferplus"]:
            lines.append(f"agreement with FER+ majority  {_share(found['ferplus'])}")
        if found["abstention"]:
            kept = found["abstention"]
            lines.append(f"where it names an emotion     {_share(kept['accuracy'])}, {kept['coverage']:.1%} of all")
        lines += [
            f"plausible emotions at {sets['level']:.0%}     {sets['mean_size']:.1f} a face, the label among them "
            f"{_share(sets['covered'])}"
            for sets in found["sets"]
        ]
        for ground in found["pipeline"] or []:
            lines += [
                f"whole pipeline, {ground['ground']}: not found {_share(ground['missed'])}",
                f"  the others as raw crops     {_share(ground['raw'])}",
                f"  through detector and crop   {_share(ground['through'])}",
            ]
        lines += [parts.lines(attribute)[0] for attribute in found["seen"]]
        for attribute in found["attributes"]:
            lines += parts.lines(attribute)
        if other := found["comparison"]:
            lines.append(
                f"against {other['model']}: {other['difference']:+.1%} "
                f"({other['low']:+.1%} to {other['high']:+.1%}), McNemar's exact p = {other['p']:.2g}"
            )
        return lines


def evaluate(
    model: str | Path,
    data: str | Path,
    *,
    split: Usage = "PublicTest",
    held_out: float | None = None,
    skip_bad: bool = False,
    out: str | Path | None = None,
    compare: str | Path | None = None,
    groups_of: str | Path | None = None,
    labels: Sequence[str] | None = None,
    input_range: str = "0-255",
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
    through: Callable[[Model, Faces], list[dict[str, Any]]] | None = None,
) -> Evaluation:
    """Evaluate a model and write `evaluation.json` and `evaluation.html`.

    Args:
        model: An ONNX file, or `fer2013` or `ferplus` for a model that comes with Mien.
        data: The data set.
        split: The faces to evaluate on.
        held_out: The share of faces that is PublicTest, for data that does not tell what each is for.
        skip_bad: Leave out rows that cannot be used.
        out: The folder to write to; None: nothing is written.
        compare: Another model, to be compared on the same faces.
        groups_of: A list of what else is known of the faces, as `mien.training.groups.read` takes it.
        labels: What the outputs of a model without Mien's contract mean, in their order.
        input_range: What the pixels of such a model are: `0-255`, `0-1` or `-1-1`.
        mean: What is then taken off them, for all its channels or for each.
        std: What they are divided by after that.
        through: Measures what becomes of the faces in the whole pipeline, as `mien.run.pipeline_accuracy` does.

    Raises:
        InputError: The data set, split, groups, labels or folder cannot be used, or a model has a contract and so takes
            no labels and no range.
        ModelError: A model cannot be read or run.
    """
    if split not in USAGES:
        raise InputError(f"unknown split '{split}': expected one of {', '.join(USAGES)}")
    form = {"labels": labels, "input_range": input_range, "mean": mean, "std": std}
    chosen = load_model(model, **form)
    other = load_model(compare, **form) if compare else None
    if form != NO_FORM and not any(isinstance(one, ForeignModel) for one in (chosen, other)):
        raise InputError(
            f"'{model}' says itself what it takes and gives: labels, input range, mean and std are for models of others"
        )
    if groups_of and skip_bad:
        raise InputError(
            "groups name faces by their number, which changes if rows are left out: mend the data or give no groups"
        )
    usages = USAGES if groups_of else {"Training", split}  # groups count the faces of all splits
    faces = faces_data.load(data, usages, skip_bad=skip_bad, split=held_out)
    known = parts.read(groups_of, len(faces)) if groups_of else {}
    if not (faces.usage == split).any():
        raise InputError(f"'{data}' holds no {split} faces: choose another split")
    asked = faces.split(split)
    probabilities, yaw = _answers(chosen, asked.pixels)
    found: dict[str, Any] = {"model": {"id": chosen.model_id}, **measure(probabilities, asked)}
    found |= {"split": split, "data": Path(data).name, "training_faces": int((faces.usage == "Training").sum())}
    found |= {"abstention": None, "accuracy_without_duplicates": None, "comparison": None}
    found |= {"sets": [], "ferplus_sets": [], "pipeline": through(chosen, asked) if through else None}
    right = probabilities.argmax(1) == asked.labels
    seen = parts.seen(asked.pixels, yaw)
    listed = {f"{LISTED}{name}": of[faces.usage == split] for name, of in known.items()}
    rows = parts.attributes(seen | listed, right)  # all tests are corrected for each other
    found["seen"] = rows[: len(seen)]
    found["attributes"] = [row | {"attribute": row["attribute"].removeprefix(LISTED)} for row in rows[len(seen) :]]
    if isinstance(chosen, Classifier):
        kept = probabilities.max(1) >= chosen.threshold
        found["model"] |= asdict(chosen.contract)
        found["abstention"] = {
            "threshold": chosen.threshold,
            "coverage": float(kept.mean()),
            "accuracy": figures.accuracy(right[kept]) if kept.any() else None,
        }
        voted = asked.majority >= 0
        sets = {level: chosen.plausible(probabilities, level) for level, _ in chosen.contract.plausible}
        found["sets"] = figures.coverage(sets, asked.labels)
        by_votes = {level: inside[voted] for level, inside in sets.items()}
        found["ferplus_sets"] = figures.coverage(by_votes, asked.majority[voted]) if voted.any() else []
    if split != "Training":
        training = faces.split("Training")
        copied = {pair[0] for pair in duplicates(asked.pixels, training.pixels)} if len(training) else set()
        alone = np.array([index not in copied for index in range(len(asked))])
        found["accuracy_without_duplicates"] = figures.accuracy(right[alone])
    if other:
        others_right = other.classify(asked.pixels).argmax(1) == asked.labels
        found["comparison"] = {"model": other.model_id, "accuracy": figures.accuracy(others_right)}
        found["comparison"] |= figures.compare(right, others_right)
    return Evaluation(found, _write(found, asked, probabilities, Path(out)) if out else [])


def _answers(model: Classifier | ForeignModel, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the probabilities, (n, 7), and the yaw where the model has a third head, (n,)."""
    if not isinstance(model, Classifier):
        return model.classify(pixels), None
    probabilities, geometry = model.read(pixels)
    return probabilities, None if geometry is None else geometry.pose[:, 0]


def load_model(model: str | Path, **form: Any) -> Classifier | ForeignModel:
    """Return Mien's own model, or one of others where the file carries no contract.

    Args:
        model: An ONNX file, or the name of a model that comes with Mien.
        form: What `ForeignModel` must be told of one of others.

    Raises:
        ModelError: The file cannot be read or run.
        InputError: The labels or the range do not fit.
    """
    if str(model) in SHIPPED:
        return Classifier.load(str(model))
    try:
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(
            f"cannot read model '{model}': it is missing, or no ONNX model that can be run here"
        ) from error
    if "mien.contract" in session.get_modelmeta().custom_metadata_map:
        return Classifier.load(model)
    return ForeignModel(model, **form)


def measure(probabilities: np.ndarray, faces: Faces) -> dict[str, Any]:
    """Return the figures of a model's answers.

    Args:
        probabilities: What it answered, shape (n, 7).
        faces: What it was asked.
    """
    answers = probabilities.argmax(1)
    right = answers == faces.labels
    matrix = figures.confusion(faces.labels, answers)
    table = figures.classes(matrix)
    lowest = min((e for e in EMOTIONS if table[e]["faces"]), key=lambda emotion: table[emotion]["recall"])
    voted = faces.majority >= 0
    agreed = answers[voted] == faces.majority[voted]
    known = [row["f1"] for row in table.values() if row["f1"] is not None]
    likelihood = probabilities[np.arange(len(faces)), faces.labels].clip(1e-7)
    return {
        "faces": len(faces),
        "accuracy": figures.accuracy(right),
        "macro_f1": float(np.mean(known)),
        "lowest_recall": {"emotion": lowest, "value": table[lowest]["recall"]},
        "classes": table,
        "confusion": matrix.tolist(),
        "calibration": figures.calibration(probabilities, right),
        "class_calibration": figures.class_calibration(probabilities, faces.labels),
        "brier": figures.brier(probabilities, faces.labels),
        "negative_log_likelihood": float(-np.log(likelihood).mean()),
        "risk_coverage": figures.risk_coverage(probabilities, right),
        "ferplus": figures.accuracy(agreed) if voted.any() else None,
        "ferplus_calibration": figures.calibration(probabilities[voted], agreed) if voted.any() else None,
        "groups": groups(faces, right),
    }


def _write(found: dict[str, Any], faces: Faces, probabilities: np.ndarray, out: Path) -> list[Path]:
    files = {"evaluation.json": json.dumps(found, indent=1), "evaluation.html": page(found, faces, probabilities)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (out / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write to '{out}': {error.strerror}; give another folder with --out") from error
    return [out / name for name in files]


def _share(figure: dict[str, Any] | None) -> str:
    if not figure or figure["value"] is None:
        return "no such faces"
    return f"{figure['value']:.1%} ({figure['low']:.1%} to {figure['high']:.1%} at 95 %, {figure['faces']:,} faces)"
