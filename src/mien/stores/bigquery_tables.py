"""The tables and views of a store in BigQuery: their columns, the messages that carry rows, the SQL that reads them.

Rows are only ever appended, an observation with all its faces as one row, so that it is there whole or not at all. The
same row may come twice; what reads the table therefore goes through `unique`, which keeps one row for each id and
leaves out what was pruned or erased. Sums are counted when asked for; only of
minutes whose raw rows are gone are they kept.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from google.cloud.bigquery import SchemaField, Table, TimePartitioning

from mien.observation import EMOTIONS, UNTOLD_SPAN_S, Face, Observation, Openness, Pose, Probabilities
from mien.stores import rows
from mien.stores.base import SUM_COLUMNS, WHOLE_COLUMNS, Bucket

__all__ = [
    "COLUMNS",
    "RENAMED",
    "SCHEMA",
    "counted",
    "from_row",
    "mark",
    "minute_row",
    "minutes",
    "past_minutes",
    "runs",
    "sums",
    "tables",
    "to_row",
    "unique",
    "views",
]

SCHEMA = 3
"""The version of the tables below."""

FACE = [
    *(SchemaField(name, "INTEGER") for name in ("track", "x", "y", "width", "height")),
    SchemaField("confidence", "FLOAT"),
    SchemaField("emotion", "STRING"),
    *(SchemaField(emotion, "FLOAT") for emotion in EMOTIONS),
    SchemaField("read", "BOOLEAN"),
    *(SchemaField(name, "FLOAT") for name in ("yaw", "pitch", "roll", "eyes", "mouth", *rows.ABOVE)),
]
NEW = {"untimed", *(name for name in SUM_COLUMNS if "seconds" in name)}
"""Columns of sums that version 1 had not; where they are null, each face weighs the same."""

RENAMED = {("past_minutes", "abstained"): "unclear"}
"""What columns of version 1 are called now."""

COLUMNS = {
    "observations": [
        SchemaField("id", "STRING", "REQUIRED"),
        SchemaField("time", "TIMESTAMP", "REQUIRED"),
        SchemaField("source", "STRING", "REQUIRED"),
        SchemaField("session", "STRING", "REQUIRED"),
        SchemaField("seq", "INTEGER", "REQUIRED"),
        SchemaField("offset_s", "FLOAT"),
        *(SchemaField(name, "INTEGER", "REQUIRED") for name in ("frame", "width", "height")),
        SchemaField("model", "STRING", "REQUIRED"),
        SchemaField("elapsed_ms", "FLOAT", "REQUIRED"),
        SchemaField("faces", "RECORD", "REPEATED", fields=FACE),
        SchemaField("span_s", "FLOAT"),
        SchemaField("arrived", "TIMESTAMP", description="null: before there was this column, so as old as its time"),
    ],
    "past_minutes": [
        SchemaField("origin", "STRING", "REQUIRED", description="'pruned' here, or 'copied' from another store"),
        SchemaField("start", "TIMESTAMP", "REQUIRED"),
        SchemaField("source", "STRING", "REQUIRED"),
        SchemaField("first", "TIMESTAMP", "REQUIRED"),
        SchemaField("last", "TIMESTAMP", "REQUIRED"),
        *(
            SchemaField(
                name, "INTEGER" if name in WHOLE_COLUMNS else "FLOAT", "NULLABLE" if name in NEW else "REQUIRED"
            )
            for name in SUM_COLUMNS
        ),
        SchemaField("pruned_at", "TIMESTAMP", description="the mark up to which rows were pruned then"),
    ],
    "arrivals": [
        SchemaField("id", "STRING", "REQUIRED"),
        SchemaField("source", "STRING", "REQUIRED"),
        SchemaField("kind", "STRING", "REQUIRED", description="'late' or 'refused'"),
    ],
    "gone": [
        SchemaField("session", "STRING", "REQUIRED"),
        SchemaField("first", "INTEGER", "REQUIRED"),
        SchemaField("last", "INTEGER", "REQUIRED"),
    ],
    "erased": [
        SchemaField("source", "STRING", "REQUIRED"),
        SchemaField("start", "TIMESTAMP", "REQUIRED"),
        SchemaField("until", "TIMESTAMP", "REQUIRED"),
    ],
    "dead_letters": [
        SchemaField("id", "INTEGER", "REQUIRED"),
        SchemaField("time", "TIMESTAMP", "REQUIRED"),
        SchemaField("topic", "STRING", "REQUIRED"),
        SchemaField("reason", "STRING", "REQUIRED"),
        SchemaField("payload", "BYTES", "REQUIRED"),
    ],
    "markers": [
        SchemaField("id", "STRING", "REQUIRED"),
        SchemaField("time", "TIMESTAMP", "REQUIRED"),
        SchemaField("label", "STRING", "REQUIRED"),
        SchemaField("source", "STRING"),
        SchemaField("created_by", "STRING", "REQUIRED"),
    ],
    "state": [SchemaField("name", "STRING", "REQUIRED"), SchemaField("value", "INTEGER", "REQUIRED")],
}
DAILY = {"observations": "time", "past_minutes": "start"}
"""Tables with one partition a day, and the column that says which; within a day they are clustered by source."""


def tables(dataset: str) -> list[Table]:
    """Return the tables of a dataset, `project.dataset`."""
    made = []
    for name, columns in COLUMNS.items():
        table = Table(f"{dataset}.{name}", columns)
        if name in DAILY:
            table.time_partitioning = TimePartitioning(field=DAILY[name])
            table.clustering_fields = ["source"]
        made.append(table)
    return made


def views(dataset: str) -> dict[str, str]:
    """Return the views of a dataset by name: what other tools should read."""
    columns = ", ".join(column.name for column in COLUMNS["observations"] if column.name != "faces")
    lengths = {"rollups_minute": "MINUTE", "rollups_hour": "HOUR", "rollups_day": "DAY"}
    return {
        "frames": f"SELECT {columns} FROM ({unique(dataset)})",
        "faces": (
            "SELECT o.id AS frame, n, o.time, o.source, f.* "
            f"FROM ({unique(dataset)}) AS o CROSS JOIN UNNEST(o.faces) AS f WITH OFFSET AS n"
        ),
        **{
            name: f"SELECT TIMESTAMP_TRUNC(start, {length}) AS start, source, {sums()} "
            f"FROM ({minutes(dataset)}) GROUP BY 1, 2"
            for name, length in lengths.items()
        },
    }


def unique(dataset: str, where: str = "TRUE", came: str = "TRUE") -> str:
    """Return the SQL for the rows of `observations`, one for each id.

    Args:
        dataset: `project.dataset`.
        where: Which of them; it names the table `o`.
        came: The same of when they came first, as `IFNULL(o.arrived, o.time)`.
    """
    columns = ", ".join(f"o.{column.name}" for column in COLUMNS["observations"])
    return (
        f"SELECT {columns} FROM `{dataset}.observations` AS o LEFT JOIN `{dataset}.erased` AS e "
        "ON e.source = o.source AND o.time >= e.start AND o.time < e.until "
        f"WHERE e.source IS NULL AND {where} "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY o.source, o.time, o.id ORDER BY IFNULL(o.arrived, o.time)) = 1 "
        f"AND IFNULL(o.arrived, o.time) >= {mark(dataset)} AND {came}"
    )


def runs(rows: str) -> str:
    """Return the SQL for the runs of `seq` of rows of `observations`, by session."""
    return (
        "SELECT session, MIN(seq) AS first, MAX(seq) AS last FROM (SELECT session, seq, "
        f"seq - ROW_NUMBER() OVER (PARTITION BY session ORDER BY seq) AS run FROM ({rows})) GROUP BY session, run"
    )


def minutes(dataset: str, where: str = "TRUE", past: str = "TRUE") -> str:
    """Return the SQL for the figures of minutes by source; `past` is `where` for the rows `m` of past minutes."""
    names = ", ".join(["start", "source", "first", "last", *SUM_COLUMNS])
    return f"{counted(unique(dataset, where))} UNION ALL SELECT {names} FROM ({past_minutes(dataset, past)})"


def past_minutes(dataset: str, where: str = "TRUE") -> str:
    """Return the SQL for the figures of what has no rows any more; of version 1's each face weighs the same."""
    old = {"untimed": "faces", "face_seconds": f"{UNTOLD_SPAN_S} * faces"}
    old |= {f"seconds_{emotion}": f"{UNTOLD_SPAN_S} * sum_{emotion}" for emotion in EMOTIONS}
    names = ", ".join(
        f"IFNULL(m.{name}, {old[name]}) AS {name}" if name in old else f"m.{name}" for name in SUM_COLUMNS
    )
    return (
        f"SELECT m.start, m.source, m.first, m.last, {names} FROM `{dataset}.past_minutes` AS m "
        f"WHERE (m.origin = 'copied' OR IFNULL(m.pruned_at, TIMESTAMP_ADD(m.start, INTERVAL 1 MINUTE)) "
        f"<= {mark(dataset)}) AND {where} "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY m.origin, m.source, m.start, m.pruned_at) = 1"
    )


