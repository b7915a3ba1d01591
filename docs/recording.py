"""Make `img/running.webp`, the short recording in the README: `python docs/recording.py`, with Chromium installed.

Nothing goes in. `mien up demo` is started, and what its dashboard shows is recorded for one round of the clip, with the
picture that the demo sends. Make it on a machine that does nothing else: its rate and its delay are in the picture.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from mien.media.demo import SECONDS

OUT = Path(__file__).parent / "img" / "running.webp"
CHROMIUM = "/usr/bin/chromium"
ARGS = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
STEP_S = 0.5
VIEW = {"width": 1280, "height": 720}
SIZE = (1024, 576)


def main() -> None:
    """Record one round of the clip."""
    with tempfile.TemporaryDirectory() as home:
        log = Path(home) / "up.log"
        with log.open("wb") as file:
            environment = {**os.environ, "MIEN_HOME": f"{home}/mien"}
            up = subprocess.Popen(
                [sys.executable, "-m", "mien", "up", "demo"], env=environment, stdout=file, stderr=file
            )
        try:
            address = started(log)
            time.sleep(SECONDS + 10)  # until the last minute's stream has something to show
            pictures = record(address)
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)
    pictures[0].save(
        OUT, save_all=True, append_images=pictures[1:], duration=round(STEP_S * 1000), loop=0, quality=55, method=6
    )
    print(f"{OUT}: {len(pictures)} pictures, {OUT.stat().st_size / 1e6:.2f} MB")  # noqa: T201


def started(log: Path) -> str:
    """Return the dashboard's address once it is there."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if line := re.search(r"dashboard is at (http://127\.0\.0\.1:\d+)", log.read_text()):
            return line[1]
        time.sleep(0.2)
    raise TimeoutError(log.read_text())


def record(address: str) -> list[Image.Image]:
    """Return pictures of the page, one each half second, for one round of the clip."""
    shots = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page = browser.new_page(viewport=VIEW)
        page.goto(f"{address}/?kiosk=1")
        page.locator(".stage.seen .face").first.wait_for()
        time.sleep(3)
        begun = time.monotonic()
        for number in range(round(SECONDS / STEP_S)):
            time.sleep(max(0.0, begun + number * STEP_S - time.monotonic()))
            shots.append(page.screenshot())
        browser.close()
    return [Image.open(io.BytesIO(shot)).convert("RGB").resize(SIZE, Image.Resampling.LANCZOS) for shot in shots]


if __name__ == "__main__":
    main()
