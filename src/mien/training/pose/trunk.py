"""The layers of a finished model that the third head reads: an exported model in, its features of faces out.

They come from the model's own file, with eight bits where it has eight, so that the head learns from what it will see.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from mien.errors import ModelError
from mien.models.classifier import INPUT, Classifier

__all__ = ["Trunk", "tap_of"]

RELU = "/Relu_2_output_0"


class Trunk:
    """The layers of a model up to where its last stage begins.

    Args:
        model: An ONNX file that `mien export` wrote, or the name of a model that comes with Mien.
        threads: How many threads they are computed on.

    Attributes:
        file: The model's.
        tap: The name of the features within its graph.
        mirror: Whether it looks at a face and its mirror image.
        shape: Of the features of one look: channels, height, width.

    Raises:
        ModelError: The model cannot be read, or is not laid out as Mien's are.
    """

    def __init__(self, model: str | Path, threads: int = 1) -> None:
        self.file = Classifier.load(model).file
        network = onnx.load(self.file)
        self.tap = tap_of(network)
        self.mirror = any(node.op_type == "ReduceMean" for node in network.graph.node)
        del network.graph.output[:]  # what lies above is then left out
        network.graph.output.append(onnx.helper.make_empty_tensor_value_info(self.tap))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(
            network.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.shape: tuple[int, ...] = tuple(self.features(torch.zeros(1, 1, 48, 48)).shape[1:])

    def features(self, pixels: Tensor) -> Tensor:
        """Return the features of faces and, after those of all, of their mirror images if the model looks at them.

        Args:
            pixels: Shape (B, 1, 48, 48), float32, 0-255.

        Returns:
            Shape (B or 2 B, channels, height, width), float32.
        """
        (given,) = self._session.run([self.tap], {INPUT: np.ascontiguousarray(pixels.numpy())})
        return torch.from_numpy(given)


def tap_of(network: onnx.ModelProto) -> str:
    """Return the name of the features that the last stage begins with.

    Raises:
        ModelError: The network is not laid out as Mien's are.
    """
    outputs = {name for node in network.graph.node for name in node.output}
    halved: list[str] = [
        node.input[0]
        for node in network.graph.node
        if node.op_type == "Conv" and "/shortcut/" in node.name and node.input[0].startswith("/net/blocks/")
    ]
    if not halved or halved[-1] not in outputs or RELU not in halved[-1]:
        raise ModelError("it is not laid out as Mien's networks are: give a file that `mien export` wrote")
    return halved[-1]
