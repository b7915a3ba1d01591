"""The model card on the page System: what the model in use says of itself, and what was measured of it.

A loaded model and its evaluation go in, HTML comes out. Nothing here is known of any model beforehand.
"""

from __future__ import annotations

from mien.dashboard.pages.cards import dot, text
from mien.models.classifier import Contract
from mien.models.evaluation import Evaluation, Share
from mien.observation import EMOTIONS

__all__ = ["model_card"]

UNKNOWN = (
    '<p class="fine">How good it is, is not known here: no evaluation of it lies beside its file. <code>mien evaluate'
    "</code> measures it; its <code>evaluation.json</code>, kept beside <code>NAME.onnx</code> as "
    "<code>NAME.evaluation.json</code>, is shown here.</p>"
)
HEADS = ("Emotion", "Precision", "Recall", "F1", "Faces")


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
    told = "".join(f"<dt>{name}</dt><dd>{text(words)}</dd>" for name, words in pairs.items())
    return f"<dl>{told}</dl>{_details(measured) if measured else UNKNOWN}"


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


def _details(measured: Evaluation) -> str:
    rows = []
    for emotion in EMOTIONS:
        if (found := measured.classes.get(emotion)) is None:
            continue
        shares = (found.precision, found.recall, found.f1)
        cells = [*("–" if one is None else f"{one:.2f}" for one in shares), f"{found.faces:,}"]
        rows.append(
            f'<tr><th scope="row">{dot(emotion)}{emotion.capitalize()}</th>'
            f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        )
    head = "".join(f'<th scope="col">{word}</th>' for word in HEADS)
    groups = "".join(f"<dt>{text(group.group)}</dt><dd>{_percent(group)}</dd>" for group in measured.groups)
    return (
        '<details class="more"><summary>Each emotion, and where it errs</summary>'
        f'<table class="numbers"><caption class="unseen">Each emotion</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
        f"<h3>Accuracy where …</h3><dl>{groups}</dl></details>"
    )


def _percent(share: Share) -> str:
    return f"{100 * share.value:.1f}\u202f% ({100 * share.low:.1f} to {100 * share.high:.1f}\u202f%)"
