"""All parts of the delivery as real processes, with the means to kill, freeze, cut off and starve each of them.

Edge, hub (forwarder and store) and broker have a disk each, and a link to what they talk to:

    watch --edge--> broker <--hub-- forwarder --database--> PostgreSQL, or a SQLite file on the hub's disk
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import parts
from audit import confirmed, install
from link import Link
from schedule import Schedule

from mien.config import load
from mien.edge.outbox import open_outbox
from mien.edge.publisher import Publisher
from mien.errors import MienError
from mien.mqtt import credentials
from mien.mqtt.connection import BrokerAddress, Connection
from mien.mqtt.messages import Stats
from mien.observation import encode, new_id
from mien.stores.base import open_store
from ports import unused_port
from postgres import Server
from programs import program

PATIENCE = {"MIEN_OUTBOX__RESEND_AFTER_S": "3", "MIEN_BROKER__KEEPALIVE_S": "6"}
SINK = Path(__file__).parents[2] / "deploy" / "sink.py"
START_S = 120.0
BACK_AFTER_S = 0.5
"""A part that ends by itself is started again so much later, as a service manager does."""


class Role:
    """A part that is kept running, whichever process plays it at the moment."""

    def __init__(self, start: Callable[[], Any], pids: Callable[[int], list[int]] = lambda pid: [pid]) -> None:
        self._start, self._pids = start, pids
        self.wanted, self.returns, self.finished = True, 0, False
        self._due = 0.0
        self.start()

    def start(self) -> None:
        self.process = self._start()

    def code(self) -> int | None:
        """Return the exit code, None while it runs."""
        process = self.process
        return process.poll() if isinstance(process, subprocess.Popen) else process.exitcode

    def pids(self) -> list[int]:
        return self._pids(self.process.pid) if self.code() is None else []

    def signal(self, number: int) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        if self.code() is None:
            self.process.kill()
        self.process.wait() if isinstance(self.process, subprocess.Popen) else self.process.join()

    def look_after(self) -> None:
        """Start it again some time after it has ended by itself; the exit code 0 is an end that was meant."""
        if not self.wanted or self.code() is None:
            self._due = 0.0
        elif self.code() == 0:
            self.finished = True
        elif not self._due:
            self._due = time.monotonic() + BACK_AFTER_S
        elif time.monotonic() >= self._due:
            self.returns += 1
            self._due = 0.0
            self.start()


class Disk:
    """A folder that can be full: a file system of its own where we may mount one, else a limit on files' sizes."""

    def __init__(self, folder: Path, pids: Callable[[], list[int]], mount: bool) -> None:
        self.folder, self._pids, self._mounted = folder, pids, False
        folder.mkdir(mode=0o755)
        if mount:
            options = ["mount", "-t", "tmpfs", "-o", "size=96m,mode=755", "tmpfs", str(folder)]
            self._mounted = subprocess.run(options, capture_output=True, check=False).returncode == 0

    def fill(self) -> None:
        if not self._mounted:
            files = [path.stat().st_size for path in self.folder.rglob("*.db*")]
            self._limit(max(files, default=0) + 5000)
            return
        with contextlib.suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        with contextlib.suppress(OSError), (self.folder / "ballast-rest").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(512))

    def free(self) -> None:
        if not self._mounted:
            self._limit(resource.RLIM_INFINITY)
        for name in ("ballast", "ballast-rest"):
            (self.folder / name).unlink(missing_ok=True)

    def remove(self) -> None:
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.folder)], capture_output=True, check=False)

    def _limit(self, size: int) -> None:
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


