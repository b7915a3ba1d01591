"""Rebuild a checkpoint from exported models, so that a run can begin with one that comes with Mien.

A file holds the convolutions with their norms folded in, with eight bits as whole numbers. Each convolution gets its
norm back, with the statistics that faces of Training give and what makes it answer as the file does.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from mien.errors import InputError, MienError
from mien.models.classifier import OUTPUT, Classifier
from mien.training import data as faces_data
from mien.training.config import TrainConfig
from mien.training.export import BEGUN, SOFTENED, answered
from mien.training.hidden import without_gate
from mien.training.model import HEADS, INPUT_SIZE, WIDTHS, EmotionNet, predict

__all__ = ["rebuild"]

FACES = 2048
"""So many faces of Training give the norms' statistics."""

TOLERANCE = 0.02
"""How far the answers may be from the files', on average over emotions; eight bits make about a tenth of it."""


def rebuild(models: Mapping[str, str | Path], data: str | Path, out: str | Path) -> float:
    """Write a checkpoint that `start_from` and `teachers` take.

    Args:
        models: The file of each head, `fer2013` and, if there is one, `ferplus`, that one checkpoint was exported to;
            or the name of one that comes with Mien.
        data: The data set.
        out: The checkpoint.

    Returns:
        How far its answers are from the files', averaged over faces and emotions.

    Raises:
        InputError: A file is none of Mien's exports, the two are of different checkpoints, the data set cannot be used,
            or the checkpoint cannot be written.
        ModelError: A file is no model that Mien runs.
    """
    files = {head: Classifier.load(path) for head, path in models.items()}  # says what is wrong with one that is none
    graphs = {head: _read(path, files[head].file) for head, path in models.items()}
    config, weights = graphs["fer2013"]
    for head, (other, more) in graphs.items():
        if other != config:
            raise InputError(f"'{models[head]}' and '{models['fer2013']}' are networks of different makes: give one's")
        weights = weights | {name: value for name, value in more.items() if name.startswith(f"heads.{head}.")}
    if "ferplus" not in models:
        config = dataclasses.replace(config, ferplus_weight=0.0)
    contract = files["fer2013"].contract
    if SOFTENED in contract.trained_on:
        begun = [network for network, words in BEGUN.items() if words in contract.trained_on]
        config = dataclasses.replace(config, teachers=(f"those of {contract.name}", *begun))
    net = EmotionNet.of(config).eval()
    state = net.state_dict()
    try:
        net.load_state_dict(state | {name: value for name, value in weights.items() if name in state})
        norms = {norm: weights[f"{name}.bias"] for name, _, norm in _pairs(net)}
    except (KeyError, RuntimeError) as error:
        raise InputError(f"'{models['fer2013']}' is not laid out as Mien's networks are ({error})") from error
    faces = faces_data.load(data, ("Training",)).pixels
    chosen = faces[np.random.default_rng(0).permutation(len(faces))[:FACES]]
    _measure(net, norms, chosen)
    apart = max(_apart(net, head, file, chosen[:256]) for head, file in files.items())
    if not apart <= TOLERANCE:
        named = " and ".join(f"'{path}'" for path in models.values())
        raise InputError(
            f"the network rebuilt from {named} answers otherwise than "
            f"they do (by {apart:.2f} on average): give the files that one checkpoint was exported to"
        )
    kept = {
        "state_dict": {f"net.{name}": value for name, value in net.state_dict().items()},
        "hyper_parameters": {"config": dataclasses.asdict(config)},
    }
    try:
        torch.save(kept, out)
    except (OSError, RuntimeError) as error:
        raise InputError(f"cannot write '{out}': {error}; give another file with --out") from error
    return apart


