"""What a larger face and a second look, at its mirror image, give a trained network, and what they cost.

    python benchmarks/tta.py runs/7/019.ckpt --data fer2013.parquet [--sizes 48,52,56]

PublicTest's faces: accuracy, cross-entropy and macro-F1 in torch, and the time of one face on one thread in
onnxruntime, before eight bits: the least of many calls. PrivateTest is never read.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import onnxruntime
import torch

from mien.models.classifier import INPUT
from mien.observation import EMOTIONS
from mien.run.bench import machine
from mien.training import data, figures
from mien.training.checkpoints import load_checkpoint
from mien.training.export import Calibration, to_onnx
from mien.training.model import EmotionNet, fold, predict

CALLS = 100


def milliseconds(net: EmotionNet, face: np.ndarray) -> float:
    """Return the time that one face takes, shape (1, 48, 48), uint8."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = to_onnx(net, "fer2013", Calibration(1.0, 0.0), name="tried", trained_on="")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    took = []
    for _ in range(CALLS):
        began = time.perf_counter()
        session.run(None, {INPUT: face[:, None].astype(np.float32)})
        took.append(time.perf_counter() - began)
    return 1000 * min(took)


def main() -> None:
    """Print one row for each size and number of looks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", help="what mien train wrote")
    parser.add_argument("--data", required=True, help="FER-2013, in any form that mien train reads")
    parser.add_argument("--sizes", default="48,50,52,54,56,60", help="sides of the faces in pixels, between commas")
    given = parser.parse_args()
    public = data.load(given.data, ("PublicTest",))
    rows = np.arange(len(public.labels))
    print(machine(), "\n")
    print("| checkpoint | side | looks | right % | loss | macro-F1 | one face, ms |")
    print("|---|---|---|---|---|---|---|")
    for path in given.checkpoints:
        trained = load_checkpoint(path)[0]
        if not isinstance(trained, EmotionNet):
            parser.error(f"{path} holds a teacher: give checkpoints of network mien")
        for size in map(int, given.sizes.split(",")):
            for mirror in (False, True):
                trained.size, trained.mirror = size, mirror
                net = fold(trained)
                logits = predict(net, public.pixels)["fer2013"]
                likely = torch.log_softmax(torch.from_numpy(logits), 1).numpy()
                table = figures.classes(figures.confusion(public.labels, logits.argmax(1)))
                macro = float(np.mean([table[emotion]["f1"] or 0.0 for emotion in EMOTIONS]))
                right = 100 * (logits.argmax(1) == public.labels).mean()
                loss = -likely[rows, public.labels].mean()
                took = milliseconds(net, public.pixels[:1])
                row = f"| {path} | {size} px | {1 + mirror} | {right:.1f} | {loss:.3f} | {macro:.3f} | {took:.1f} |"
                print(row, flush=True)


if __name__ == "__main__":
    main()
