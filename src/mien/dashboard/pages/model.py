"""The model card on the page System: what the model in use says of itself, and what was measured of it.

A loaded model and its evaluation go in, HTML comes out of a macro of `templates/parts/system.html`. Nothing here is
known of any model beforehand.
"""

from __future__ import annotations

from typing import NamedTuple

from mien.dashboard.rendering import part
from mien.models.classifier import Contract
from mien.models.evaluation import Evaluation, Share
from mien.observation import EMOTIONS, Emotion

__all__ = ["model_card"]


class Details(NamedTuple):
    """How good a model is on each emotion and on groups of faces, in cells of text."""

    classes: list[tuple[Emotion, list[str]]]
    groups: list[tuple[str, str]]


def model_card(model_id: str, contract: Contract, measured: Evaluation | None) -> str:
    """Return the card.

    Args:
        model_id: The model's name @ the first 8 hex digits of its file's sha256.
        contract: What it says of itself.
        measured: What was measured of it, if anything.
    """
    pairs = {"Model": model_id}
    if measured:
        pairs |= _figures(measured)
    pairs |= {
        "Trained on": contract.trained_on, "Licence": contract.licence,
        "Looks at": f"grey faces of {contract.input_size} × {contract.input_size} pixels",
        "Names none": f"where the highest probability is below {contract.abstain_below:.3f}",
        "Calibrated": f"temperature {contract.temperature:.3f}",
    }  # fmt: skip
    return part("system.model", pairs, _details(measured) if measured else None)


def _figures(measured: Evaluation) -> dict[str, str]:
    pairs = {
        "Accuracy": f"{_percent(measured.accuracy)}, {measured.accuracy.faces:,} faces of {measured.split}",
        "Macro-F1": f"{measured.macro_f1:.3f}",
        "Calibration error": f"{measured.calibration.ece:.3f} (ECE, 15 bins)",
    }
    if measured.ferplus:
        pairs["As FER+ votes"] = _percent(measured.ferplus)
    if (kept := measured.abstention) and kept.accuracy:
        pairs["Where it names one"] = f"{_percent(kept.accuracy)}, {100 * kept.coverage:.1f}\u202f% of the faces"
    return pairs


def _details(measured: Evaluation) -> Details:
    classes = []
    for emotion in EMOTIONS:
        if (figures := measured.classes.get(emotion)) is None:
            continue
        shares = (figures.precision, figures.recall, figures.f1)
        classes.append(
            (emotion, [*("–" if share is None else f"{share:.2f}" for share in shares), f"{figures.faces:,}"])
        )
    return Details(classes, [(group.group, _percent(group)) for group in measured.groups])


def _percent(share: Share) -> str:
    return f"{100 * share.value:.1f}\u202f% ({100 * share.low:.1f} to {100 * share.high:.1f}\u202f%)"