def _read(path: str | Path, file: Path) -> tuple[TrainConfig, dict[str, Tensor]]:
    """Return the network's make and its weights, as they were folded but for the shortcuts' means."""
    graph = onnx.load(file).graph
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    sizes = {}
    for node in graph.node:
        if node.op_type == "Constant":
            known[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == "Cast" and node.input[0] in known:
            known[node.output[0]] = known[node.input[0]].astype(np.float32)
        elif node.op_type == "DequantizeLinear" and node.input[0] in known:
            whole, scale, zero = (known[name] for name in node.input)
            shape = (-1, *[1] * (whole.ndim - 1)) if scale.ndim else ()
            value = (whole.astype(np.float32) - zero.reshape(shape)) * scale.reshape(shape)
            known[node.output[0].removesuffix("_DequantizeLinear_Output")] = value
        elif node.op_type == "Concat":
            sizes[node.output[0]] = [int(known[name][-1]) for name in node.input if name in known]
    enlarged = [sizes[node.input[3]][-1] for node in graph.node if node.op_type == "Resize" and node.input[3] in sizes]
    weights = {}
    for name, value in known.items():
        if name.startswith("net."):
            weight = torch.from_numpy(np.array(value, np.float32))
            own = name.removeprefix("net.")
            if ".shortcut." in own and ".shortcut.1." not in own:  # the mean over 2x2 stands within the convolution
                own = own.replace(".shortcut.", ".shortcut.1.")
                weight = weight.sum((2, 3), keepdim=True) if weight.ndim > 1 else weight
            weights[own] = weight
    blocks = [value.shape[0] for name, value in sorted(weights.items()) if name.endswith("conv2.weight")]
    channels = list(dict.fromkeys(blocks))
    if len(channels) != len(WIDTHS) or "stem.0.weight" not in weights:
        raise InputError(f"'{path}' is not laid out as Mien's networks are: give a file that `mien export` wrote")
    config = TrainConfig(
        data="rebuilt",
        out="rebuilt",
        name="rebuilt",
        width=channels[0] / WIDTHS[0],
        depths=tuple(blocks.count(width) for width in channels),  # type: ignore[arg-type]
        size=enlarged[0] if enlarged else INPUT_SIZE,
        mirror=any(node.op_type == "ReduceMean" for node in graph.node),
    )
    return config, weights


def _pairs(net: EmotionNet) -> Iterator[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    """Yield each convolution that a norm follows, with its name and the norm."""
    for outer, module in net.named_modules():
        for (name, conv), (_, norm) in pairwise(module.named_children()):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                yield f"{outer}.{name}", conv, norm


def _measure(net: EmotionNet, norms: dict[nn.BatchNorm2d, Tensor], pixels: np.ndarray) -> None:
    """Give each norm the mean and variance of what comes to it, and the factors that leave only the bias added."""
    seen: dict[nn.Module, list[Tensor]] = {norm: [] for norm in norms}
    for norm, bias in norms.items():
        _set(norm, torch.zeros_like(bias), torch.ones_like(bias) - norm.eps, bias)

    def look(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        values = given[0].double()
        seen[norm].append(torch.stack([values.mean((0, 2, 3)), values.square().mean((0, 2, 3))]))

    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    predict(net, pixels)
    for hook in hooks:
        hook.remove()
    for norm, bias in norms.items():
        mean, square = torch.stack(seen[norm]).mean(0)
        _set(norm, mean.float(), (square - mean**2).clamp(min=0).float(), bias)


def _set(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, bias: Tensor) -> None:
    with torch.no_grad():
        norm.load_state_dict(
            {
                "running_mean": mean,
                "running_var": variance,
                "weight": torch.sqrt(variance + norm.eps),
                "bias": bias + mean,
                "num_batches_tracked": torch.tensor(0),
            }
        )


def _apart(net: EmotionNet, head: str, file: Classifier, pixels: np.ndarray) -> float:
    """Return how far a head's answers are from its file's; a gate for hidden faces is no part of the network."""
    bare = without_gate(onnx.load(file.file)).SerializeToString()
    scores = torch.from_numpy(predict(net, pixels)[head]) / file.contract.temperature
    return float(np.abs(torch.softmax(scores, 1).numpy() - answered(bare, OUTPUT, pixels)).mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m mien.training.rebuild", description="Rebuild a checkpoint from exported models."
    )
    parser.add_argument(
        "models",
        nargs="*",
        default=HEADS,
        metavar="MODEL",
        help="fer2013.onnx, and ferplus.onnx if any; none: the models that come with Mien",
    )
    parser.add_argument("--data", required=True, help="the data set")
    parser.add_argument("--out", required=True, help="the checkpoint")
    given = parser.parse_args()
    try:
        if len(given.models) > len(HEADS):
            raise InputError(f"{len(given.models)} models were given: expected fer2013.onnx and at most ferplus.onnx")
        apart = rebuild(dict(zip(HEADS, given.models, strict=False)), given.data, given.out)
    except MienError as error:
        parser.error(str(error))
    sys.stdout.write(f"wrote {given.out}: its answers are {apart:.3f} from the files' on average\n")
