"""What the emotion model computes on: a model file and a wish go in, a session of onnxruntime on a device comes out.

The face detector is not asked: it is small, and takes pictures of many sizes, for each of which some of these devices
would compile it anew. It stays on the processor.
"""

from __future__ import annotations

import logging
from typing import Any

from mien.errors import ModelError

__all__ = ["DEVICES", "open_session"]

log = logging.getLogger(__name__)

DEVICES = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""In the order in which `auto` tries them."""

BROUGHT_BY = {
    "tensorrt": "the package onnxruntime-gpu and TensorRT",
    "cuda": "the package onnxruntime-gpu",
    "openvino": "the package onnxruntime-openvino",
    "coreml": "onnxruntime on macOS",
}


def open_session(content: bytes, device: str, threads: int) -> tuple[Any, str]:
    """Return a session of onnxruntime for a model, and a line that says where it runs and why nowhere better.

    Args:
        content: An ONNX file.
        device: `auto`, or one of DEVICES by name.
        threads: How many threads it computes on, where that is the processor.

    Raises:
        ModelError: The device that was named is unknown or cannot be used here; what can be is named.
        Exception: Of onnxruntime, where the file is no model.
    """
    import onnxruntime

    if device not in DEVICES and device != "auto":
        raise ModelError(f"unknown device '{device}': expected auto, {', '.join(DEVICES)}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    refused: dict[str, list[str]] = {}
    for name in DEVICES if device == "auto" else (device,):
        if name not in _offered():
            refused.setdefault("not in this onnxruntime", []).append(name)
            continue
        try:
            session = onnxruntime.InferenceSession(content, options, providers=_providers(name))
        except Exception:
            if name == "cpu":
                raise
            refused.setdefault("does not take this model", []).append(name)
            continue
        if session.get_providers()[0] == DEVICES[name]:
            reasons = "; ".join(f"{why}: {', '.join(names)}" for why, names in refused.items())
            line = f"runs on {name}" + (f" ({reasons})" if reasons else "")
            log.log(logging.DEBUG if device == "auto" else logging.INFO, "the emotion model %s", line)
            return session, line
        refused.setdefault("its drivers or libraries are missing", []).append(name)
    brought = "" if device in _offered() else f", it comes with {BROUGHT_BY[device]}"
    usable = ", ".join(_offered())
    raise ModelError(
        f"cannot compute on '{device}': {next(iter(refused))}{brought}; usable here: {usable}; "
        "set vision.device to one of these, or to auto"
    )


def _providers(name: str) -> list[str]:
    """Return what onnxruntime is to use: the processor too, for those layers that the device cannot compute."""
    return list(dict.fromkeys([DEVICES[name], DEVICES["cpu"]]))


def _offered() -> list[str]:
    """Return the devices for which this onnxruntime was built."""
    import onnxruntime

    providers = onnxruntime.get_available_providers()
    return [name for name, provider in DEVICES.items() if provider in providers]