class Arena:
    """Everything that one schedule needs, running; `close` ends and removes it."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.folder = Path(tempfile.mkdtemp(prefix=f"mien-chaos-{schedule.seed}-"))
        self.folder.chmod(0o755)
        self.sources = [f"cam-{n}" for n in range(schedule.sources)]
        self.roles: dict[str, Role] = {}
        self._locked: sqlite3.Connection | None = None
        mount = schedule.seed % 3 != 0
        self.disks = {
            name: Disk(self.folder / name, self._pids_on(name), mount and (name != "broker" or not self._is_outside))
            for name in ("edge", "hub", "broker")
        }
        self.homes = {name: disk.folder / "home" for name, disk in self.disks.items()}
        for home in self.homes.values():
            home.mkdir(mode=0o700)
        self.links: dict[str, Link] = {}
        self.clocks = {part: self.folder / f"{part}.clock" for part in ("watch", "forward")}
        self._start()

    def start_watch(self) -> None:
        """Let observations be taken, and wait until the first ones have come all the way."""
        outboxes = self.homes["edge"] / "outbox"
        for source in self.sources:
            install(outboxes, source)
        self.roles["watch"] = Role(self._watch)

        def comes() -> bool:
            for role in self.roles.values():
                role.look_after()  # a forwarder that was there before the database ends
            return all(confirmed(outboxes, source) for source in self.sources)

        parts.wait_for(comes, START_S, "delivery")

    def end_watch(self) -> None:
        """Let no more observations be taken."""
        (self.homes["edge"] / "over").touch()

    def start_cameras(self) -> None:
        """In place of `mien watch`, which does not end by itself, deliver what is left, and end then."""
        role = self.roles["watch"]
        role.kill()
        self.roles["watch"] = Role(self._cameras)

    def lock_store(self) -> None:
        """Hold SQLite's write lock, as a backup gone wrong would."""
        path = self.homes["hub"] / "mien.db"
        if self._locked is None and path.exists():
            self._locked = sqlite3.connect(path, isolation_level=None, timeout=0.5, check_same_thread=False)
            with contextlib.suppress(sqlite3.OperationalError):
                self._locked.execute("BEGIN IMMEDIATE")

    def unlock_store(self) -> None:
        if self._locked is not None:
            self._locked.close()
            self._locked = None

    def replace_store(self) -> None:
        """Put another file with the same content in a SQLite store's place, while the forwarders have it open."""
        path = self.homes["hub"] / "mien.db"
        if self.schedule.store != "sqlite" or not path.exists():
            return
        forwarders = [role for name, role in self.roles.items() if name.startswith("forward")]
        for role in forwarders:
            role.signal(signal.SIGSTOP)  # what it confirms after the copy must not be in the old file alone
        other = path.with_name("other.db")
        try:
            with contextlib.closing(sqlite3.connect(path, timeout=0.5)) as store:
                with contextlib.closing(sqlite3.connect(other)) as copied:
                    store.backup(copied)
                other.chmod(0o600)
                other.replace(path)
        except (sqlite3.Error, OSError):  # the disk is full, or the store is locked
            other.unlink(missing_ok=True)
        finally:
            for role in forwarders:
                role.signal(signal.SIGCONT)

    def send_again(self) -> None:
        """Publish once more what was stored last, if store and broker answer."""
        threading.Thread(target=self._send_again, daemon=True).start()  # a database that is frozen holds it up

    def _send_again(self) -> None:
        with contextlib.suppress(MienError):
            store = open_store(self.store_url, read_only=True)
            try:
                rows = store.recent(datetime(1970, 1, 1, tzinfo=timezone.utc), limit=200)
            finally:
                store.close()
            connection = Connection(self._broker, new_id())
            for row in rows:
                connection.publish(f"mien/{row.source}/observations", encode(row))
            time.sleep(0.5)
            connection.close()

    def servers(self) -> list[int]:
        """Return the process of the broker itself: the NATS server, or mosquitto."""
        if self._is_outside:
            return self.roles["broker"].pids()
        wanted = str(self.homes["broker"] / "broker" / "nats.conf").encode()
        return [pid for pid, words in _processes() if wanted in words and words[0].endswith(b"nats-server")]

    def logs(self) -> dict[str, str]:
        """Return what each part has said."""
        return {
            str(path.relative_to(self.folder)): path.read_text(errors="replace") for path in self.folder.rglob("*.log")
        }

    def close(self) -> None:
        self.unlock_store()
        for role in self.roles.values():
            role.wanted = False
            role.signal(signal.SIGCONT)
        for name in ("watch", "forward-0", "forward-1", "broker", "database"):
            if name in self.roles:
                self.roles[name].kill()
        for disk in self.disks.values():
            disk.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _is_outside(self) -> bool:
        return self.schedule.broker == "mosquitto"

    def _pids_on(self, disk: str) -> Callable[[], list[int]]:
        names = {"edge": ["watch"], "hub": ["forward-0", "forward-1"], "broker": []}[disk]
        return lambda: [pid for name in names if name in self.roles for pid in self.roles[name].pids()]

    def _start(self) -> None:
        port = unused_port()
        self._environment = dict(PATIENCE)
        self._broker = BrokerAddress("127.0.0.1", port)
        if not self._is_outside:
            known = credentials.make(self.homes["broker"])  # the broker reads them when it starts
            self._broker = self._broker._replace(username=known.username, password=known.password)
            self._environment |= {"MIEN_BROKER__USERNAME": known.username, "MIEN_BROKER__PASSWORD": known.password}
        self.roles["broker"] = Role(self._mosquitto(port) if self._is_outside else self._built_in(port))
        self.links |= {"edge": Link(port), "hub": Link(port)}
        self.store_url = f"sqlite:///{self.homes['hub'] / 'mien.db'}"
        store = self.store_url
        if self.schedule.store == "postgresql":
            server = Server(Path(program("initdb")).parent, self.disks["hub"].folder)
            database = server.new_database()
            self.store_url = server.url(database).replace("postgresql:", "postgresql+psycopg:")
            self.links["database"] = Link(server.port)
            store = server.url(database).replace(f":{server.port}/", f":{self.links['database'].port}/")
            server.stop()
            self.roles["database"] = Role(server.launch, _with_children)
        if self.schedule.store == "sink":
            self.store_url = f"sqlite:///{self.homes['hub'] / 'sink.db'}"
            self.roles["forward-0"] = Role(self._sink)
            return
        for n in range(self.schedule.forwarders):
            home = self.homes["hub"] if n == 0 else self.disks["hub"].folder / "second"
            environment = self._environment | self._broker_by("hub") | {"MIEN_STORE__URL": store}
            environment["STEPPED_CLOCK"] = str(self.clocks["forward"])
            self.roles[f"forward-{n}"] = Role(_starter("forward", home, environment))

    def _broker_by(self, link: str) -> dict[str, str]:
        return {"MIEN_BROKER__HOST": "127.0.0.1", "MIEN_BROKER__PORT": str(self.links[link].port)}

    def _built_in(self, port: int) -> Callable[[], Any]:
        return lambda: parts.start("broker", self.homes["broker"], port)

    def _mosquitto(self, port: int) -> Callable[[], Any]:
        folder = self.homes["broker"]
        keeps = (
            f"persistence true\npersistence_location {folder}/\nautosave_interval 1\n" if self.schedule.keeps else ""
        )
        user = "user root\n" if os.geteuid() == 0 else ""
        (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{user}{keeps}")

        def start() -> subprocess.Popen[bytes]:
            with (folder / "mosquitto.log").open("ab") as log:
                return subprocess.Popen(
                    [program("mosquitto"), "-c", str(folder / "mosquitto.conf")], stdout=log, stderr=log
                )

        return start

    def _sink(self) -> Any:
        address = {"MQTT_HOST": "127.0.0.1", "MQTT_PORT": str(self.links["hub"].port)}
        if not self._is_outside:
            address |= {"MQTT_USERNAME": self._broker.username or "", "MQTT_PASSWORD": self._broker.password or ""}
        home = self.homes["hub"]
        with (home / "sink.log").open("ab") as log:
            return subprocess.Popen([sys.executable, SINK], env=os.environ | address, cwd=home, stdout=log, stderr=log)

    def _watch(self) -> Any:
        if self.schedule.watch != "mien watch":
            return self._cameras()
        home = self.homes["edge"]
        limits = {"MIEN_OUTBOX__MAX_ROWS": str(self.schedule.max_rows), "MIEN_HOME": str(home)}
        with (home / "watch.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "mien", "watch", "demo", "--name", self.sources[0], "--fps", "10"],
                env=os.environ | self._environment | self._broker_by("edge") | limits,
                stdout=log,
                stderr=log,
            )

    def _cameras(self) -> Any:
        home = self.homes["edge"]
        limits = {"MIEN_OUTBOX__MAX_ROWS": str(self.schedule.max_rows), "MIEN_HOME": str(home)}
        environment = self._environment | self._broker_by("edge") | limits
        environment["STEPPED_CLOCK"] = str(self.clocks["watch"])
        rate = self.schedule.rate / self.schedule.sources
        process = parts.Part(_film, (home, self.sources, rate, environment))
        process.start()
        return process


def _starter(part: str, home: Path, environment: dict[str, str]) -> Callable[[], Any]:
    return lambda: parts.start(part, home, **environment)


def _film(home: Path, sources: list[str], rate: float, environment: dict[str, str]) -> None:
    stopping = parts.prepare(home, "watch", environment)
    try:
        _take(sources, rate, stopping)
    except MienError as error:
        print(f"mien: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)


def _take(sources: list[str], rate: float, stopping: threading.Event) -> None:
    """Be simulated cameras until it is over, and then until all is delivered."""
    config = load()
    over = config.home / "over"
    outboxes = {source: open_outbox(config, source) for source in sources}
    publishers = [Publisher(outbox, source, config, lambda: Stats(fps=rate)) for source, outbox in outboxes.items()]
    sessions = {source: new_id() for source in sources}
    began, seq = time.monotonic(), 0
    while not over.exists() and not stopping.is_set():
        for source, outbox in outboxes.items():
            outbox.append(parts.observation(source, sessions[source], seq, faces=seq % 4))
        seq += 1
        stopping.wait(max(0.0, began + seq / rate - time.monotonic()))
    while not stopping.wait(0.05) and not all(
        outbox.flush() and not outbox.counts.depth for outbox in outboxes.values()
    ):
        pass
    for publisher in publishers:
        publisher.close()
    for outbox in outboxes.values():
        outbox.close()


def _processes() -> list[tuple[int, list[bytes]]]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append((int(path.parent.name), path.read_bytes().split(b"\0")))
    return found


def _with_children(pid: int) -> list[int]:
    found = [pid]
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if path.read_text().rpartition(")")[2].split()[1] == str(pid):
                found.append(int(path.parent.name))
    return found
