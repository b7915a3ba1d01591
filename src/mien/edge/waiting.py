"""Sources that are out of reach when watching begins: what lists them goes in, they come out once they are there.

One camera that is off must not keep the others dark, nor one that is found late leave a machine blind. Only a source
that has a name in the settings is waited for: the names of others depend on the order in which they are opened.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator

from mien.config import SourceSettings
from mien.errors import MienError, UsageError
from mien.media.base import Source
from mien.media.open import is_camera, open_source

__all__ = ["AGAIN_S", "WaitingSources"]

log = logging.getLogger(__name__)

AGAIN_S = 10.0
"""So often a source is tried again, in seconds."""


class WaitingSources:
    """The sources that are waited for, each on a thread of its own; true while there are any."""

    def __init__(self) -> None:
        self._stopping, self._deciding = threading.Event(), threading.Lock()
        self._there: deque[tuple[SourceSettings, Source]] = deque()
        self.names: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.names)

    def expect(self, listed: SourceSettings, error: MienError) -> None:
        """Wait for a source that could not be opened.

        Raises:
            MienError: The error, where waiting does not help or the source has no name.
        """
        if listed.name is None or (isinstance(error, UsageError) and not is_camera(listed.url)):
            raise error
        log.warning("%s; '%s' is tried again every %g s", error, listed.name, AGAIN_S)
        self.names.add(listed.name)
        threading.Thread(target=self._try, args=(listed,), name=f"away-{listed.name}", daemon=True).start()

    def arrived(self) -> Iterator[tuple[SourceSettings, Source]]:
        """Yield the sources that are there by now, open, each once."""
        while self._there:
            listed, source = self._there.popleft()
            self.names.discard(source.name)
            yield listed, source

    def stop(self) -> None:
        """Wait no longer, and close what nobody took."""
        with self._deciding:
            self._stopping.set()
        for _, source in self.arrived():
            source.close()

    def _try(self, listed: SourceSettings) -> None:
        while not self._stopping.wait(AGAIN_S):
            try:
                source = open_source(listed.url, listed.name)
            except MienError as error:
                log.debug("'%s': %s", listed.name, error)
                continue
            with self._deciding:
                wanted = not self._stopping.is_set()
                if wanted:
                    self._there.append((listed, source))
            if not wanted:
                source.close()
            return
