"""The tables of the SQL stores, and how an old database is brought up to date.

Times are whole microseconds since 1970, UTC; ids are their 16 bytes, half the size of their text. Rows of `faces`
are keyed by their frame's id and their place in it. What is written here in SQLAlchemy's words is the same in SQLite
and PostgreSQL.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
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
    "MIGRATIONS",
    "SCHEMA",
    "dead_letters",
    "erased",
    "faces",
    "frames",
    "markers",
    "metadata",
    "rollups",
    "sources",
    "state",
]

SCHEMA = 3
"""The version of the tables below."""

MIGRATIONS: dict[int, tuple[str, ...]] = {
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
}
"""The statements that lead from the version before to this one, by version."""

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
    Index("frames_time", "time"),
    sqlite_with_rowid=False,
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
    sqlite_with_rowid=False,
)

rollups = Table(
    "rollups",
    metadata,
    Column("seconds", Integer, primary_key=True, autoincrement=False),  # 60, 3600 or 86400
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("source", String(64), primary_key=True),
    Column("frames", BigInteger, nullable=False),
    Column("faces", BigInteger, nullable=False),
    Column("abstained", BigInteger, nullable=False),
    *(Column(f"count_{emotion}", BigInteger, nullable=False) for emotion in EMOTIONS),
    *(Column(f"sum_{emotion}", Double, nullable=False) for emotion in EMOTIONS),
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