def counted(rows: str, unit: str = "MINUTE") -> str:
    """Return the SQL that counts rows of `observations` by source and minute, or another unit of time."""
    counts = ", ".join(f"COUNTIF(f.emotion = '{emotion}') AS count_{emotion}" for emotion in EMOTIONS)
    shares = ", ".join(f"IFNULL(SUM(f.{emotion}), 0.0) AS sum_{emotion}" for emotion in EMOTIONS)
    span = f"IFNULL(o.span_s, {UNTOLD_SPAN_S})"
    seconds = ", ".join(f"IFNULL(SUM(f.{emotion} * {span}), 0.0) AS seconds_{emotion}" for emotion in EMOTIONS)
    return (
        f"SELECT TIMESTAMP_TRUNC(o.time, {unit}) AS start, o.source AS source, "
        "MIN(LEAST(o.time, IFNULL(o.arrived, o.time))) AS first, "
        "MAX(LEAST(o.time, IFNULL(o.arrived, o.time))) AS last, "
        "COUNT(DISTINCT o.id) AS frames, COUNT(f.confidence) AS faces, "
        "COUNTIF(f.confidence IS NOT NULL AND f.emotion IS NULL) AS unclear, "
        f"COUNTIF(f.confidence IS NOT NULL AND o.span_s IS NULL) AS untimed, {counts}, {shares}, "
        f"IFNULL(SUM(IF(f.confidence IS NULL, 0.0, {span})), 0.0) AS face_seconds, {seconds} "
        f"FROM ({rows}) AS o LEFT JOIN UNNEST(o.faces) AS f GROUP BY 1, 2"
    )


