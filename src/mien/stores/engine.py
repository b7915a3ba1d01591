"""How a database is opened, and what its errors mean: SQLite so that a commit lasts, PostgreSQL as it comes."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from mien.errors import MissingExtraError, StoreError
from mien.masking import without_password

__all__ = ["advice_for", "bytes_of", "cause_of", "end_log", "file_of", "log_bytes", "open_engine"]

WAIT_S = 10
"""How long one process waits until another has written to a SQLite file, in seconds."""

ANSWER_S = 10
"""How long a server may take to answer, in seconds."""

STATEMENT_S = 60
"""How long a statement may take in PostgreSQL, in seconds."""

IDLE_S = 30
"""After so many seconds PostgreSQL ends a transaction in which nothing happens: its writer hangs, and others wait."""


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
    except OSError as error:  # a file or folder that may not even be looked at
        why = (error.strerror or str(error)).lower()
        raise StoreError(f"cannot open the store '{parsed.database}': {why}") from error
    except (exc.ArgumentError, ValueError) as error:
        raise StoreError(
            f"'{without_password(url)}' is no database URL: expected one such as sqlite:////var/lib/mien/mien.db or "
            "postgresql://user@host:5432/database"
        ) from error


def file_of(engine: sa.Engine) -> tuple[int, int] | None:
    """Return which file a SQLite store's path leads to now, as device and inode; None: to none, or it is no file."""
    if engine.dialect.name != "sqlite":
        return None
    try:
        status = Path(engine.url.database or "").stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def log_bytes(engine: sa.Engine) -> int:
    """Return the size of the log that lies beside a SQLite store's path."""
    with suppress(OSError):
        return Path(f"{engine.url.database}-wal").stat().st_size
    return 0


def end_log(engine: sa.Engine) -> None:
    """Bring what is in the log of a SQLite file, wherever that lies now, into it, and leave an empty log.

    The log is found by its path: another file that has come to lie there would take it for its own.
    """
    with suppress(exc.SQLAlchemyError, sqlite3.Error), engine.connect() as connection:
        connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def bytes_of(connection: sa.Connection, tables: Sequence[str]) -> int:
    """Return how many bytes tables take up on the disk, with their indexes; of SQLite its file and log as a whole."""
    if connection.dialect.name == "postgresql":
        query = sa.text("SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(CAST(:name AS regclass))")
        return int(sum(connection.scalar(query, {"name": name}) or 0 for name in tables))
    total = 0
    for path in (f"{connection.engine.url.database}", f"{connection.engine.url.database}-wal"):
        with suppress(OSError):  # there is no log just now
            total += Path(path).stat().st_size
    return total


def cause_of(error: exc.SQLAlchemyError) -> str:
    """Return what the database said, in one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def advice_for(cause: str) -> str:
    """Return what to do about what the database said, to be appended to it; empty where nothing is known."""
    advice = {
        "not a database": "; it is a file of another kind: name another with store.url",
        "malformed": "; it is damaged: restore a copy, or move it away to begin anew",
        "disk is full": "; make room, nothing is lost meanwhile",
        "disk I/O": "; check the disk",
        "readonly": "; check who may write the file and its folder, or name another with store.url",
        "unable to open": "; check who may read the file and its folder",
        "locked": "; another program holds it: close that",
        "onnection refused": "; start the server, or check host and port in store.url",
        "resolve host": "; check the host in store.url",
        "password authentication failed": "; check user and password in store.url",
        "no password supplied": "; name the password in store.url, best as MIEN_STORE__URL",
        "statement timeout": "; the server is too busy, or another writer is: it is tried again",
        "does not exist": "; make it (createdb), or check store.url",
        "permission denied": "; the user must own the database, or may make tables in it",
    }
    return next((advice for sign, advice in advice.items() if sign in cause), "")


def _postgresql_engine(url: sa.URL, read_only: bool) -> sa.Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    limits = f"-c statement_timeout={STATEMENT_S}s -c idle_in_transaction_session_timeout={IDLE_S}s"
    options: dict[str, str | int] = {
        "connect_timeout": ANSWER_S,
        "tcp_user_timeout": 1000 * ANSWER_S,  # a server that was unplugged says nothing
        "application_name": "mien",
        "options": f"{limits} -c default_transaction_read_only=on" if read_only else limits,
    }
    return sa.create_engine(url, connect_args=options, pool_pre_ping=True)


def _sqlite_engine(url: sa.URL, read_only: bool) -> sa.Engine:
    if url.database in (None, "", ":memory:"):
        raise StoreError(
            f"the store '{without_password(str(url))}' names no file: expected sqlite:///relative.db or sqlite:////absolute.db"
        )
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
            _make(path)
    except OSError as error:
        raise StoreError(f"cannot write the store '{path}': {error.strerror}; name another with store.url") from error
    location = f"{path.as_uri()}?mode={'ro' if read_only else 'rw'}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(location, uri=True, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            if not read_only:
                _log_ahead(connection)
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


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Have a write-ahead log, also where another process makes the same store: here SQLite does not wait by itself."""
    end = time.monotonic() + WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:  # noqa: PERF203
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _make(path: Path) -> None:
    """Make an empty file that is its owner's alone, if there is none; what SQLite adds gets the same mode.

    A file that is there is not opened: closing it would end the locks that this process's other connections hold on
    it, and another process would take itself for the last one and delete the log under them.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
