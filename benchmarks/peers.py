"""Mien and its peers on the same clips, in turn, on this machine: frames a second from file to emotions, and memory.

    python benchmarks/peers.py CLIP... [--cache FOLDER] [--rounds 2] [--seconds 8]

Each peer is installed into a virtual environment of its own below the cache folder, which needs uv and a network the
first time (fer brings 7.5 GB). It is run as its own documentation shows, frame by frame. Where its weights would have
to be fetched from a host that needs an account or is slow, its architecture with random weights takes their place:
that changes no speed, and the table says so. YuNet's weights are the real ones everywhere.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PEERS = {
    # name: its folder, what to install (with what its own installation forgets), its weights
    "deepface, opencv": ("deepface", ["deepface==0.0.103", "werkzeug"], "random"),
    "deepface, YuNet": ("deepface", ["deepface==0.0.103", "werkzeug"], "random"),
    "fer, Haar": ("fer", ["fer==25.10.3", "setuptools<81", "opencv-contrib-python<5"], "its own"),
    "EmotiEffLib, YuNet": ("emotiefflib", ["emotiefflib==1.1.1", "onnxruntime"], "random"),
}
WARM_UP = 5
Reader = Callable[[Any], Any]


def deepface(backend: str) -> Reader:
    from deepface import DeepFace

    def read(frame: Any) -> Any:
        return DeepFace.analyze(
            frame, actions=["emotion"], detector_backend=backend, enforce_detection=False, silent=True
        )

    return read


def fer() -> Reader:
    from fer.fer import FER

    detector: Any = FER()

    def read(frame: Any) -> Any:
        return detector.detect_emotions(frame)

    return read


def emotiefflib() -> Reader:
    import cv2
    from emotiefflib.facial_analysis import EmotiEffLibRecognizer

    recognizer = EmotiEffLibRecognizer(engine="onnx", model_name="enet_b0_8_best_vgaf")
    detector = cv2.FaceDetectorYN.create(os.environ["YUNET"], "", (320, 320), 0.7)

    def read(frame: Any) -> Any:
        detector.setInputSize(frame.shape[1::-1])
        _, found = detector.detect(frame)
        rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        boxes = [] if found is None else found[:, :4].clip(0).astype(int)
        faces = [rgb[y : y + height, x : x + width] for x, y, width, height in boxes]
        return [recognizer.predict_emotions(face, logits=False) for face in faces if face.size]

    return read


READERS: dict[str, Callable[[], Reader]] = {
    "deepface, opencv": lambda: deepface("opencv"),
    "deepface, YuNet": lambda: deepface("yunet"),
    "fer, Haar": fer,
    "EmotiEffLib, YuNet": emotiefflib,
}


def frames(clip: str) -> Iterator[Any]:
    """Yield the clip's frames as OpenCV decodes them, again and again."""
    import cv2

    while True:
        video = cv2.VideoCapture(clip)
        while (given := video.read())[0]:
            yield given[1]


def run_peer(name: str, clip: str, seconds: float) -> int:
    """Return how many frames a peer read in so many seconds, after warming up."""
    read, source = READERS[name](), frames(clip)
    for _ in range(WARM_UP):
        read(next(source))
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        read(next(source))
        count += 1
    print(json.dumps(count / (time.perf_counter() - began)))
    return count


def run_mien(clip: str, seconds: float) -> None:
    """Analyse the clip again and again for so many seconds."""
    import mien

    analyzer = mien.Analyzer()
    analyzer.analyze_video(clip, end=0.2)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        count += len(analyzer.analyze_video(clip))
    print(json.dumps(count / (time.perf_counter() - began)))


def child(name: str, clip: str, seconds: float) -> None:
    """Print the frames a second, and after them the most memory that this process had, in MiB."""
    import resource

    if name == "Mien":
        run_mien(clip, seconds)
    else:
        run_peer(name, clip, seconds)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def install(cache: Path, name: str) -> Path:
    """Return the Python of a peer's environment, made at the first time."""
    folder, packages, _ = PEERS[name]
    python = cache / folder / "bin" / "python"
    done = cache / folder / "installed"
    if not done.exists():
        subprocess.run(["uv", "venv", "-q", "--clear", "--python", sys.executable, str(cache / folder)], check=True)
        subprocess.run(["uv", "pip", "install", "-q", "--python", str(python), *packages], check=True)
        done.write_text("\n".join(packages))
    return python


def prepare(cache: Path) -> dict[str, str]:
    """Put weights where the peers look for them and return the environment that says where."""
    import cv2

    from architectures import deepface_emotion, efficientnet_b0
    from mien.vision.yunet import weights

    home = cache / "home"
    folder = home / ".deepface" / "weights"
    yunet = folder / "face_detection_yunet_2023mar.onnx"
    cascades = [
        Path(cv2.__file__).parent / "data" / f"haarcascade_{name}.xml" for name in ("frontalface_default", "eye")
    ]
    for file, content in (
        *((folder / cascade.name, cascade.read_bytes) for cascade in cascades),
        (yunet, weights),
        (folder / "facial_expression_model_weights.onnx", deepface_emotion),
        (home / ".emotiefflib" / "enet_b0_8_best_vgaf.onnx", efficientnet_b0),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_bytes(content())
    paths = {"HOME": str(home), "DEEPFACE_HOME": str(home), "YUNET": str(yunet)}
    return {**os.environ, **paths, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


def measure(python: Path, name: str, clip: Path, seconds: float, environment: dict[str, str]) -> tuple[float, float]:
    command = [str(python), __file__, str(clip), "--child", name, "--seconds", str(seconds)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
    if ran.returncode:
        print(f"{name} failed:\n{ran.stderr[-2000:]}", file=sys.stderr)
        return float("nan"), 0.0
    rate, memory = ran.stdout.split()[-2:]
    return float(rate), float(memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "mien-peers")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, str(given.clips[0]), given.seconds)
        return
    environment = prepare(given.cache)
    pythons = {"Mien": Path(sys.executable), **{name: install(given.cache, name) for name in PEERS}}
    rates: dict[tuple[str, Path], list[float]] = {(name, clip): [] for name in pythons for clip in given.clips}
    memory = dict.fromkeys(pythons, 0.0)
    for _ in range(given.rounds):
        for clip in given.clips:
            for name, python in pythons.items():
                of = environment if name != "Mien" else {**environment, "HOME": os.environ.get("HOME", "")}
                rate, most = measure(python, name, clip, given.seconds, of)
                rates[name, clip].append(rate)
                memory[name] = max(memory[name], most)
                print(f"{name}, {clip.name}: {rate:.1f} frames/s, {most:.0f} MiB", file=sys.stderr)
    print("|", *(f"{clip.name}, frames/s | Mien's ratio |" for clip in given.clips), "memory, MiB | weights |")
    for name in pythons:
        cells = []
        for clip in given.clips:
            some, ours = rates[name, clip], rates["Mien", clip]
            ratio = sum(mine / other for mine, other in zip(ours, some, strict=True)) / len(some)
            cells += [f"{min(some):.1f}-{max(some):.1f}", f"{ratio:.1f}x"]
        kind = PEERS[name][2] if name in PEERS else "its own"
        print("|", " | ".join([name, *cells, f"{memory[name]:.0f}", kind]), "|")


if __name__ == "__main__":
    main()
