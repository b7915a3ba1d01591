"""A window with the live picture: images go in, and the answer is whether the window is still open.

Under the picture stands how fast the frames come and how old the newest one is.
"""

from __future__ import annotations

import time as clock
from collections import deque
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mien.errors import MienError
from mien.media.base import Image

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["PreviewWindow"]

FRAMES = 30
"""Of so many frames the rate is taken."""


class PreviewWindow:
    """A native window (Tk); q, Esc or its button closes it.

    To be used from the thread that made it.

    Args:
        title: What stands above it.

    Raises:
        MienError: There is no display, or Python came without Tk.
    """

    def __init__(self, title: str) -> None:
        try:
            import tkinter as tk
        except ImportError as error:
            raise MienError("cannot open a window: this Python has no Tk (Debian: python3-tk)") from error
        self._tk = tk
        try:
            self._root: Any = tk.Tk(className="Mien")
        except tk.TclError as error:
            raise MienError(f"cannot open a window: {error} (without a display, leave out --window)") from error
        self.open = True
        self._photo: Any = None
        self._root.title(title)
        self._root.configure(background="black")
        self._root.protocol("WM_DELETE_WINDOW", self.close)
        for key in ("<q>", "<Q>", "<Escape>"):
            self._root.bind(key, lambda _event: self.close())
        self._status = tk.Label(self._root, background="#14181c", foreground="#d7dde3", anchor="w", padx=8, pady=3)
        self._status.pack(side="bottom", fill="x")
        self._label = tk.Label(self._root, background="black", borderwidth=0)
        self._label.pack(expand=True, fill="both")
        self._shown_at: deque[float] = deque(maxlen=FRAMES)

    def show(self, image: Image, delay_ms: float | None = None) -> bool:
        """Show an image, BGR, shape (h, w, 3), uint8, and return whether the window is still open.

        Args:
            image: The image.
            delay_ms: How old it is, in milliseconds, if that is known.
        """
        if not self.open:
            return False
        self._shown_at.append(clock.monotonic())
        self._status.configure(text=_status(self._shown_at, delay_ms))
        self._root.update_idletasks()  # the strip has its height before the picture is fitted above it
        image = self._fit(image)
        height, width = image.shape[:2]
        content = b"P6 %d %d 255 " % (width, height) + cv2.cvtColor(image, cv2.COLOR_BGR2RGB).tobytes()
        try:
            self._photo = self._tk.PhotoImage(master=self._root, data=content, format="PPM")
            self._label.configure(image=self._photo)
            self._root.update()
        except self._tk.TclError:  # closed from outside in this very moment
            self.open = False
        return self.open

    def _fit(self, image: Image) -> Image:
        """Scale the image to the window as the user has drawn it, at first to nine tenths of the screen at most."""
        height, width = image.shape[:2]
        if self._photo is None:
            room = 0.9 * self._root.winfo_screenwidth(), 0.9 * self._root.winfo_screenheight()
            scale = min(1.0, room[0] / width, room[1] / height)
        else:
            scale = min(self._label.winfo_width() / width, self._label.winfo_height() / height)
        if abs(scale - 1) < 0.005:
            return image
        size = max(1, round(width * scale)), max(1, round(height * scale))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)

    def close(self) -> None:
        """Close the window."""
        if self.open:
            self.open = False
            self._root.destroy()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _status(shown_at: deque[float], delay_ms: float | None) -> str:
    passed = shown_at[-1] - shown_at[0]
    rate = f"{(len(shown_at) - 1) / passed:.1f} frames/s" if passed > 0 else ""
    delay = "" if delay_ms is None else f"{delay_ms:,.0f} ms behind"
    return "   ".join(part for part in (rate, delay, "q closes") if part)
