"""Export: a checkpoint or several in, one ONNX file for each trained head out, with the contract in its metadata.

The exported network has its norms folded into the convolutions and its large weights rounded to half precision, in
which they are stored, so that a file has half the size; it computes in single precision. What the file answers is
compared with torch on real faces before it is written.

    python -m mien.training.export models/fer2013.onnx models/ferplus.onnx --data fer2013.parquet

writes into models that there are already from which probability on each emotion is plausible, and changes nothing else.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import re
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from mien.errors import InputError, MienError, ModelError
from mien.models.classifier import INPUT, OUTPUT, Classifier, Contract
from mien.observation import EMOTIONS, MODEL_NAME
from mien.training import data as faces_data
from mien.training import figures
from mien.training.checkpoints import load_mean
from mien.training.config import TrainConfig
from mien.training.model import BATCH, HEADS, INPUT_SIZE, EmotionNet, SingleHead, fold, predict

__all__ = [
    "BEGUN",
    "Calibration",
    "answered",
    "calibrate",
    "check",
    "even",
    "export",
    "named",
    "round_weights",
    "teach",
    "to_onnx",
    "write",
]

NAMES = {"fer2013": "{}", "ferplus": "{}-ferplus"}
TAUGHT = {"fer2013": "FER-2013 Training, its own labels", "ferplus": "FER-2013 Training, the FER+ votes"}
SHARED = "; the layers below the head learned its labels and the FER+ votes together"
SOFTENED = ", and soft labels that earlier networks and the FER+ votes gave"
BEGUN = {"efficientnet-lite0": "; one of its teachers, EfficientNet-Lite0, began with ImageNet's weights"}
"""What is said of a teacher that began with others' weights, by its network, which stands among the run's teachers."""
COVERAGE = 0.9
"""The share of PublicTest for which the model names an emotion."""
TOLERANCE = 1e-4
CHECKED = 512  # faces
EVENED = 20
"""Rounds in which biases and temperature are fitted in turn."""
RAREST = 1e-3
HALVED_FROM = 256  # smaller tensors stay in single precision: they save nothing


@dataclass(frozen=True)
class Calibration:
    """What makes a head's scores mean what they say.

    Attributes:
        temperature: The logits are divided by it.
        abstain_below: The highest probability under which no emotion is named.
    """

    temperature: float
    abstain_below: float


def export(
    checkpoint: str | Path | Sequence[str | Path],
    data: str | Path,
    out_dir: str | Path,
    *,
    name: str | None = None,
    held_out: float | None = None,
    skip_bad: bool = False,
) -> list[Path]:
    """Write `fer2013.onnx` and, if the run learned the FER+ votes, `ferplus.onnx`.

    Args:
        checkpoint: What `mien train` wrote. Of several, the mean of their weights is exported.
        data: The data set; temperature and threshold are fitted on its PublicTest.
        out_dir: The folder to write to; made if need be.
        name: The model's name, which each observation carries; the second file's ends in `-ferplus`. None: the run's.
        held_out: The share of faces that is PublicTest, where the data does not tell; None: as the run did.
        skip_bad: Leave out rows of the data that cannot be used.

    Raises:
        InputError: A checkpoint, the data set or the name cannot be used, the checkpoints are of different makes, or
            the folder cannot be written.
        ModelError: The ONNX file answers otherwise than torch does.
    """
    if name is not None and not re.fullmatch(MODEL_NAME, name):
        raise InputError(
            f"a model cannot be called {name!r}: expected 1 to 80 letters, digits, spaces or . _ + ( ) -, the first a "
            "letter or digit"
        )
    net, config = load_mean(checkpoint)
    if not isinstance(net, EmotionNet):
        raise InputError(
            f"cannot export '{checkpoint}': its network, {config.network}, is a teacher, too large for a device; give "
            "a checkpoint of network mien, such as one that it taught"
        )
    share = config.split if held_out is None else held_out
    public = faces_data.load(data, ("PublicTest",), skip_bad=skip_bad or config.skip_bad, split=share)
    return write(fold(net), config, public, out_dir, name=name)


def write(
    net: EmotionNet, config: TrainConfig, public: faces_data.Faces, out_dir: str | Path, *, name: str | None = None
) -> list[Path]:
    """Write the files of a network's trained heads, each with its contract.

    Args:
        net: Folded; changed in place.
        config: How it was trained.
        public: PublicTest, on which temperature and threshold are fitted.
        out_dir: The folder to write to; made if need be.
        name: The model's name; None: the run's.

    Raises:
        InputError: The folder cannot be written.
        ModelError: An ONNX file answers otherwise than torch does.
    """
    net = round_weights(net)
    logits = predict(net, public.pixels)
    targets = named(public)
    out = Path(out_dir)
    written = []
    for head in HEADS:
        if head == "ferplus" and not (config.ferplus_weight and public.votes.any()):
            continue
        calibration = calibrate(logits[head], targets[head])
        model = to_onnx(
            net,
            head,
            calibration,
            name=NAMES[head].format(name or config.name),
            trained_on=taught(head, config),
        )
        check(model, SingleHead(net, head, calibration.temperature), public.pixels[:CHECKED])
        try:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{head}.onnx").write_bytes(model)
        except OSError as error:
            raise InputError(f"cannot write to '{out}': {error.strerror}; give another folder with --out") from error
        written.append(teach(out / f"{head}.onnx", public))
    return written


def named(faces: faces_data.Faces) -> dict[str, np.ndarray]:
    """Return what people named each face, of each head, shape (n, 7): one-hot labels, and votes."""
    return {"fer2013": np.eye(len(EMOTIONS), dtype=np.float32)[faces.labels], "ferplus": faces.votes}


def taught(head: str, config: TrainConfig) -> str:
    """Return what a head's contract says of the data that it learned from, itself or by a teacher that BEGUN knows."""
    softened = SOFTENED if head == "fer2013" and config.teachers else ""
    shared = SHARED if config.ferplus_weight else ""
    return TAUGHT[head] + softened + shared + "".join(BEGUN[network] for network in BEGUN if network in config.teachers)


