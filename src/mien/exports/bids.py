"""BIDS: a tidy time line goes in, an events.tsv and the JSON file that describes its columns come out.

The columns `onset`, `duration` and `trial_type` are those of the Brain Imaging Data Structure (task events); what it
leaves free, `subject`, `kind`, `text` and `probability`, is described in the JSON file, as BIDS asks. Nothing else of a
BIDS data set is made.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from mien.exports.timeline import UNCLEAR, Kind, Timeline
from mien.observation import EMOTIONS
from mien.table import cells
from mien.version import __version__

__all__ = ["as_events", "as_sidecar"]

COLUMNS = ("onset", "duration", "trial_type", "subject", "kind", "text", "probability")
NOTHING = "n/a"
TYPES: dict[Kind, str] = {"utterance": "utterance", "event": "event"}
"""What marks are of whose labels there are too many kinds to be types of trials; the label is their text."""


def as_events(timeline: Timeline) -> str:
    """Return a tidy time line as the text of an events.tsv, in order of time."""
    rows = [
        (
            *(f"{mark.start / 1000:.3f}", f"{(mark.end - mark.start) / 1000:.3f}"),
            *(TYPES.get(tier.kind, mark.label) or NOTHING, tier.subject or NOTHING, tier.kind),
            mark.label if tier.kind in TYPES and mark.label else NOTHING,
            NOTHING if mark.probability is None else f"{mark.probability:.4f}",
        )
        for tier in timeline.tiers
        for mark in tier.marks
    ]
    rows.sort(key=lambda row: (float(row[0]), float(row[1])))
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")  # quotes only where a text has some itself
    writer.writerow(COLUMNS)
    writer.writerows(map(cells, rows))
    return text.getvalue()


def as_sidecar(timeline: Timeline) -> str:
    """Return the JSON file that describes the columns of a tidy time line's events.tsv."""
    levels: dict[str, str] = {emotion: f"a face looked {emotion} to the model" for emotion in EMOTIONS}
    levels[UNCLEAR] = "a face of which the model names no emotion"
    levels["utterance"] = "somebody spoke; `text` has the words"
    levels["event"] = "something was shown; `text` says what"
    types = {TYPES.get(tier.kind, mark.label) for tier in timeline.tiers for mark in tier.marks}
    described: dict[str, Any] = {
        "onset": {"Description": "When it begins, counted from the beginning of the recording", "Units": "s"},
        "duration": {"Description": "How long it lasts; 0: a moment", "Units": "s"},
        "trial_type": {
            "LongName": "What is to be seen",
            "Description": "The emotion that a face's expression was read as, or what else it is",
            "Levels": {level: text for level, text in levels.items() if level in types},
        },
        "subject": {"Description": "Whose face or voice: a track, speaker or viewer"},
        "kind": {
            "Description": "What sort of mark it is",
            "Levels": {
                "expression": "for how long one face went on looking the same",
                "moment": "what stands out",
                "event": "what was shown",
                "utterance": "what was said",
            },
        },
        "text": {"Description": "The words, or what the event was"},
        "probability": {"Description": "Mean probability of the emotion that trial_type names, 0 to 1"},
        "StimulusPresentation": {"SoftwareName": "Mien", "SoftwareVersion": __version__},
    }
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"
