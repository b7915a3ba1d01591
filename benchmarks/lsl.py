"""How late a sample of `mien watch --lsl` is: from the decoded frame, and from the observation, to another process.

    python benchmarks/lsl.py [--samples 300] [--fps 10]

Both processes read one clock, LSL's. The first line holds the whole of it: finding and reading the faces of the demo
clip as well; the second line an outlet's part alone, its samples sent at 100 a second from a process of its own.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pylsl

from mien.edge.lsl import LOOPBACK, STREAM_TYPE

SENDING = """
import sys, tempfile, time
from pathlib import Path
from mien.config import checked
from mien.edge.lsl import LslOutlet
from mien.observation import Observation, new_id, now
model = "tiny@00000000"
outlet = LslOutlet(checked({"home": tempfile.mkdtemp()}, "the benchmark"), "sent", model)
while True:
    outlet.push(Observation(new_id(), "sent", new_id(), 0, now(), 0.0, 0, 640, 360, model, 0.0, []))
    time.sleep(0.01)
"""


def delays(name: str, samples: int) -> np.ndarray:
    """Return how late samples of a stream are, in milliseconds."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for info in pylsl.resolve_byprop("name", name, 1, timeout=2):
            inlet = pylsl.StreamInlet(info)
            inlet.open_stream(timeout=10)
            inlet.flush()
            late: list[float] = []
            while len(late) < samples and time.monotonic() < until + 60:
                _, at = inlet.pull_sample(timeout=5)
                if at is not None:
                    late.append(1000 * (pylsl.local_clock() - at))
            return np.array(late)
    raise SystemExit(f"no stream {name} of the type {STREAM_TYPE} came")


def main() -> None:
    """Print the delays."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--samples", type=int, default=300)
    options.add_argument("--fps", type=float, default=10.0)
    asked = options.parse_args()
    pylsl.set_config_content(LOOPBACK)
    watch = [sys.executable, "-m", "mien", "watch", "demo", "--lsl", "--fps", str(asked.fps)]
    for what, name, command in (
        ("frame to receiver", "mien-demo", watch),
        ("observation to receiver", "mien-sent", [sys.executable, "-c", SENDING]),
    ):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "MIEN_HOME": str(Path(folder) / "home")}
            sender = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            try:
                late = delays(name, asked.samples)
            finally:
                sender.send_signal(signal.SIGINT)
                sender.wait(60)
        middle, most = np.percentile(late, (50, 99))
        print(f"{what}: median {middle:.1f} ms, 99 % within {most:.1f} ms, {len(late)} samples", flush=True)


if __name__ == "__main__":
    main()
