"""nginx as deploy/nginx.conf has it, before a dashboard of the tests."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from ports import unused_port
from programs import program

__all__ = ["nginx"]

GIVEN = Path(__file__).parents[1] / "deploy" / "nginx.conf"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def nginx(folder: Path, dashboard: str, *, tls: bool = True, left_out: Sequence[str] = ()) -> Iterator[str]:
    """Run it on a free port before a dashboard; yield the address without a slash at its end.

    Args:
        folder: Where its certificate, its logs and its process id go.
        dashboard: The dashboard's address.
        tls: Whether it speaks HTTPS, with a certificate of its own, or HTTP.
        left_out: Lines that it is to lack.
    """
    port = unused_port()
    folder.mkdir(exist_ok=True)
    text = GIVEN.read_text(encoding="utf-8")
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made = [*new, "-keyout", str(folder / "server.key"), "-out", str(folder / "server.crt")]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    temporary = "".join(f"    {name}_temp_path {folder / name};\n" for name in TEMPORARY)
    pairs = {
        "http {\n": f"pid {folder / 'nginx.pid'};\nhttp {{\n    access_log off;\n{temporary}",
        "listen 80;": f"listen 127.0.0.1:{unused_port()};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port} {'ssl http2' if tls else ''};",
        "/etc/ssl/mien/": f"{folder}/",
        "http://127.0.0.1:8080/": f"{dashboard}/",
        **dict.fromkeys(left_out, ""),
    }
    for old, wanted in pairs.items():
        assert old in text, old
        text = text.replace(old, wanted)
    configuration = folder / "nginx.conf"
    configuration.write_text(text, encoding="utf-8")
    command = [program("nginx"), "-c", str(configuration), "-p", str(folder), "-e", str(folder / "error.log")]
    process = subprocess.Popen([*command, "-g", "daemon off;"])
    try:
        _wait(port, process, folder)
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, (folder / "error.log").read_text(encoding="utf-8")
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("nginx did not answer in time")
