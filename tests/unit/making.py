"""Small models with Mien's contract, and small videos, made on the spot."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from filming import write_video
from mien.models.classifier import Contract

CONTRACT = Contract("tiny", 48, 1.0, 0.4, "nothing: its weights are random", "Apache-2.0")


def write_model(
    path: Path, weights: np.ndarray, bias: np.ndarray, metadata: dict[str, str] | None = None, **names: Any
) -> Path:
    """Write softmax(pixels @ weights + bias) as an ONNX file; weights of shape (2304, 7)."""
    onnx = pytest.importorskip("onnx")
    pixels, output = names.get("pixels", "pixels"), names.get("output", "probabilities")
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", [pixels], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
            helper.make_node("Add", ["scores", "bias"], ["logits"]),
            helper.make_node(names.get("last", "Softmax"), ["logits"], [output]),
        ],
        "tiny",
        [helper.make_tensor_value_info(pixels, kinds.FLOAT, ["n", 1, 48, 48])],
        [helper.make_tensor_value_info(output, kinds.FLOAT, ["n", weights.shape[1]])],
        [
            onnx.numpy_helper.from_array(weights.astype(np.float32), "weights"),
            onnx.numpy_helper.from_array(bias.astype(np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, CONTRACT.to_metadata() if metadata is None else metadata)
    onnx.save(model, path)
    return path


def rewritten(model: Path, path: Path, **texts: str) -> Path:
    """Write a model again with these texts in its contract."""
    onnx = pytest.importorskip("onnx")
    network = onnx.load(model)
    kept = {entry.key: entry.value for entry in network.metadata_props}
    onnx.helper.set_model_props(network, kept | {f"mien.{key}": text for key, text in texts.items()})
    onnx.save(network, path)
    return path


def with_third_head(path: Path, row: list[float]) -> Path:
    """A model that says of every face what is in the row: five values, and how far each is expected to be off."""
    onnx = pytest.importorskip("onnx")
    network = onnx.load(write_model(path, np.zeros((2304, 7)), np.zeros(7)))
    network.graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(np.zeros((2304, len(row)), np.float32), "nothing"),
            onnx.numpy_helper.from_array(np.array(row, np.float32), "row"),
        ]
    )
    network.graph.node.extend(
        [
            onnx.helper.make_node("MatMul", ["flat", "nothing"], ["none"]),
            onnx.helper.make_node("Add", ["none", "row"], ["geometry"]),
        ]
    )
    shape = ["n", len(row)]
    network.graph.output.append(onnx.helper.make_tensor_value_info("geometry", onnx.TensorProto.FLOAT, shape))
    onnx.save(network, path)
    return path


def add_beep(path: Path, silent: Path, begin_s: float, end_s: float, codec: str = "aac") -> Path:
    """Write a copy of a video with a sound track: silence but for a beep between two times."""
    rate = 48_000
    with av.open(str(silent)) as given, av.open(str(path), "w") as container:
        picture, sound = container.add_stream_from_template(given.streams.video[0]), container.add_stream(codec, rate)
        for packet in given.demux(video=0):
            if packet.pts is not None:
                packet.stream = picture
                container.mux(packet)
        times = np.arange(round(rate * float(given.duration or 0) / av.time_base)) / rate
        wave = np.sin(times * 2 * np.pi * 440) * 0.5 * ((times >= begin_s) & (times < end_s))
        kind = "s16" if codec.startswith("pcm") else "fltp"
        for start in range(0, len(times) - 1023, 1024):
            samples = wave[None, start : start + 1024]
            samples = (samples * 32767).astype(np.int16) if kind == "s16" else samples.astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=kind, layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def beep_in(path: Path) -> tuple[float, float] | None:
    """Return when a video's beep begins and ends in seconds, or None where there is no sound track."""
    loud: list[float] = []
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray()).max(0)
            loud += [float(frame.time) + n / frame.sample_rate for n in np.nonzero(samples > 0.1)[0]]
    return min(loud), max(loud)


def grey_levels(count: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """Images that tell their number by their brightness, and their orientation by a white top."""
    images = [np.full((height, width, 3), 20 + 3 * number, np.uint8) for number in range(count)]
    for image in images:
        image[: height // 4] = 255
    return images


def truncated_video(path: Path) -> Path:
    """Write a video of 75 frames, 3 seconds, and cut off the second half of the file."""
    write_video(path, grey_levels(75, 320, 240), range(0, 3000, 40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path
