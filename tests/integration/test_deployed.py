"""deploy/compose.yaml without containers: its commands, environment and secrets with a real broker and database.

What differs from a container: names of hosts, paths of secrets, ports.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from parts import wait_for

from mien.stores.base import open_store
from ports import unused_port
from programs import program

if TYPE_CHECKING:
    from postgres import Server

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVICES = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
SECRETS = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["secrets"]

WITHIN_S = 100


def answer(url: str) -> Any:
    """Return what an address answers, read as JSON; None while nobody does, or where it says that it does not work."""
    try:
        with urllib.request.urlopen(url, timeout=5) as got:  # noqa: S310 - of this machine
            return json.load(got)
    except (urllib.error.URLError, OSError):
        return None


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in reversed(processes):
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.mosquitto
@pytest.mark.timeout(300)
def test_the_parts_of_compose_work_together(
    mosquitto: str, postgresql: Server, started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    program("openssl")
    port, page, metrics = unused_port(), unused_port(), unused_port()
    secrets = tmp_path / "secrets"
    subprocess.run([sys.executable, DEPLOY / "make_secrets.py", secrets], check=True, timeout=60)

    room = tmp_path / "broker"
    room.mkdir()
    shutil.copy(DEPLOY / "mosquitto.acl", room)
    for secret in SERVICES["broker"]["secrets"]:
        shutil.copy(
            secrets / Path(SECRETS[secret["source"]]["file"]).name,
            room / Path(secret["target"]).relative_to(SERVICES["broker"]["working_dir"]),
        )
    config = (DEPLOY / "mosquitto.conf").read_text().replace("listener 8883", f"listener {port} 127.0.0.1")
    (room / "mosquitto.conf").write_text(config + ("\nuser root\n" if os.geteuid() == 0 else ""))
    started.append(subprocess.Popen([mosquitto, "-c", "mosquitto.conf"], cwd=room, stderr=subprocess.DEVNULL))

    database = postgresql.url(postgresql.new_database())

    def environment(name: str) -> dict[str, str]:
        named = dict(SERVICES[name]["environment"])
        for variable, value in named.items():
            if value.startswith("/run/secrets/"):
                named[variable] = str(secrets / Path(SECRETS[Path(value).name]["file"]).name)
        named |= {"MIEN_BROKER__HOST": "localhost", "MIEN_BROKER__PORT": str(port), "MIEN_HOME": str(tmp_path / name)}
        if name != "watch":
            named["MIEN_STORE__URL"] = database
        return {**os.environ, **named}

    def part(name: str, **more: str) -> None:
        words = [word.replace("${SOURCE:-demo}", "demo") for word in SERVICES[name]["command"]]
        words = [str(page) if word == "8080" else word for word in words]
        command = [sys.executable, "-m", "mien", *words]
        started.append(subprocess.Popen(command, env=environment(name) | more, cwd=tmp_path))

    part("watch")
    part("forward", MIEN_FORWARD__METRICS_PORT=str(metrics))
    wait_for(lambda: (answer(f"http://127.0.0.1:{metrics}/health") or {}).get("status") == "ok", WITHIN_S)
    giving = [sys.executable, "-m", "mien", "access", "password", "ada"]
    subprocess.run(giving, env=environment("dashboard"), input=b"a long enough one\n", check=True, timeout=WITHIN_S)
    part("dashboard")
    wait_for(lambda: answer(f"http://127.0.0.1:{page}/api/v1/health") is not None, WITHIN_S)
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{page}/api/v1/sources", timeout=10)
    refused.value.close()

    outbox = tmp_path / "watch" / "outbox"
    fresh = ["find", str(outbox), "-name", "*.db*", "-mmin", "-1"]
    wait_for(lambda: subprocess.run(fresh, capture_output=True, check=False).stdout, what="what its health check wants")
    store = open_store(database)
    wait_for(lambda: [source.source for source in store.sources()] == ["lobby"], WITHIN_S)
    store.close()
