"""A real S3 HTTP server on this machine, by moto, and the environment that leads to it."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from ports import unused_port

__all__ = ["s3_server"]


@contextlib.contextmanager
def s3_server(bucket: str) -> Iterator[str]:
    """Start the server with one bucket, and yield its URL."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    port = unused_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(OSError):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                    connection.request("PUT", f"/{bucket}")
                    connection.getresponse().read()
                    connection.close()
                    break
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield f"s3://{bucket}"
        finally:
            server.terminate()
            server.wait()
