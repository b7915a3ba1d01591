"""The BigQuery emulator, a process of the tests' own; `python emulators.py` in its virtual environment is that process.

It lives in a virtual environment of its own, because its dependencies and Mien's need not agree.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import unused_port

PROGRAMS = Path(__file__).parents[1] / ".venv" / "bqemulator"
PACKAGES = ["bqemulator==1.4.0", "duckdb==1.5.5", "numpy"]


def install() -> str:
    """Make the environment if need be, and return why that cannot be; empty when it is there."""
    complete = PROGRAMS / "complete"
    if complete.exists():
        complete.touch()
        return ""
    if sys.version_info < (3, 11):
        return "the BigQuery emulator takes Python 3.11"
    pip = [PROGRAMS / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
    for command in ([sys.executable, "-m", "venv", "--clear", PROGRAMS], pip):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return f"the BigQuery emulator cannot be installed: {done.stderr.strip()[-300:]}"
    complete.touch()
    return ""


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Run the emulator, and give the environment variables that lead to it."""
    ports = (unused_port(), unused_port())
    command = [PROGRAMS / "bin" / "python", __file__, "start", "--ephemeral", "--log-level", "warning"]
    command += ["--rest-port", str(ports[0]), "--grpc-port", str(ports[1])]
    url = f"http://127.0.0.1:{ports[0]}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tempfile.gettempdir())
        try:
            end = time.monotonic() + 300
            while not _answers(f"{url}/readyz"):
                log.seek(0)
                assert process.poll() is None, log.read().decode()
                assert time.monotonic() < end, "the BigQuery emulator does not answer"
                time.sleep(0.1)
            yield {"BIGQUERY_EMULATOR_HOST": url, "BIGQUERY_STORAGE_EMULATOR_HOST": f"127.0.0.1:{ports[1]}"}
        finally:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own process
            return bool(answer.status == 200)
    except OSError:
        return False


def _start() -> None:
    """Run the emulator with what this version lacks mended."""
    import fastapi.routing
    from bqemulator.api.routes.tabledata import _build_arrow_schema
    from bqemulator.api.routes.tables import _field_to_rest
    from bqemulator.cli import main
    from bqemulator.grpc_api import write_servicer
    from bqemulator.storage.engine import DuckDBEngine
    from sqlglot.dialects.dialect import Dialect

    # It would fetch DuckDB's extension for geography from the network.
    DuckDBEngine._load_spatial = lambda _: None
    # It forgets the columns within a column when rows come by the Storage Write API.
    write_servicer._table_arrow_schema = lambda table: _build_arrow_schema(
        [_field_to_rest(field) for field in table.schema_.fields]
    )
    # It would answer some requests in threads of their own, which share one connection to DuckDB with all others: under
    # load one request then gets another's rows, or waits for ever. Those of HTTP need no thread; those of gRPC keep
    # theirs, each with a connection of its own.
    fastapi.routing.run_in_threadpool = _here
    shared, of_thread = DuckDBEngine.connection.fget, threading.local()

    def connection(engine: DuckDBEngine) -> object:
        if threading.current_thread() is threading.main_thread():
            return shared(engine)
        if not hasattr(of_thread, "connection"):
            of_thread.connection = shared(engine).cursor()
            of_thread.connection.execute("SET TimeZone = 'UTC'")
        return of_thread.connection

    DuckDBEngine.connection = property(connection)
    # It parses each statement a dozen times over, which was nine tenths of its time.
    parse, trees = Dialect.parse, {}

    def parse_once(dialect: Dialect, sql: str, **options: object) -> list[object]:
        key = (type(dialect), sql, repr(sorted(options.items())), repr(dialect.settings))
        if key not in trees:
            if len(trees) >= 1000:
                trees.clear()
            trees[key] = parse(dialect, sql, **options)
        return [tree and tree.copy() for tree in trees[key]]

    Dialect.parse = parse_once
    main(sys.argv[1:])


async def _here(call: Callable[..., object], /, *args: object, **named: object) -> object:
    return call(*args, **named)


if __name__ == "__main__":
    os.environ.setdefault("BQEMU_TELEMETRY", "false")
    _start()
