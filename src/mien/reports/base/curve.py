"""The course of the emotions: the faces of a recording go in, a row per bin of its running time comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mien.observation import EMOTIONS

if TYPE_CHECKING:
    import polars as pl

__all__ = ["bin_length", "curve"]


def bin_length(seconds: float) -> float:
    """Return how long a bin of the curve is, in seconds: about 160 of them, each at least half a second."""
    steps = (0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0)
    return next((step for step in steps if seconds / step <= 200), seconds / 200)


def curve(faces: pl.DataFrame, seconds: float, anonymous: int | None) -> pl.DataFrame:
    """Return one row per bin: `start`, `frames`, `faces`, `readable`, `face_seconds`, and the mean of each emotion.

    The means are those over the readable faces, each weighing the time that its frame stands for.

    Args:
        faces: The rows of a recording, with `span`, `scene` and `person`.
        seconds: How long it is.
        anonymous: Blank the means that fewer than so many people stand behind.
    """
    import polars as pl

    width = bin_length(seconds)
    number = (pl.col("at") / width + 1e-9).floor().cast(pl.Int64).alias("bin")
    read = pl.col("readable").fill_null(value=False)
    # Somebody of one scene may be somebody of another: only those of one scene are surely different people.
    together = pl.when(read).then("person").drop_nulls().n_unique().over(number, "scene").alias("together")
    span = pl.col("span").filter(read)
    few = pl.col("together").max() < (anonymous or 0)
    table = (
        faces.with_columns(together)
        .group_by(number)
        .agg(
            pl.col("frame").n_unique().alias("frames"),
            pl.col("x").count().alias("faces"),
            read.sum().alias("readable"),
            span.sum().alias("face_seconds"),
            *(
                pl.when(few | ~read.any())
                .then(None)
                .otherwise((pl.col(emotion).filter(read) * span).sum() / span.sum())
                .alias(emotion)
                for emotion in EMOTIONS
            ),
        )
    )
    every = pl.DataFrame({"bin": np.arange(max(1, int(np.ceil(seconds / width - 1e-9))))}, schema={"bin": pl.Int64})
    joined = every.join(table, on="bin", how="left").sort("bin")
    counted = joined.with_columns(pl.col("frames", "faces", "readable", "face_seconds").fill_null(0))
    return counted.select((pl.col("bin") * width).alias("start"), *counted.columns[1:])
