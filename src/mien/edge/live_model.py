"""The emotion model of a running watch: the settings and the state folder go in, the model to use now comes out.

A model that `mien model pull` or `rollback` makes the one of this machine is taken up while frames go on being read
with the one before; a model that the settings name stays.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from mien.config import Settings
from mien.edge import model_store
from mien.errors import MienError
from mien.vision.emotions import Classifier

__all__ = ["CHECK_S", "LiveModel"]

log = logging.getLogger(__name__)

CHECK_S = 3.0
"""So often a change of the machine's model is looked for, in seconds."""


class LiveModel:
    """The model in use.

    Args:
        settings: Which model they name, if any, and where the pulled one lies.

    Attributes:
        classifier: The model to use now; replaced whole, so any thread may read it at any time.

    Raises:
        ModelError: The model is missing or cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._home, self._named = settings.home, settings.vision.model
        self._seen = self._sign()
        self._checked_at = time.monotonic()
        self.classifier = Classifier.load(self._file())

    def refresh(self) -> None:
        """Take up the machine's model if it changed; to be called often, it looks each CHECK_S."""
        if self._named is not None or time.monotonic() - self._checked_at < CHECK_S:
            return
        self._checked_at = time.monotonic()
        sign = self._sign()
        if sign == self._seen:
            return
        self._seen = sign
        before = self.classifier.model_id
        try:
            self.classifier = Classifier.load(self._file())
        except MienError as error:
            log.warning("%s; watching goes on with %s", error, before)
            return
        if self.classifier.model_id != before:
            log.info("the model is now %s, before it was %s", self.classifier.model_id, before)

    def _file(self) -> Path | None:
        """Return the model's file; None stands for the one that comes with Mien."""
        if self._named is not None:
            return self._named
        pulled = model_store.current(self._home)
        return pulled[0] if pulled else None

    def _sign(self) -> tuple[int, int] | None:
        """Return what tells one content of the pointer file from another: each is a new file."""
        try:
            found = (self._home / "models" / "current.json").stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns
