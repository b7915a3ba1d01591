"""How a database of an earlier version is brought up to date: one step for each version of the tables.

A step runs in the transaction of whoever calls, so that it is done whole or not at all.
"""

from __future__ import annotations

import time

import sqlalchemy as sa

from mien.observation import EMOTIONS, UNTOLD_SPAN_S
from mien.stores import partitions

__all__ = ["STEPS", "migrate"]

SECOND = 1_000_000

STEPS: dict[int, tuple[str, ...]] = {
    2: (
        """
        CREATE TABLE erased (source VARCHAR(64) NOT NULL, start BIGINT NOT NULL, until BIGINT NOT NULL,
            PRIMARY KEY (source, start, until))
        """,
    ),
    3: (
        """
        CREATE TABLE markers (id VARCHAR(36) NOT NULL PRIMARY KEY, time BIGINT NOT NULL, label VARCHAR(200) NOT NULL,
            source VARCHAR(64), created_by VARCHAR(64) NOT NULL)
        """,
    ),
    4: (
        "ALTER TABLE frames ADD COLUMN span_s DOUBLE PRECISION",
        "ALTER TABLE frames ADD COLUMN arrived BIGINT",
        "CREATE INDEX frames_arrived ON frames (arrived)",
        "ALTER TABLE faces ADD COLUMN read BOOLEAN NOT NULL DEFAULT TRUE",
        *(
            f"ALTER TABLE faces ADD COLUMN {name} DOUBLE PRECISION"
            for name in ("yaw", "pitch", "roll", "eyes", "mouth")
        ),
        "ALTER TABLE rollups RENAME COLUMN abstained TO unclear",
        "ALTER TABLE rollups ADD COLUMN untimed BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE rollups ADD COLUMN face_seconds DOUBLE PRECISION NOT NULL DEFAULT 0",
        *(f"ALTER TABLE rollups ADD COLUMN seconds_{name} DOUBLE PRECISION NOT NULL DEFAULT 0" for name in EMOTIONS),
        # minutes of the earlier version keep its rule: each face weighs the same
        f"UPDATE rollups SET untimed = faces, face_seconds = {UNTOLD_SPAN_S} * faces, "
        + ", ".join(f"seconds_{name} = {UNTOLD_SPAN_S} * sum_{name}" for name in EMOTIONS),
        """
        CREATE TABLE arrivals (source VARCHAR(64) NOT NULL PRIMARY KEY, late BIGINT NOT NULL, refused BIGINT NOT NULL)
        """,
        """
        CREATE TABLE gone (session {bytes} NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL,
            PRIMARY KEY (session, first)){without}
        """,
        # what clocks that were ahead have left behind
        "UPDATE sources SET last = {now} WHERE last > {now}",
        "UPDATE state SET value = {now} WHERE name = 'prune_mark' AND value > {now}",
    ),
    5: tuple(f"ALTER TABLE faces ADD COLUMN above_{name} DOUBLE PRECISION" for name in EMOTIONS),
}
"""The statements that lead from the version before to this one, by version."""

WORDS = {
    "sqlite": {"bytes": "BLOB", "without": " WITHOUT ROWID"},
    "postgresql": {"bytes": "BYTEA", "without": ""},
}


def migrate(connection: sa.Connection, version: int, wanted: int) -> None:
    """Bring the tables from one version to another.

    Args:
        connection: In a transaction that writes.
        version: The one they have.
        wanted: The one they are to have.
    """
    dialect = connection.dialect.name
    words = WORDS[dialect] | {"now": str(int(time.time()) * SECOND)}
    if dialect == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")  # large tables take their time, once
    for step in range(version + 1, wanted + 1):
        for statement in STEPS[step]:
            connection.exec_driver_sql(statement.format(**words))
        if step == 4 and dialect == "postgresql":
            for statement in partitions.moving():
                connection.exec_driver_sql(statement)
