"""Whether films on a Ray cluster become the rows of one machine, whoever dies meanwhile: S3 -> two nodes -> S3.

    python benchmarks/films_on_ray.py [--films 4] [--minutes 3] [--kills 1] [--seed 1]

Everything is real and on this machine: an S3 server (moto), a Ray cluster of two nodes of a core each, films with faces
and cuts. While films are read, workers are killed (kill -9) at random, then a whole node is taken away. At the end
each row is held against those of one machine without Ray, but for what differs from run to run.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

ROOT = Path(__file__).parents[1]
OF_THE_RUN = ("id", "session", "time", "elapsed_ms")
BUCKET = "films"
FPS = 10


def write_film(path: Path, minutes: float, seed: int) -> None:
    """Write a film of a face that moves, with a cut each 7 to 30 seconds."""
    from filming import write_video
    from mien.media.demo import Demo

    drawn, demo = random.Random(seed), Demo()
    face = [cv2.resize(demo.image(n / FPS), (320, 180), interpolation=cv2.INTER_AREA) for n in range(4 * FPS)]
    other = np.random.default_rng(seed).integers(0, 255, (9, 16, 3), np.uint8)
    images, kind, until = [], 0, 0.0
    for n in range(int(minutes * 60 * FPS)):
        if n / FPS >= until:
            kind, until = drawn.randrange(3), n / FPS + drawn.uniform(7, 30)
        image = face[abs(n % (8 * FPS - 2) - 4 * FPS + 1)]
        images.append((image, image[:, ::-1], np.asarray(cv2.resize(other, (320, 180)), np.uint8))[kind])
    write_video(path, images, range(0, 1000 * len(images) // FPS, 1000 // FPS))


def tables(files: Any, folder: str) -> dict[str, pl.DataFrame]:
    paths = [path for path in files.find(f"{BUCKET}/{folder}") if path.endswith(".parquet")]
    read = {path.rpartition("/")[2]: pl.read_parquet(io.BytesIO(files.cat_file(path))) for path in paths}
    return {name: table.drop(*OF_THE_RUN) for name, table in read.items()}


def busy_workers(raylet: int) -> list[int]:
    children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
    return [int(child) for child in children if Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"ray::_run")]


def analyze(output: str, *more: str) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "mien",
        "analyze",
        f"s3://{BUCKET}/films/",
        "-o",
        f"s3://{BUCKET}/{output}/",
        *more,
    ]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--kills", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests"))
    import s3fs

    from buckets import s3_server

    drawn = random.Random(chosen.seed)
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with s3_server(BUCKET), tempfile.TemporaryDirectory(prefix="mien-films-") as folder:
        files = s3fs.S3FileSystem(use_listings_cache=False)
        for number in range(chosen.films):
            path = Path(folder, f"{number}.mp4")
            write_film(path, chosen.minutes, chosen.seed * 1000 + number)
            files.put_file(str(path), f"{BUCKET}/films/{path.name}")
        files.pipe_file(f"{BUCKET}/films/broken.mp4", b"nothing")
        began = time.monotonic()
        analyze("alone").wait()
        alone_s = time.monotonic() - began

        script = [sys.executable, str(ROOT / "tests" / "two_nodes.py")]
        with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nodes:
            assert nodes.stdin
            assert nodes.stdout
            told = json.loads(nodes.stdout.readline())
            os.environ["RAY_ADDRESS"] = told["address"]
            began, killed = time.monotonic(), 0
            running = analyze("together", "--on", "ray")
            while running.poll() is None and killed < chosen.kills:
                busy = busy_workers(told["process"]) if files.find(f"{BUCKET}/together/.pieces") else []
                if busy:
                    time.sleep(drawn.uniform(0, 1))
                    os.kill(drawn.choice(busy), signal.SIGKILL)
                    killed += 1
                    print(f"{time.monotonic() - began:5.1f} s: a worker is killed", flush=True)
                time.sleep(drawn.uniform(0.1, 2))
            nodes.stdin.write("lose\n")
            nodes.stdin.flush()
            nodes.stdout.readline()
            print(f"{time.monotonic() - began:5.1f} s: the second node is taken away", flush=True)
            code = running.wait()
            together_s = time.monotonic() - began
        alone, together = tables(files, "alone"), tables(files, "together")
        rows = [json.loads(line) for line in files.cat_file(f"{BUCKET}/together/manifest.jsonl").splitlines()]
        sections = sum(row.get("sections", 1) for row in rows if row["state"] == "done")
        differ = sum(not table.equals(together.get(name, pl.DataFrame())) for name, table in alone.items())
    counts = f"{sum(map(len, alone.values())):,} rows alone, {sum(map(len, together.values())):,} together"
    what = f"{chosen.films} films of {chosen.minutes:g} minutes at {FPS}/s and one that is none, in {sections} sections"
    died = f"on 2 nodes of a core, {killed} workers killed and a node lost"
    took = f"{alone_s:.0f} s alone, {together_s:.0f} s together"
    print(f"{what} {died}: {counts}, {differ} tables differ; {took}")
    failed = [row["name"] for row in rows if row["state"] == "failed"]
    if differ or alone.keys() != together.keys() or killed < chosen.kills or code != 1 or failed != ["broken.mp4"]:
        sys.exit(f"differ: {differ}, killed: {killed}, code: {code}, failed: {failed}")


if __name__ == "__main__":
    main()
