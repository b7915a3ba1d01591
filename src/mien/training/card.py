"""The model card: evaluations in, a page of Markdown out that says what the models can do and for whom they fail."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien.errors import InputError
from mien.observation import EMOTIONS
from mien.training.groups import worst
from mien.training.page import (
    PIPELINE_HEAD,
    SETS_HEAD,
    TRUST_HEAD,
    percent,
    pipeline_rows,
    sets_rows,
    trust,
    trust_rows,
)

__all__ = ["write"]

INTRODUCTION = """# Model card

*Made by `mien.training.card` from the evaluations; change that, not this page.*

Each of these networks looks at one grey picture of a face, 48x48 pixels, and says how likely people are to call its
expression angry, disgusted, fearful, happy, sad, surprised or neutral. `fer2013` answers as the labels of FER-2013 do,
`ferplus` as the ten people per picture did who voted for FER+. Take `ferplus` to describe how a face would strike
people, and `fer2013` to compare with published work on FER-2013. Published figures are mostly those of a single look;
what a network here looks at in one call stands beside its figures.

An expression is not a feeling: the networks know nothing of what a person feels, and people who look at the same
pictures often disagree. FER-2013's labels agree with the FER+ majority in 65.7 % of the 33,499 pictures that have one.

A third head says where a face looks (yaw, pitch and roll in degrees) and how open its eyes are, as MediaPipe's face
mesh (Apache-2.0) would. It learned from the mesh's answers on Training, on layers that stayed as they were; what it
says of PublicTest is in [Experiments](experiments.md#a-third-head). It says nothing where it expects to be wrong by
more than 5 degrees (4 of roll), nor of how open a mouth is, as it missed its bar there. No person checked the mesh.

Of a face that is hidden behind a mask, sunglasses or a hand, and of a drawing, the probabilities are drawn towards all
being as likely, so that no emotion is named; [how often one is all the same](experiments.md#hidden-faces) was measured
on covers that were drawn by code. Other faces are answered as without this gate, to the last bit.
"""
PIPELINE = """The whole pipeline: each face enlarged to 160 pixels and set into a frame of 320, found, cut out and read
as a photo's faces are. What real photos cost more is not in these figures."""
SETS = "Plausible emotions, by the thresholds in the model's contract, which were fitted on PublicTest:"
SETS_BY_VOTES = "The same by the FER+ majority:"
GROUPS = """For whom it fails, as far as pictures tell: quarters by light, contrast and sharpness, and how far the
face is turned aside, by the third head. p: how likely groups dealt out by chance differ as much, corrected for all
these tests."""
GROUPS_HEAD = ("by", "accuracy by group", "gap, points", "p", "unknown, faces")
DATA = """## Data and their licence

Trained on the {faces}Training faces of FER-2013 (Goodfellow et al. 2013, arXiv:1307.0414). Its pictures came from a
web search for emotion words; their rights lie with their makers, and the data set was given out for research. The
pictures are not part of Mien. The votes are those of FER+ (Barsoum et al. 2016, arXiv:1608.01041, MIT licence); only
those of Training are learned. Where a model says that one of its teachers began with ImageNet's weights, these are
EfficientNet-Lite0's (Tan and Le 2019, arXiv:1905.11946), given out under Apache-2.0; ImageNet's pictures are no freer.
The weights here are given out under Apache-2.0; whether weights learned from such pictures suit a commercial product
is for its maker to judge.

Settings, temperature and the threshold under which no emotion is named were chosen on PublicTest, so figures on
PublicTest flatter the model a little. A shift of each emotion's scores was fitted there too, after which the mean of
the answers is how often people named that emotion in Training; among faces where emotions are otherwise spread, means
still lean towards these shares. PrivateTest serves for the last figure of a release alone. Some test pictures also
stand in Training, pixel for pixel; accuracy is therefore given with and without them.
"""
LIMITS = """## Limits

- Posed and found web pictures, mostly of adults who look towards the camera: expect less on profiles, small or dark
  faces, masks, hands before the mouth, and on expressions in motion.
- Age, sex and skin colour need labels that the data set has not: how the figures differ by them was not measured.
  `mien evaluate --groups` measures it where you have such labels. Other networks trained on such pictures are known
  to err more often for groups that the web shows less.
- Inferring emotions of people at work or in schools is banned in the European Union (AI Act, Article 5(1)(f)), but for
  medical or safety reasons.
"""


def write(evaluations: Sequence[str | Path], out: str | Path, *, command: str) -> Path:
    """Write the card and return its path.

    Args:
        evaluations: The `evaluation.json` of each model.
        out: The Markdown file.
        command: What trained and exported the models.

    Raises:
        InputError: An evaluation cannot be read, or the card not be written.
    """
    read = [_read(path) for path in evaluations]
    parts = [INTRODUCTION, *(text for text, _ in read), DATA.format(faces=_count({count for _, count in read}))]
    steps = [
        command,
        "mien evaluate models/fer2013-int8.onnx --data fer2013.parquet --split PrivateTest --pipeline --out report/",
        "cp report/evaluation.json models/fer2013-int8.evaluation.json    # beside the model, the dashboard shows it",
        "python -m mien.training.card report/evaluation.json … --command '…' --out docs/model/card.md",
    ]
    parts += ["## How they were made\n\n```bash\n" + "".join(f"{step}\n" for step in steps) + "```\n", LIMITS]
    try:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_text("\n".join(parts), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write '{out}': {error.strerror}") from error
    return Path(out)


def _count(counts: set[int | None]) -> str:
    """Return how many faces there are, where the evaluations agree on it."""
    count = counts.pop() if len(counts) == 1 else None
    return f"{count:,} " if count else ""


def _read(path: str | Path) -> tuple[str, int | None]:
    """Return the text on an evaluation's model, and how many Training faces its data set had."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        return _model(found), found.get("training_faces")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{path}' is no evaluation: expected the evaluation.json of `mien evaluate`") from error


def _model(found: dict[str, Any]) -> str:
    table, brier = found["classes"], found["brier"]
    lines = [
        f"## {found['model']['id']}, on {found['split']}",
        "",
        f"Trained on: {found['model'].get('trained_on', 'unknown')}.",
        f"Looks at: {found['model'].get('looks') or 'unknown'}. In brackets: the 95 % interval.",
        "",
        "| figure | value |",
        "|---|---|",
        f"| accuracy | {percent(found['accuracy'])} |",
        f"| accuracy without Training's copies | {percent(found['accuracy_without_duplicates'])} |",
        f"| agreement with the FER+ majority | {percent(found['ferplus'])} |",
        f"| macro-F1 | {found['macro_f1']:.3f} |",
        f"| expected calibration error, 15 bins | {trust(found['calibration'])} |",
        f"| the same, bins of as many faces each | {found['calibration']['equal_mass']:.3f} |",
        f"| Brier score; if the probabilities were true | {brier['value']:.3f}; {brier['floor']:.3f} |",
    ]
    if found["ferplus_calibration"]:
        lines.append(f"| calibration error by the FER+ majority | {trust(found['ferplus_calibration'])} |")
    if kept := found["abstention"]:
        lines.append(
            f"| where the highest probability is {kept['threshold']:.3f} or more ({100 * kept['coverage']:.1f} %) | "
            f"{percent(kept['accuracy'])} |"
        )
    lines += ["", "| emotion | precision | recall | F1 | faces |", "|---|---|---|---|---|"]
    for emotion in EMOTIONS:
        row = table[emotion]
        shares = " | ".join("–" if row[key] is None else f"{row[key]:.3f}" for key in ("precision", "recall", "f1"))
        lines.append(f"| {emotion} | {shares} | {row['faces']:,} |")
    lines += ["", *_trust(found)]
    if found["pipeline"]:
        lines += [PIPELINE, "", *_rows(PIPELINE_HEAD, pipeline_rows(found["pipeline"])), ""]
    lines += [GROUPS, "", *_rows(GROUPS_HEAD, [_groups(attribute) for attribute in found["seen"]]), ""]
    return "\n".join([*lines, _failures(found), ""])


def _groups(attribute: dict[str, Any]) -> tuple[str, ...]:
    """Return the row on an attribute: the accuracy in each of its groups, and whether they differ."""
    shares = "; ".join(f"{group['group']}: {percent(group)}" for group in attribute["groups"])
    p = attribute["p_corrected"]
    return (
        attribute["attribute"],
        shares,
        "–" if attribute["gap"] is None else f"{100 * attribute['gap']:.1f}",
        "–" if p is None else f"{p:.2g}",
        f"{attribute['unknown']:,}",
    )


def _trust(found: dict[str, Any]) -> list[str]:
    """Return what the probabilities are worth: by emotion, and as sets of plausible emotions."""
    lines = ["Of each emotion's probability:", "", *_rows(TRUST_HEAD, trust_rows(found)), ""]
    for words, sets in ((SETS, found["sets"]), (SETS_BY_VOTES, found["ferplus_sets"])):
        lines += [words, "", *_rows(SETS_HEAD, sets_rows(sets)), ""] if sets else []
    return lines


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _failures(found: dict[str, Any]) -> str:
    """Name the confusions that meet the largest share of their faces, and the accuracy in parts of the faces."""
    pairs = worst(found["confusion"], EMOTIONS, 3)
    taken = ", ".join(f"{asked} taken for {told} ({100 * share:.0f} %)" for asked, told, share, _ in pairs)
    rows = [f"| {group['group']} | {percent(group)} |" for group in found["groups"]]
    return "\n".join([f"Most often wrong: {taken}.", "", "| accuracy where … | |", "|---|---|", *rows])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m mien.training.card", description="Write the model card.")
    parser.add_argument("evaluations", nargs="+", help="the evaluation.json of each model and split")
    parser.add_argument("--command", required=True, help="what trained and exported the models")
    parser.add_argument("--out", required=True, help="the Markdown file")
    given = parser.parse_args()
    try:
        write(given.evaluations, given.out, command=given.command)
    except InputError as error:
        parser.error(str(error))
