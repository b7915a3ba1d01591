"""How a database is opened: SQLite with the settings that make a commit last, PostgreSQL as it comes."""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import exc

from mien.errors import MissingExtraError, StoreError

__all__ = ["open_engine"]

ANSWER_S = 10
"""How long a server may take to answer, in seconds."""


def open_engine(url: str, read_only: bool) -> sa.Engine:
    """Return the engine for a database's URL; whoever writes to SQLite says so by the option `mien_write`.

    Raises:
        StoreError: The URL or the file cannot be used.
        MissingExtraError: The database's driver is not installed.
    """
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite_engine(parsed, read_only)
        return _postgresql_engine(parsed, read_only)
    except ImportError as error:
        raise MissingExtraError(f"a store at '{url.partition(':')[0]}:'", "postgres") from error
    except (exc.ArgumentError, ValueError) as error:
        shown = re.sub("//.*@", "//…@", url)  # what is before the last @ holds the password
        raise StoreError(
            f"'{shown}' is no database URL: expected one such as sqlite:////var/lib/mien/mien.db or "
            "postgresql://user@host:5432/database"
        ) from error


def _postgresql_engine(url: sa.URL, read_only: bool) -> sa.Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    options: dict[str, str | int] = {"connect_timeout": ANSWER_S, "application_name": "mien"}
    if read_only:
        options["options"] = "-c default_transaction_read_only=on"
    return sa.create_engine(url, connect_args=options, pool_pre_ping=True)


def _sqlite_engine(url: sa.URL, read_only: bool) -> sa.Engine:
    if url.database in (None, "", ":memory:"):
        raise StoreError(f"the store '{url}' names no file: expected sqlite:///relative.db or sqlite:////absolute.db")
    path = Path(url.database or "").absolute()
    if path.is_dir():
        raise StoreError(f"cannot open the store '{path}': it is a folder; name a file in it")
    if not path.parent.is_dir():
        raise StoreError(
            f"cannot open the store '{path}': there is no folder '{path.parent}'; make it, or name another"
        )
    if read_only and not path.exists():
        raise StoreError(f"there is no store '{path}': start `mien forward` (or `mien up`), which makes it")
    try:
        if not read_only:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # what SQLite adds gets the same mode
    except OSError as error:
        raise StoreError(f"cannot write the store '{path}': {error.strerror}; name another with store.url") from error
    location = f"file:{quote(str(path))}?mode={'ro' if read_only else 'rw'}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(location, uri=True, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            if not read_only:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA secure_delete = ON")  # what is erased must not stay in free pages
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool, paramstyle="named")
    engine.url = url

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("mien_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
