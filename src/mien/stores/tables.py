"""The tables of the SQL stores.

Times are whole microseconds since 1970, UTC; ids are their 16 bytes, half the size of their text. Rows of `faces`
are keyed by their frame's id and their place in it. What is written here in SQLAlchemy's words is the same in SQLite
and PostgreSQL.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
)

from mien.observation import EMOTIONS

__all__ = [
    "SCHEMA",
    "arrivals",
    "dead_letters",
    "erased",
    "faces",
    "frames",
    "gone",
    "markers",
    "metadata",
    "rollups",
    "sources",
    "state",
]

SCHEMA = 5
"""The version of the tables below."""

metadata = MetaData()

state = Table(
    "state",
    metadata,
    Column("name", String(32), primary_key=True),  # schema: a version; prune_mark: a time
    Column("value", BigInteger, nullable=False),
)

frames = Table(
    "frames",
    metadata,
    Column("id", LargeBinary(16), primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("source", String(64), nullable=False),
    Column("session", LargeBinary(16), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("offset_s", Double),
    Column("frame", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("model", String(100), nullable=False),
    Column("elapsed_ms", Double, nullable=False),
    Column("span_s", Double),
    Column("arrived", BigInteger),  # null: before there was this column, and so as old as its time
    Index("frames_time", "time"),
    Index("frames_arrived", "arrived"),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (id)",
)

faces = Table(
    "faces",
    metadata,
    Column("frame", LargeBinary(16), primary_key=True),
    Column("n", SmallInteger, primary_key=True, autoincrement=False),
    Column("track", BigInteger),
    Column("x", Integer, nullable=False),
    Column("y", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("emotion", String(8)),
    *(Column(emotion, Double, nullable=False) for emotion in EMOTIONS),
    Column("read", Boolean, nullable=False),
    *(Column(name, Double) for name in ("yaw", "pitch", "roll", "eyes", "mouth")),
    *(Column(f"above_{emotion}", Double) for emotion in EMOTIONS),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (frame)",
)

rollups = Table(
    "rollups",
    metadata,
    Column("seconds", Integer, primary_key=True, autoincrement=False),  # 60, 3600 or 86400
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("source", String(64), primary_key=True),
    Column("frames", BigInteger, nullable=False),
    Column("faces", BigInteger, nullable=False),
    Column("unclear", BigInteger, nullable=False),
    *(Column(f"count_{emotion}", BigInteger, nullable=False) for emotion in EMOTIONS),
    *(Column(f"sum_{emotion}", Double, nullable=False) for emotion in EMOTIONS),
    Column("untimed", BigInteger, nullable=False),
    Column("face_seconds", Double, nullable=False),
    *(Column(f"seconds_{emotion}", Double, nullable=False) for emotion in EMOTIONS),
    sqlite_with_rowid=False,
)

sources = Table(
    "sources",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("frames", BigInteger, nullable=False),
)

arrivals = Table(
    "arrivals",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("late", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
)

gone = Table(
    "gone",
    metadata,
    Column("session", LargeBinary(16), primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Runs of `seq` of a session that have no raw row any more, or never had one: pruned, erased or refused."""

erased = Table(
    "erased",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("until", BigInteger, primary_key=True, autoincrement=False),
)

markers = Table(
    "markers",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("label", String(200), nullable=False),
    Column("source", String(64)),
    Column("created_by", String(64), nullable=False),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("topic", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