def sums() -> str:
    """Return the SQL that adds up the figures of rows."""
    return ", ".join(f"SUM({name}) AS {name}" for name in SUM_COLUMNS)


def mark(dataset: str) -> str:
    """Return the SQL for the time of arrival before which rows count no more, but the sums kept of them."""
    return f"(SELECT TIMESTAMP_MICROS(IFNULL(MAX(value), 0)) FROM `{dataset}.state` WHERE name = 'prune_mark')"


def to_row(at: int, observation: Observation, arrived: int) -> dict[str, Any]:
    """Return the row of an observation made, and arrived, at times in microseconds since 1970."""
    row = {
        column.name: getattr(observation, column.name) for column in COLUMNS["observations"] if column.name != "arrived"
    }
    faces = [_face_row(face) for face in observation.faces]
    return row | {"time": at, "model": rows.plain(observation.model), "faces": faces, "arrived": arrived}


def from_row(row: Any) -> Observation:
    """Return the observation that a row holds."""
    values = {column.name: row[column.name] for column in COLUMNS["observations"] if column.name != "arrived"}
    return Observation(**(values | {"faces": [_face(face) for face in row["faces"]]}))


def minute_row(source: str, minute: Bucket) -> dict[str, Any]:
    """Return the row of a minute that was copied from another store."""
    start = rows.to_microseconds(minute.start)
    last = rows.to_microseconds(minute.start + timedelta(minutes=1)) - 1
    keys = {"origin": "copied", "start": start, "source": source, "first": start, "last": last}
    return keys | minute.sums.row()


def _face_row(face: Face) -> dict[str, Any]:
    shares: dict[str, float] = {emotion: getattr(face.probabilities, emotion) for emotion in EMOTIONS}
    box = dict(zip(("x", "y", "width", "height"), face.box, strict=True))
    pose, openness = face.pose or rows.NO_POSE, face.openness or rows.NO_OPENNESS
    looks = {"yaw": pose.yaw, "pitch": pose.pitch, "roll": pose.roll, "eyes": openness.eyes, "mouth": openness.mouth}
    above = {column: getattr(face.above_usual, emotion, None) for column, emotion in rows.ABOVE.items()}
    more = {"read": face.read, **looks, **above}
    return {"track": face.track, **box, "confidence": face.confidence, "emotion": face.emotion, **shares, **more}


def _face(row: Any) -> Face:
    box = (row["x"], row["y"], row["width"], row["height"])
    shares = Probabilities(*(row[emotion] for emotion in EMOTIONS))
    pose = Pose(*(row.get(name) for name in ("yaw", "pitch", "roll")))
    openness = Openness(*(row.get(name) for name in ("eyes", "mouth")))
    looks = None if pose == rows.NO_POSE else pose, None if openness == rows.NO_OPENNESS else openness
    told = (
        row["emotion"],
        shares,
        row.get("read") is not False,
        *looks,
        None,
        rows.above([row.get(column) for column in rows.ABOVE]),
    )
    return Face(row["track"], box, row["confidence"], *told)