def calibrate(logits: np.ndarray, targets: np.ndarray) -> Calibration:
    """Return the temperature that makes the targets likeliest, and the threshold that keeps 90 % of the faces.

    Args:
        logits: Shape (n, 7).
        targets: Votes or one-hot labels, shape (n, 7); rows of zeros are left out of the temperature.
    """
    known = targets.sum(1) > 0
    scores = torch.from_numpy(logits[known]).double()
    shares = torch.from_numpy(targets[known] / targets[known].sum(1, keepdims=True)).double()

    def loss(log_temperature: float) -> float:
        return float(-(shares * torch.log_softmax(scores / math.exp(log_temperature), 1)).sum(1).mean())

    low, high = math.log(0.05), math.log(20.0)
    golden = (math.sqrt(5) - 1) / 2
    while high - low > 1e-5:  # golden-section search: the loss has one minimum
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    temperature = math.exp((low + high) / 2)
    top = torch.softmax(torch.from_numpy(logits).double() / temperature, 1).max(1).values
    return Calibration(round(temperature, 5), round(float(torch.quantile(top, 1 - COVERAGE)), 5))


def even(net: EmotionNet, head: str, pixels: np.ndarray, targets: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Shift a head's biases, in place, so that over many faces each emotion is answered as often as it is to be.

    A network that learned from soft labels answers some emotions more often than people name them and others less,
    and a temperature alone leaves that, so that means over many faces are wrong. Biases beside the temperature mend
    it (bias-corrected temperature scaling, Alexandari et al. 2020, arXiv:1901.06852); here they are fitted to how
    often people name each emotion, not to each face's label.

    Args:
        net: Folded.
        head: One of HEADS.
        pixels: Faces that it did not learn from, shape (n, 48, 48), uint8.
        targets: Their votes or one-hot labels, shape (n, 7), on which the temperature is fitted.
        shares: How often each emotion is to be answered, shape (7,); none less often than once in a thousand faces.

    Returns:
        What was added to the biases, shape (7,); its mean is 0.
    """
    known = targets.sum(1) > 0
    scores = predict(net, pixels[known])[head]
    shift = np.zeros(len(EMOTIONS), np.float32)
    for _ in range(EVENED):
        temperature = calibrate(scores + shift, targets[known]).temperature
        answered = torch.softmax(torch.from_numpy(scores + shift) / temperature, 1).numpy().mean(0)
        step = np.log(shares.clip(RAREST) / answered)
        shift += (temperature * (step - step.mean())).astype(np.float32)
    with torch.no_grad():
        net.heads[head].get_parameter("bias").add_(torch.from_numpy(shift))
    return shift


def round_weights(net: EmotionNet) -> EmotionNet:
    """Round the large weights, in place, to what half precision can hold, and return the network."""
    with torch.no_grad():
        for weight in net.parameters():
            if weight.numel() >= HALVED_FROM:
                weight.copy_(weight.half().float())
    return net


def to_onnx(
    net: EmotionNet, head: str, calibration: Calibration, *, name: str, trained_on: str, licence: str = "Apache-2.0"
) -> bytes:
    """Return the ONNX file of one head.

    Args:
        net: Folded and rounded.
        head: One of HEADS.
        calibration: The head's.
        name: The model's name.
        trained_on: The data, in words.
        licence: Of the weights.
    """
    model = onnx.ModelProto.FromString(_trace(SingleHead(net, head, calibration.temperature).eval()))
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < HALVED_FROM:
            continue
        casts.append(onnx.helper.make_node("Cast", [f"{tensor.name}.half"], [tensor.name], to=onnx.TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}.half"))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    contract = Contract(
        name=name,
        input_size=INPUT_SIZE,
        temperature=calibration.temperature,
        abstain_below=calibration.abstain_below,
        trained_on=trained_on,
        licence=licence,
        looks=net.looks(),
    )
    onnx.helper.set_model_props(model, contract.to_metadata())
    onnx.checker.check_model(model, full_check=True)
    serialized: bytes = model.SerializeToString()
    return serialized


def answered(model: str | bytes, output: str, pixels: np.ndarray) -> np.ndarray:
    """Return what a model answers for faces in one of its outputs, shape (n, m).

    Args:
        model: An ONNX file's path or content.
        output: The output's name.
        pixels: Shape (n, 48, 48), uint8.
    """
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    parts = np.split(pixels, range(BATCH, len(pixels), BATCH))
    return np.concatenate([session.run([output], {INPUT: part[:, None].astype(np.float32)})[0] for part in parts])


def check(model: bytes, expected: SingleHead, pixels: np.ndarray) -> float:
    """Return the largest difference between what the file and torch answer for the faces.

    Args:
        model: The ONNX file.
        expected: What it was made from.
        pixels: Shape (n, 48, 48), uint8.

    Raises:
        ModelError: The difference is over 1e-4.
    """
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    largest = 0.0
    for start in range(0, len(pixels), BATCH):
        faces = pixels[start : start + BATCH, None].astype(np.float32)
        with torch.inference_mode():
            answer = expected.eval()(torch.from_numpy(faces)).numpy()
        largest = max(largest, float(np.abs(session.run([OUTPUT], {INPUT: faces})[0] - answer).max()))
    if not largest <= TOLERANCE:
        raise ModelError(
            f"the exported model differs from torch by up to {largest:.2g} (at most {TOLERANCE:g} is allowed): it was "
            "not written; another version of torch or onnxruntime may export it rightly"
        )
    return largest


def _trace(model: SingleHead) -> bytes:
    """Return torch's ONNX file of the model.

    The exporter that torch calls legacy takes a quarter of a second, its successor ten, and a run exports after each
    epoch.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            model,
            (torch.zeros(2, 1, INPUT_SIZE, INPUT_SIZE),),
            file,
            dynamo=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "n"}, OUTPUT: {0: "n"}},
            opset_version=17,
        )
        return file.read_bytes()


