"""Time lines as files: a name or a format goes in, the files that another tool opens come out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from mien.errors import InputError, MienError, UsageError
from mien.exports.bids import as_events, as_sidecar
from mien.exports.boris import as_boris
from mien.exports.elan import as_eaf
from mien.exports.praat import as_textgrid
from mien.exports.timeline import Timeline, tidy
from mien.masking import as_text
from mien.observation import now
from mien.system.files import replacing

__all__ = [
    "BY_ENDING",
    "ENDINGS",
    "FORMATS",
    "Format",
    "check_export",
    "export_texts",
    "format_of",
    "formats_named",
    "write_export",
]

Format = Literal["elan", "praat", "bids", "boris"]

FORMATS: tuple[Format, ...] = get_args(Format)

ENDINGS: dict[Format, str] = {"elan": ".eaf", "praat": ".TextGrid", "bids": "_events.tsv", "boris": ".boris.csv"}
"""How the name of each format's file ends beside a report; BIDS has a JSON file of the same name, too."""

BY_ENDING: dict[str, Format] = {".eaf": "elan", ".TextGrid": "praat", ".tsv": "bids", ".boris.csv": "boris"}
"""The format that a file's name asks for by its ending, in whatever case."""


def format_of(path: Path) -> Format | None:
    """Return the format that a file's name asks for by its ending; None: none of them."""
    name = path.name.lower()
    return next((kind for ending, kind in BY_ENDING.items() if name.endswith(ending.lower())), None)


def formats_named(names: Sequence[str]) -> list[Format]:
    """Return the formats of these names.

    Raises:
        UsageError: There is none of a name.
    """
    known = {str(kind): kind for kind in FORMATS}
    if wrong := [name for name in names if name not in known]:
        raise UsageError(f"there is no export '{wrong[0][:80]}': expected one of {', '.join(FORMATS)}")
    return [known[name] for name in names]


def check_export(path: Path) -> Format:
    """Return the format of a file that is to be written, before there is anything to write.

    Raises:
        InputError: Its ending is another, or nothing can be written there.
    """
    kind = format_of(path)
    if kind is None:
        raise InputError(f"cannot write '{path}': its name must end in {', '.join(BY_ENDING)}")
    if path.is_dir():
        raise InputError(f"cannot write '{path}': it is a folder")
    if not path.parent.is_dir():
        raise InputError(f"cannot write '{path}': there is no folder '{path.parent}'")
    return kind


def export_texts(timeline: Timeline, kinds: Sequence[Format], made: datetime) -> dict[str, str]:
    """Return the files of these formats: how the name of each ends, and its text.

    Args:
        timeline: As it is; it is made so that each format can hold it.
        kinds: Which.
        made: When, UTC.
    """
    ready = tidy(timeline)
    texts: dict[str, str] = {}
    for kind in dict.fromkeys(formats_named(kinds)):
        texts[ENDINGS[kind]] = _text(ready, kind, made)
        if kind == "bids":
            texts["_events.json"] = as_sidecar(ready)
    return texts


def write_export(path: Path, timeline: Timeline) -> list[Path]:
    """Write a time line in the format that the file's name asks for; return the files.

    Raises:
        InputError: The ending is another, or nothing can be written there.
        MienError: The disk is full or fails.
    """
    kind = check_export(path)
    ready = tidy(timeline)
    texts = {path: _text(ready, kind, now())}
    if kind == "bids":
        texts[path.with_suffix(".json")] = as_sidecar(ready)
    written: list[Path] = []
    try:
        for file, text in texts.items():
            with replacing(file) as part:
                part.write_bytes(as_text(text).encode())
            written.append(file)
    except OSError as error:
        failure = MienError if written else InputError
        raise failure(f"cannot write '{path}': {(error.strerror or str(error)).lower()}") from error
    return written


def _text(ready: Timeline, kind: Format, made: datetime) -> str:
    if kind == "elan":
        return as_eaf(ready, made)
    if kind == "praat":
        return as_textgrid(ready)
    return as_events(ready) if kind == "bids" else as_boris(ready, made)
