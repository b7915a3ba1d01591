"""The emotion model of a running watch: the settings and the state folder go in, the model to use now comes out.

A model that `mien model pull` or `rollback` makes the one of this machine is taken up while frames go on being read
with the one before; a model's file that the settings name stays.
"""

from __future__ import annotations

import logging
import time

from mien.config import Settings
from mien.errors import MienError
from mien.models import store as model_store
from mien.models.classifier import Classifier

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
        ModelError: The model that the settings name is missing or cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._home, self._head = settings.home, model_store.head_of(settings.vision.model)
        self._seen = self._sign()
        self._checked_at = time.monotonic()
        self._device = settings.vision.device
        self.classifier = Classifier.load(model_store.in_use(settings).model, device=self._device)

    def refresh(self) -> None:
        """Take up the machine's model if it changed; to be called often, it looks each CHECK_S."""
        if self._head is None or time.monotonic() - self._checked_at < CHECK_S:
            return
        self._checked_at = time.monotonic()
        sign = self._sign()
        if sign == self._seen:
            return
        self._seen = sign
        before = self.classifier.model_id
        try:
            pulled = model_store.current(self._home, self._head)
            self.classifier = Classifier.load(pulled[0] if pulled else self._head, device=self._device)
        except MienError as error:
            log.warning("%s; watching goes on with %s", error, before)
            return
        if self.classifier.model_id != before:
            log.info("the model is now %s, before it was %s", self.classifier.model_id, before)

    def _sign(self) -> tuple[int, int] | None:
        return model_store.sign(self._home, self._head) if self._head else None