def teach(model: Path, public: faces_data.Faces) -> Path:
    """Write the thresholds into a model file's contract, and return its path.

    Args:
        model: An ONNX file with a contract; one whose name begins with `ferplus` is held against the FER+ majority.
        public: faces_data.Faces of PublicTest.

    Raises:
        InputError: There is no face to fit them on, or the file cannot be written.
        ModelError: It cannot be read.
    """
    classifier = Classifier.load(model)
    truth = public.majority if model.name.startswith("ferplus") else public.labels
    if not (truth >= 0).any():
        raise InputError(f"no face of PublicTest says what '{model}' should answer: the sets of its contract need some")
    table = figures.plausible_from(classifier.classify(public.pixels[truth >= 0]), truth[truth >= 0])
    network = onnx.load(model)
    onnx.helper.set_model_props(network, dataclasses.replace(classifier.contract, plausible=table).to_metadata())
    try:
        model.write_bytes(network.SerializeToString())
    except OSError as error:
        raise InputError(f"cannot write '{model}': {error.strerror}") from error
    return model


def main() -> None:
    """Write the thresholds into the models that are named."""
    parser = argparse.ArgumentParser(
        prog="python -m mien.training.export",
        description="Write into models from which probability on each emotion is plausible, fitted on PublicTest.",
    )
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="ONNX files, which are changed")
    parser.add_argument("--data", required=True, type=Path, help="FER-2013")
    given = parser.parse_args()
    try:
        public = faces_data.load(given.data, ("PublicTest",))
        for model in given.models:
            print(f"{teach(model, public)}: {Classifier.load(model).model_id}")  # noqa: T201 - it is a command
    except MienError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
