"""Messages to a web address: they wait in a bounded queue and are sent one after the other, on a thread of its own."""

from __future__ import annotations

import http.client
import logging
import queue
import threading
import urllib.error
import urllib.request
from urllib.parse import urlsplit

__all__ = ["Webhook", "deliver_once"]

log = logging.getLogger(__name__)

WAITING = 100
ANSWER_S = 10.0
TRIES = (0.0, 1.0, 5.0, 30.0)
"""Seconds to wait before each try."""
APART_S = 1.0
"""One message at most in so many seconds."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A message goes where it was meant to go, or nowhere."""

    def redirect_request(self, *_: object) -> None:
        return None


def deliver_once(url: str, payload: bytes) -> str:
    """Send a web address a message, once; return how it answers, in words that hold nothing of the address.

    Args:
        url: http:// or https://.
        payload: JSON.
    """
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(_request(url, payload), timeout=ANSWER_S / 2) as answer:
            return f"it answers {answer.status}"
    except urllib.error.HTTPError as error:
        error.close()
        return f"it answers {error.code}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"it does not answer: {getattr(error, 'reason', None) or error}"


def _request(url: str, payload: bytes) -> urllib.request.Request:
    return urllib.request.Request(  # noqa: S310 - http and https alone, checked with the settings
        url, payload, {"Content-Type": "application/json", "User-Agent": "mien"}
    )


class Webhook:
    """A web address that gets JSON by POST.

    Args:
        url: http:// or https://; it may hold a secret, so only its host is ever logged.
    """

    def __init__(self, url: str) -> None:
        self._url, self._host = url, urlsplit(url).hostname
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._waiting: queue.Queue[bytes] = queue.Queue(WAITING)
        self._room, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
        self._thread.start()

    def send(self, payload: bytes) -> None:
        """Take a message; where too many wait, the oldest is given up."""
        with self._room:
            if self._waiting.full():
                self._waiting.get_nowait()
                log.warning("the webhook at %s is too slow: an alert was given up", self._host)
            self._waiting.put_nowait(payload)

    def close(self) -> None:
        """End the thread; what waits is given up."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._room:
                payload = None if self._waiting.empty() else self._waiting.get_nowait()
            if payload is None:
                self._stop.wait(0.1)
                continue
            self._deliver(payload)
            self._stop.wait(APART_S)

    def _deliver(self, payload: bytes) -> None:
        why = ""
        for wait_s in TRIES:
            if self._stop.wait(wait_s):
                return
            try:
                with self._opener.open(_request(self._url, payload), timeout=ANSWER_S):
                    return
            except urllib.error.HTTPError as error:
                error.close()
                why = f"it answers {error.code}"
                if error.code < 500 and error.code != 429:
                    break
            except (OSError, http.client.HTTPException, ValueError) as error:
                why = str(getattr(error, "reason", None) or error)
        log.warning("the webhook at %s was not told: %s", self._host, why)
