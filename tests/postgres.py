"""A PostgreSQL server of the tests' own: Debian's programs, a folder in the temporary one, a free port, a password."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from ports import unused_port

PASSWORD = "sécret@/:%"  # noqa: S105 - of a server that lives as long as the tests
"""One that an URL must quote."""
QUOTED = "s%C3%A9cret%40%2F%3A%25"


class Server:
    """A running server; PostgreSQL refuses to run as root, so there it runs as another user."""

    def __init__(self, programs: Path, parent: Path | None = None) -> None:
        self._programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="mien-postgres-", dir=parent))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            users = {user.pw_name: user for user in pwd.getpwall()}
            user = users.get("postgres") or users["nobody"]
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.port = unused_port()
        (self.folder / "password").write_text(PASSWORD)
        (self.folder / "password").chmod(0o644)
        subprocess.run(
            [
                *(programs / "initdb", "-D", self.folder / "data", "-U", "mien", "-A", "scram-sha-256", "--no-sync"),
                *("--encoding=UTF8", "--locale=C", f"--pwfile={self.folder / 'password'}"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self._as,
        )
        self.start()

    def launch(self) -> subprocess.Popen[bytes]:
        """Start without waiting until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._programs / "postgres", "-D", self.folder / "data", "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}"),
                    *("-c", "shared_buffers=32MB", "-c", "max_connections=40"),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._as,
            )
        return self._process

    def start(self) -> None:
        self.launch()
        end = time.monotonic() + 60
        while True:
            try:
                self.query("postgres", "SELECT 1")
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < end, (self.folder / "log").read_text()
                time.sleep(0.1)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop at once, in order; with SIGQUIT as a crash does."""
        self._process.send_signal(how)
        self._process.wait(60)

    def url(self, database: str) -> str:
        return f"postgresql://mien:{QUOTED}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"test_{uuid4().hex}"
        self.query("postgres", f"CREATE DATABASE {name}")
        return name

    def drop(self, database: str) -> None:
        self.query("postgres", f"DROP DATABASE {database} WITH (FORCE)")

    def connect(self, database: str) -> psycopg.Connection[Any]:
        place = {"host": "127.0.0.1", "port": self.port, "dbname": database}
        return psycopg.connect(**place, user="mien", password=PASSWORD, autocommit=True, connect_timeout=10)  # type: ignore[arg-type]

    def query(self, database: str, text: str) -> list[Any]:
        with self.connect(database) as connection:
            done = connection.execute(text)  # type: ignore[call-overload]
            return list(done.fetchall()) if done.description else []

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
