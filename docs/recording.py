"""Make `img/running.webp`, the short recording in the README: `python docs/recording.py`, with Chromium at hand.

Nothing goes in; `mien up demo` is started, and what its dashboard shows is taken down for twenty seconds. The picture
beside it is the clip's own frame of the observation that the page shows just then, with what was found drawn in. Take
it on a machine that does nothing else: its delay is in the picture.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from mien.media.demo import SECONDS, Demo
from mien.observation import Observation, decode
from mien.vision.annotate import annotate

OUT = Path(__file__).parent / "img" / "running.webp"
CHROMIUM = "/usr/bin/chromium"
ARGS = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
STEP_S = 0.4
SIZE = (1060, 500)
GROUND = (245, 245, 242)


def main() -> None:
    """Record one round of the clip."""
    with tempfile.TemporaryDirectory() as home:
        log = Path(home) / "up.log"
        with log.open("wb") as said:
            environment = {**os.environ, "MIEN_HOME": f"{home}/mien"}
            up = subprocess.Popen(
                [sys.executable, "-m", "mien", "up", "demo"], env=environment, stdout=said, stderr=said
            )
        try:
            address = started(log)
            time.sleep(SECONDS + 10)  # until the last minute's stream has something to show
            shots = record(address)
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)
    pictures = [composed(shot, shown) for shot, shown in shots if shown]
    pictures[0].save(
        OUT, save_all=True, append_images=pictures[1:], duration=round(STEP_S * 1000), loop=0, quality=60, method=6
    )
    print(f"{OUT}: {len(pictures)} pictures, {OUT.stat().st_size / 1e6:.2f} MB")  # noqa: T201


def started(log: Path) -> str:
    """Return the dashboard's address once it is there."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if found := re.search(r"dashboard is at (http://127\.0\.0\.1:\d+)", log.read_text()):
            return found[1]
        time.sleep(0.2)
    raise TimeoutError(log.read_text())


class Newest(threading.Thread):
    """Hears what the dashboard's live stream says, and holds the newest observation."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.observation: Observation | None = None
        self._stream = urllib.request.urlopen(f"{address}/api/v1/live")  # noqa: S310

    def run(self) -> None:
        """Read until the dashboard ends."""
        for line in self._stream:
            if line.startswith(b'data: {"id"'):
                self.observation = decode(line.removeprefix(b"data: "))


def record(address: str) -> list[tuple[Image.Image, Observation | None]]:
    """Return pictures of the page, each with the observation that it shows, for one round of the clip."""
    shots = []
    newest = Newest(address)
    newest.start()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page = browser.new_page(viewport={"width": 860, "height": 730})
        page.goto(f"{address}/?kiosk=1")
        page.get_by_text("Online").first.wait_for()
        time.sleep(3)
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < SECONDS:
            shown = newest.observation
            shots.append((Image.open(io.BytesIO(page.screenshot())).convert("RGB"), shown))
            time.sleep(max(0.0, STEP_S - (time.monotonic() - begun - passed)))
        browser.close()
    return shots


def composed(shot: Image.Image, shown: Observation) -> Image.Image:
    """Return the clip's frame, with what was found drawn in, beside the page."""
    frame = annotate(Demo().image(shown.offset_s or 0.0), shown)
    whole = Image.new("RGB", SIZE, GROUND)
    page = shot.resize((round(shot.width * SIZE[1] / shot.height), SIZE[1]), Image.Resampling.LANCZOS)
    left = SIZE[0] - page.width
    camera = Image.fromarray(frame[..., ::-1]).resize(
        (left - 16, round((left - 16) * 9 / 16)), Image.Resampling.LANCZOS
    )
    whole.paste(camera, (16, (SIZE[1] - camera.height) // 2))
    whole.paste(page, (left, 0))
    return whole


if __name__ == "__main__":
    main()
