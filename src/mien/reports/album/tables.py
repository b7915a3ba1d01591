"""The tables beside an album's page: photos and what was learned of them go in, rows come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mien.masking import as_text
from mien.observation import EMOTIONS
from mien.reports.album.selection import ASIDE, CLEAR, FILTERS, OPEN, WEIGHTS, Filter, Photo, losers, stars
from mien.reports.album.taste import Taste
from mien.reports.base.recordings import READABLE

if TYPE_CHECKING:
    import polars as pl

__all__ = ["COLUMNS", "faces_table", "photos_table", "weights_table"]

PHOTO: dict[str, str] = {
    "file": "the photo",
    "rank": "1 for the best of the chosen; empty where it was not chosen",
    "score": "0 to 100; empty with too few readable faces",
    "group": "the number of its group of near-duplicates",
    "faces": "faces found",
    "readable": f"faces whose longer side has at least {READABLE} pixels",
    **{
        name: f"the part of the score, 0 to 1; standing weight {weight:g}; empty: unknown"
        for name, weight in WEIGHTS.items()
    },
    "width": "of the upright photo, in pixels",
    "height": "of the upright photo, in pixels",
    "time": "when it was taken, UTC, as its EXIF data tell",
    "fingerprint": "64 bits, in hex, that photos of the same scene share for the most part; empty: unknown",
    "clean": "1 without noise and without the blocks of strong compression, down to 0; empty: unknown",
    "levels": "the share of all levels of light that the photo makes use of; empty: unknown",
    "everyone_smiles": f"whether each readable face is happy with at least {CLEAR:g}",
    "all_eyes_open": f"whether the eyes of each readable face are at least {OPEN:g} open; empty: one does not tell",
    "everyone_looks": f"whether each readable face is turned aside, up or down by at most {ASIDE:g}°; empty: as before",
    "stars": "1 to 5, for each 20 points of the score one more; empty where it is not rated",
    "rejected": "whether a near-duplicate is better",
}

WEIGHT: dict[str, str] = {
    "part": "a part of the score",
    "standing": "its weight where nobody's taste was asked for",
    "used": "its weight in this report",
}

FACE: dict[str, str] = {
    "file": "the photo",
    "x": "of the face's box in the upright photo, in pixels",
    "y": "the same",
    "width": "the same",
    "height": "the same",
    **dict.fromkeys(EMOTIONS, "the probability of the emotion"),
    "sharpness": "the Laplacian's variance over the face's own; empty: unknown",
    "exposure": "1 where it is neither dark nor burnt out, down to 0; empty: unknown",
    "pose": "1 for a nose in the middle between level eyes, down to 0; empty: unknown",
    "eyes": "how open they are, 0 to 1; empty where the model does not say",
    "yaw": "degrees; over 0: turned to the viewer's right; empty where the model does not say",
    "pitch": "degrees; grows as the chin comes down, an upright face is near 9; empty where the model does not say",
}

COLUMNS: dict[str, dict[str, str]] = {"photos": PHOTO, "weights": WEIGHT, "faces": FACE}
"""What each column of each table means."""


def photos_table(photos: Sequence[Photo], chosen: Sequence[Photo], only: Sequence[Filter]) -> pl.DataFrame:
    """Return the table `photos`: a row per photo."""
    import polars as pl

    ranks = {photo.file: rank for rank, photo in enumerate(chosen, 1)}
    lost = losers(photos, only)
    rows = [
        (
            *(
                as_text(photo.file),
                ranks.get(photo.file),
                photo.score,
                photo.group,
                len(photo.measured.looks),
                photo.readable,
            ),
            *(photo.parts.get(name) for name in WEIGHTS),
            *(photo.measured.width, photo.measured.height, photo.measured.time, photo.measured.fingerprint),
            *(photo.measured.clean, photo.measured.levels),
            *(photo.flags.get(name) for name in FILTERS),
            *(stars(photo), photo.file in lost),
        )
        for photo in photos
    ]
    kinds: dict[str, Any] = dict.fromkeys(PHOTO, pl.Float64)
    kinds |= dict.fromkeys(("rank", "group", "faces", "readable", "width", "height", "stars"), pl.Int64)
    kinds |= {"file": pl.String, "fingerprint": pl.String, "time": pl.Datetime("us", "UTC"), "rejected": pl.Boolean}
    kinds |= dict.fromkeys(FILTERS, pl.Boolean)
    return pl.DataFrame(rows, schema=kinds, orient="row")


def faces_table(photos: Sequence[Photo]) -> pl.DataFrame:
    """Return the table `faces`: a row per face."""
    import polars as pl

    rows = [
        (
            *(as_text(photo.file), *face.box, *face.shares),
            *(face.sharpness, face.exposure, face.pose, face.eyes, face.yaw, face.pitch),
        )
        for photo in photos
        for face in photo.measured.looks
    ]
    kinds: dict[str, Any] = dict.fromkeys(FACE, pl.Float64) | {"file": pl.String}
    kinds |= dict.fromkeys(("x", "y", "width", "height"), pl.Int64)
    return pl.DataFrame(rows, schema=kinds, orient="row")


def weights_table(taste: Taste | None) -> pl.DataFrame:
    """Return the table `weights`: a row per part of the score."""
    import polars as pl

    used = taste.weights if taste else WEIGHTS
    rows = [(name, standing, used[name]) for name, standing in WEIGHTS.items()]
    return pl.DataFrame(rows, schema={"part": pl.String, "standing": pl.Float64, "used": pl.Float64}, orient="row")
