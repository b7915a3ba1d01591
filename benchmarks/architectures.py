"""Peers' networks with random weights, as ONNX files: for speed alone, they know nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["deepface_emotion", "efficientnet_b0"]

BLOCKS = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
"""EfficientNet-B0 (Tan and Le, 2019): expansion, channels, repeats, stride, kernel."""


class Graph:
    """An ONNX graph that grows layer by layer."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._random = np.random.default_rng(0)

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.weights)}"
        scale = np.sqrt(2 / max(1, math.prod(shape[1:])))
        values = (self._random.normal(0, scale, shape) if len(shape) > 1 else np.zeros(shape)).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def conv(self, x: str, ins: int, outs: int, kernel: int, *, stride: int = 1, group: int = 1, pad: int = 0) -> str:
        weights = self.weight(outs, ins // group, kernel, kernel), self.weight(outs)
        return self.add("Conv", x, *weights, strides=[stride] * 2, group=group, pads=[pad] * 4)

    def dense(self, x: str, ins: int, outs: int) -> str:
        return self.add("Gemm", x, self.weight(outs, ins), self.weight(outs), transB=1)

    def swish(self, x: str) -> str:
        return self.add("Mul", x, self.add("Sigmoid", x))

    def file(self, name: str, shape: list[Any], output: str, classes: int) -> bytes:
        given = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        wanted = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", classes])
        graph = helper.make_graph(self.nodes, "random", [given], [wanted], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())


def deepface_emotion() -> bytes:
    """Return deepface's emotion network: 48x48 grey, channels last; five convolutions, three dense layers."""
    of = Graph()
    x = of.add("Relu", of.conv(of.add("Transpose", "input", perm=[0, 3, 1, 2]), 1, 64, 5))
    x = of.add("MaxPool", x, kernel_shape=[5, 5], strides=[2, 2])
    for ins, outs in ((64, 64), (64, 128)):
        x = of.add("Relu", of.conv(x, ins, outs, 3))
        x = of.add("Relu", of.conv(x, outs, outs, 3))
        x = of.add("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2])
    x = of.add("Relu", of.dense(of.add("Flatten", x), 128, 1024))
    x = of.add("Relu", of.dense(x, 1024, 1024))
    return of.file("input", ["n", 48, 48, 1], of.add("Softmax", of.dense(x, 1024, 7)), 7)


def efficientnet_b0() -> bytes:
    """Return EfficientNet-B0 with eight classes, as EmotiEffLib's enet_b0_8 has them: 224x224, colour."""
    of = Graph()
    x, ins = of.swish(of.conv("input", 3, 32, 3, stride=2, pad=1)), 32
    for expansion, outs, repeats, first, kernel in BLOCKS:
        for repeat in range(repeats):
            stride, wide, y = first if repeat == 0 else 1, ins * expansion, x
            if expansion > 1:
                y = of.swish(of.conv(y, ins, wide, 1))
            y = of.swish(of.conv(y, wide, wide, kernel, stride=stride, group=wide, pad=kernel // 2))
            squeezed = of.swish(of.conv(of.add("GlobalAveragePool", y), wide, max(1, ins // 4), 1))
            y = of.add("Mul", y, of.add("Sigmoid", of.conv(squeezed, max(1, ins // 4), wide, 1)))
            y = of.conv(y, wide, outs, 1)
            x, ins = of.add("Add", x, y) if stride == 1 and ins == outs else y, outs
    x = of.add("GlobalAveragePool", of.swish(of.conv(x, ins, 1280, 1)))
    return of.file("input", ["n", 3, 224, 224], of.dense(of.add("Flatten", x), 1280, 8), 8)
