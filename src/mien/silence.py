"""What keeps the packages that Mien stands on from sending anything: variables that are set before they are imported.

`import mien`, which every other way into Mien goes through, calls `silence()`. Child processes inherit the variables,
and the images and units in `deploy/` name them too.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

__all__ = ["CACHES", "SILENT", "caches_in", "loud", "silence", "traces"]

SILENT = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime: a device id and events to Microsoft, on by default on Linux
    "WANDB_ERROR_REPORTING": "false",  # W&B: its own crashes and usage
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray: what runs on a cluster
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",  # where it would report that it does not report
    "HF_HUB_DISABLE_TELEMETRY": "1",  # what fsspec loads for hf:// addresses
    "DO_NOT_TRACK": "1",  # the word that many other packages understand
}
"""Variables by which packages are told not to report to their makers, whatever the environment said before."""

UNASKED = {"FASTAPI_OTEL_AUTO_CONFIGURE": "false"}
"""The same for what goes where you say yourself, and so only until you do: FastAPI's traces to an OTLP endpoint."""

CACHES = {"MPLCONFIGDIR": "matplotlib", "WANDB_CACHE_DIR": "wandb", "TORCHINDUCTOR_CACHE_DIR": "torchinductor"}
"""Folders that packages would make in the home or temporary folder, and what they are called beside each other."""


def silence(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set what keeps packages silent; what is imported already has read its variable, and stays as it is."""
    environment.update(SILENT)
    for name, value in UNASKED.items():
        environment.setdefault(name, value)


def loud(environment: MutableMapping[str, str] = os.environ) -> list[str]:
    """Return the variables of `SILENT` that do not hold, for who changed them after Mien was imported."""
    return [name for name, value in SILENT.items() if environment.get(name) != value]


def caches_in(folder: Path, environment: MutableMapping[str, str] = os.environ) -> None:
    """Have packages keep their caches in a folder of ours, unless the environment names another place."""
    for name, place in CACHES.items():
        environment.setdefault(name, str(folder / place))


def traces(environment: MutableMapping[str, str] = os.environ) -> list[Path]:
    """Return the folders in which telemetry has left an identity of this machine, whoever had it run."""
    cache = environment.get("XDG_CACHE_HOME")
    try:
        cache = cache or str(Path(environment.get("HOME") or "~").expanduser() / ".cache")
    except RuntimeError:  # a user without a home folder, whom the system does not know: as in containers
        return []
    folder = Path(cache, "Microsoft", "DeveloperTools", ".onnxruntime")
    return [folder] if folder.is_dir() else []
