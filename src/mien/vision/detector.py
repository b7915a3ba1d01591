"""Finding faces: a frame goes in, boxes, landmarks and confidences come out, and grey crops of them.

A frame is searched as a whole, in tiles by turns, or only near where faces were a moment ago. The crop is framed as
FER-2013's faces are, turned upright where a face leans, and lightened where it is in the dark.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.media.base import Image
from mien.system.plugins import load_plugin, plugin_names
from mien.vision.yunet import GRID, YuNet, suppress_non_maxima

__all__ = [
    "CROP_SIZE",
    "CloseDetector",
    "Detector",
    "FaceDetector",
    "Faces",
    "NearDetector",
    "crop",
    "lit",
    "open_detector",
    "sharpness",
    "turns",
]

CROP_SIZE = 48
"""FER-2013's, in pixels."""

CENTRE_BELOW = 0.02
"""How far the crop's centre lies below the box's, in sides of the crop; measured on FER-2013."""

TURN_FROM, TURN_WHOLLY, TURN_TO = 8.0, 12.0, 60.0
"""A face whose roll is over TURN_FROM degrees is turned towards upright, wholly from TURN_WHOLLY on. In between a
growing share of its roll is undone, so that a face at the border doesn't leap. Over TURN_TO it stays as it is: what
looks so is seldom a face whose eyes were found."""

LARGEST = 4
"""No crop is larger than so many sides of the frame."""

NEAR, NEAR_SIDE, NEAR_CENTRE = 2.5, 96, 0.3
"""A face is looked for in a square of NEAR times its size, scaled to NEAR_SIDE pixels; one whose centre lies more than
NEAR_CENTRE of the square from its middle belongs to another place, or to none."""

MOST = 0.25
"""Near looks don't differ by more from those at the whole frame; what does is no look at the same face."""

DARKEST, LIGHTEST, FLATTEST, STEEPEST = 60.0, 200.0, 35.0, 8.0
"""A crop whose mean brightness or standard deviation lies beyond these, of 0 to 255, is brought to them, its contrast
raised at most STEEPEST times: a dark face is else read as another emotion. Crops within them stay as they are: a tenth
of FER-2013's are changed, and its accuracy is no less for it."""


LARGE = 80
"""Where all faces are larger in the picture that is searched, in pixels, new ones are looked for at half the size."""

AROUND, SAME = 0.8, 0.3
"""A tile is searched with so much around it, in sizes of the largest face; boxes that overlap by more than SAME, a
share of what both cover, are those of one face."""

SMALL, CLOSER = 40, 2
"""Where a face is smaller in the picture that was searched, in pixels, others may be too small to be found: a picture
that stands alone is then searched at CLOSER times the size too."""


@dataclass(frozen=True)
class Faces:
    """The faces in one frame, in columns.

    Attributes:
        boxes: x, y, width, height in pixels, shape (n, 4), float32; may reach over the frame's edges.
        landmarks: x, y of the subject's right eye, left eye, nose, right and left corner of the mouth, shape
            (n, 5, 2), float32.
        confidences: 0 to 1, shape (n,), float32.
        offsets: How a look near each face frames it otherwise than the look at the whole frame did: by how many of its
            sides the centre lies aside, x, y, and the logarithm of the factors of width and height, shape (n, 4),
            float32; None where that is not known.
        frame: The frame in which they were found, kept where offsets are still to be measured in it.
        looked: Of each face whether it was looked for in this frame, shape (n,), bool; where not, it stands as it was
            in an earlier one. None: all were.
        turn: How many tiles of the frame were searched since the whole of it was.
    """

    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    confidences: NDArray[np.float32]
    offsets: NDArray[np.float32] | None = None
    frame: Image | None = None
    looked: NDArray[np.bool_] | None = None
    turn: int = 0

    def __len__(self) -> int:
        return len(self.boxes)


class FaceDetector(Protocol):
    """What finds faces, for several threads at a time.

    The entry points of `mien.detectors` make one of a `confidence` (0 to 1: faces that it is less sure of are left
    out) and a `max_side` (larger frames may be scaled down to this, in pixels).
    """

    def detect(self, frame: Image) -> Faces:
        """Return the faces in a BGR frame, shape (h, w, 3), uint8, the surest first."""


class CloseDetector(FaceDetector, Protocol):
    """What can look more closely at a picture that stands alone."""

    def detect_closely(self, picture: Image) -> Faces:
        """Return the faces in a BGR picture, shape (h, w, 3), uint8, small ones too."""


class NearDetector(FaceDetector, Protocol):
    """What can search less than the whole frame, where the faces of the frame before are known."""

    def detect_coarsely(self, frame: Image) -> Faces:
        """Return faces in a frame at a part of the usual cost; the smallest may be missed."""

    def detect_near(self, frame: Image, boxes: NDArray[np.float32]) -> Faces:
        """Return the faces in a frame that are close to where some were: x, y, width, height, shape (n, 4)."""

    def is_near_cheaper(self, frame: Image, count: int) -> bool:
        """Return whether that pays for so many faces."""


def open_detector(name: str, confidence: float, max_side: int) -> FaceDetector:
    """Return the detector that is registered under a name in the entry points `mien.detectors`.

    Args:
        name: `yunet`, or what another package calls its own.
        confidence: Faces that it is less sure of are left out.
        max_side: Larger frames are scaled down to this for detection, in pixels.

    Raises:
        ConfigError: There is no such detector.
        ModelError: Its weights are missing or are not the ones known.
        MienError: Its package cannot be loaded.
    """
    known = plugin_names("mien.detectors")
    if name not in known:
        raise ConfigError(f"setting 'vision.detector' is '{name}': expected one of {', '.join(known)}")
    detector: FaceDetector = load_plugin("mien.detectors", name)(confidence, max_side)
    return detector


class Detector:
    """YuNet; may be called from several threads at a time.

    Args:
        confidence: Faces that it is less sure of are left out.
        max_side: Larger frames are scaled down to this for detection, in pixels.

    Raises:
        ModelError: Its weights are missing or are not the ones known.
    """

    def __init__(self, confidence: float = 0.7, max_side: int = 640) -> None:
        cv2.setNumThreads(1)  # frames go to all cores, not parts of frames
        self.max_side = max_side
        self._net = YuNet(confidence)

    def detect(self, frame: Image, max_side: int | None = None) -> Faces:
        """Return the faces in a frame, the surest first.

        Args:
            frame: BGR, shape (h, w, 3), uint8.
            max_side: In place of the detector's own, where the size of the faces is known.
        """
        width, height = size = _fitted(frame, max_side or self.max_side)
        small = _shrunk(frame, size)
        below, right = -height % GRID, -width % GRID
        padded = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        (rows,) = self._net(np.asarray(padded, np.uint8)[None])
        inside = (rows[:, 0] < width) & (rows[:, 1] < height)
        return _faces(rows[inside], np.array([frame.shape[1] / width, frame.shape[0] / height]))

    def detect_closely(self, picture: Image) -> Faces:
        """Return the faces in a picture that stands alone, the surest first.

        Where it was scaled down, and shows none or small ones, it is looked at again at twice the size.

        Args:
            picture: BGR, shape (h, w, 3), uint8.
        """
        found = self.detect(picture)
        scale = self.max_side / max(picture.shape[:2])
        if scale >= 1 or (len(found) and found.boxes[:, 2:].max(1).min() * scale >= SMALL):
            return found
        looks = (found, self.detect(picture, CLOSER * self.max_side))
        rows = [np.column_stack([look.boxes, look.landmarks.reshape(-1, 10), look.confidences]) for look in looks]
        return _faces(suppress_non_maxima(np.concatenate(rows)), np.ones(2))

    def detect_coarsely(self, frame: Image) -> Faces:
        """Return the faces in a frame at a quarter of the cost: all but the smallest."""
        return self.detect(frame, self.max_side // 2)

    def are_large(self, frame: Image, boxes: NDArray[np.float32]) -> bool:
        """Return whether all of some faces are so large that others will hardly be too small for half the size."""
        scale = min(1.0, self.max_side / max(frame.shape[:2]))
        return len(boxes) > 0 and bool(boxes[:, 2:].max(1).min() * scale >= LARGE)

    def detect_in_tile(self, frame: Image, before: Faces, tiles: int) -> Faces:
        """Return the faces in a frame of which only a tile is searched, the next in turn; the others stand as before.

        Tiles lie side by side along the frame's longer side. Each is searched with so much around it that the faces
        on its border are seen whole.

        Args:
            frame: BGR, shape (h, w, 3), uint8.
            before: The faces of the frame before; some.
            tiles: In how many tiles the frame is searched.
        """
        axis = 0 if frame.shape[1] >= frame.shape[0] else 1  # of x and y
        length = frame.shape[1 - axis]
        number = before.turn % tiles
        low, high = length * number / tiles, length * (number + 1) / tiles
        around = AROUND * float(before.boxes[:, 2:].max(1).max())
        first, last = max(0, round(low - around)), min(length, round(high + around))
        part = frame[:, first:last] if axis == 0 else frame[first:last]
        scale = min(1.0, self.max_side / length)
        seen = self.detect(part, max(GRID, round(scale * max(part.shape[:2]))))
        shift = np.array([first, 0] if axis == 0 else [0, first], np.float32)
        boxes, landmarks = seen.boxes + np.append(shift, [0, 0]).astype(np.float32), seen.landmarks + shift
        middle = boxes[:, axis] + boxes[:, 2 + axis] / 2
        known = before.boxes[:, axis] + before.boxes[:, 2 + axis] / 2
        same = _overlaps(boxes, before.boxes) > SAME
        in_tile = (low <= known) & (known < high)
        own = ((low <= middle) & (middle < high)) | (same & in_tile).any(1)
        kept = ~in_tile & ~same[own].any(0)
        return Faces(
            np.concatenate([boxes[own], before.boxes[kept]]),
            np.concatenate([landmarks[own], before.landmarks[kept]]),
            np.concatenate([seen.confidences[own], before.confidences[kept]]),
            looked=np.arange(own.sum() + kept.sum()) < own.sum(),
            turn=before.turn + 1,
        )

    def with_offsets(self, frame: Image, faces: Faces) -> Faces:
        """Return the faces of a look at a whole frame with their offsets, so that looks near them frame them alike.

        The net's boxes depend on the size at which it sees a face, and on the face.

        Args:
            frame: BGR, shape (h, w, 3), uint8.
            faces: Those that `detect` found in it.
        """
        offsets = np.zeros((len(faces), 4), np.float32)
        if len(faces) and self.is_near_cheaper(frame, len(faces)):
            for number, rows in enumerate(self._near(frame, faces.boxes)):
                known = [_offset(faces.boxes[number], row[:4]) for row in rows]
                if known:
                    nearest = min(known, key=lambda offset: float(np.abs(offset).sum()))
                    offsets[number] = nearest if np.abs(nearest).max() < MOST else 0
        return replace(faces, offsets=offsets, frame=None)

    def detect_near(
        self, frame: Image, boxes: NDArray[np.float32], offsets: NDArray[np.float32] | None = None
    ) -> Faces:
        """Return the faces in a frame that are close to where some were a moment ago, the surest first.

        Each place is looked at by itself, enlarged or shrunk to one size, so that it costs a few per cent of what
        the whole frame does.

        Args:
            frame: BGR, shape (h, w, 3), uint8.
            boxes: Where the faces were: x, y, width, height in pixels, shape (n, 4).
            offsets: Of those faces, see `Faces`; None: boxes are left as the net gives them.
        """
        if not len(boxes):
            return _faces(np.empty((0, 15), np.float32), np.ones(2))
        places = self._near(frame, boxes)
        if offsets is None:
            return _faces(suppress_non_maxima(np.concatenate(places)), np.ones(2))
        for rows, offset in zip(places, offsets, strict=True):
            centres = rows[:, :2] + rows[:, 2:4] / 2 - offset[:2] * rows[:, 2:4].max(1, keepdims=True, initial=0)
            rows[:, 2:4] *= np.exp(-offset[2:])
            rows[:, :2] = centres - rows[:, 2:4] / 2
        numbered = [np.column_stack([rows, np.full(len(rows), n)]) for n, rows in enumerate(places)]
        kept = suppress_non_maxima(np.concatenate(numbered).astype(np.float32))
        return replace(_faces(kept, np.ones(2)), offsets=offsets[kept[:, 15].astype(int)])

    def _near(self, frame: Image, boxes: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the net's rows of each place, in pixels of the frame."""
        centres = boxes[:, :2] + boxes[:, 2:] / 2
        wide = np.maximum(NEAR * boxes[:, 2:].max(1).astype(np.float64), 1.0)
        halved = 2 ** np.maximum(0, np.floor(np.log2(wide / NEAR_SIDE)))
        sides = (np.maximum(np.round(wide / halved), 1) * halved).astype(int)  # so that they can be halved evenly
        corners = np.floor(centres - sides[:, None] / 2).astype(int)
        scales = NEAR_SIDE / sides
        shifts = -corners * scales[:, None]
        cells = np.stack([_cell(frame, x, y, side) for (x, y), side in zip(corners, sides, strict=True)])
        found = []
        for rows, scale, shift in zip(self._net(cells), scales, shifts, strict=True):
            middle = rows[:, :2] + rows[:, 2:4] / 2
            own = (np.abs(middle / NEAR_SIDE - 0.5) < NEAR_CENTRE).all(1)
            rows[:, :2] -= shift
            rows[:, 4:14] -= np.tile(shift, 5)
            rows[:, :14] /= scale
            found.append(rows[own])
        return found

    def is_near_cheaper(self, frame: Image, count: int) -> bool:
        """Return whether so many places cost less than half of what a look at the whole frame does."""
        width, height = _fitted(frame, self.max_side)
        return 2 * count * NEAR_SIDE**2 < width * height


def _fitted(frame: Image, max_side: int) -> tuple[int, int]:
    """Return the width and height to which a frame is scaled down."""
    height, width = frame.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _faces(rows: NDArray[np.float32], back: NDArray[np.float64]) -> Faces:
    """Return the net's rows as columns, in pixels of the frame: so many of them are one of the net's picture."""
    boxes = rows[:, :4] * np.tile(back, 2)
    landmarks = rows[:, 4:14].reshape(-1, 5, 2) * back
    return Faces(boxes.astype(np.float32), landmarks.astype(np.float32), rows[:, 14])


def _overlaps(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the intersection over union of each of n boxes with each of m, shape (n, m)."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum((some[:, :2] + some[:, 2:])[:, None], (others[:, :2] + others[:, 2:])[None])
    shared = np.clip(high - low, 0, None).prod(2)
    whole = some[:, 2:].prod(1)[:, None] + others[:, 2:].prod(1)[None] - shared
    return np.asarray(shared / np.maximum(whole, 1e-6), np.float32)


def _offset(whole: NDArray[np.float32], near: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how a near look's box differs from that of a look at the whole frame, see `Faces`."""
    aside = (near[:2] + near[2:] / 2 - whole[:2] - whole[2:] / 2) / max(1e-6, float(near[2:].max()))
    return np.concatenate([aside, np.log(np.maximum(near[2:], 1e-6) / np.maximum(whole[2:], 1e-6))]).astype(np.float32)


def _cell(frame: Image, x1: int, y1: int, side: int) -> Image:
    """Return a square part of a frame, scaled to NEAR_SIDE; black beyond the frame."""
    height, width = frame.shape[:2]
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x1 + side, width), min(y1 + side, height)
    if left >= right or top >= bottom:
        return np.zeros((NEAR_SIDE, NEAR_SIDE, 3), np.uint8)
    part = frame[top:bottom, left:right]
    if part.shape[:2] != (side, side):
        around = top - y1, y1 + side - bottom, left - x1, x1 + side - right
        part = np.asarray(cv2.copyMakeBorder(part, *around, cv2.BORDER_CONSTANT, value=(0, 0, 0)), np.uint8)
    return _shrunk(part, (NEAR_SIDE, NEAR_SIDE), cv2.INTER_LINEAR)


def _shrunk(image: Image, size: tuple[int, int], way: int = cv2.INTER_AREA) -> Image:
    """Return an image in another size; what is much larger is halved first, which is several times as fast."""
    width, height = size
    while not (image.shape[0] % 2 or image.shape[1] % 2) and min(image.shape[1] / width, image.shape[0] / height) >= 2:
        half = image.shape[1] // 2, image.shape[0] // 2
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
    return image if image.shape[1::-1] == size else np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)


def crop(frame: Image, boxes: NDArray[np.float32], landmarks: NDArray[np.float32] | None = None) -> NDArray[np.uint8]:
    """Return grey, square crops of the faces in a frame, framed as FER-2013's are.

    Args:
        frame: BGR, shape (h, w, 3), uint8.
        boxes: x, y, width, height in pixels, shape (n, 4); what lies beyond the frame repeats its edge.
        landmarks: Where the eyes are, as in `Faces`, shape (n, 5, 2): faces that lean are turned upright by them;
            None: all stay as they are.

    Returns:
        Shape (n, CROP_SIZE, CROP_SIZE), uint8.
    """
    undone = np.zeros(len(boxes)) if landmarks is None else turns(landmarks)
    crops = np.empty((len(boxes), CROP_SIZE, CROP_SIZE), np.uint8)
    for number, (x, y, width, height) in enumerate(np.asarray(boxes, float)):
        side = round(min(max(width, height, 1.0), LARGEST * max(frame.shape[:2])))
        left, top = x + width / 2 - side / 2, y + height / 2 + CENTRE_BELOW * side - side / 2
        # However far outside a box lies, the crop touches the frame.
        left, top = np.clip((left, top), 1 - side, (frame.shape[1] - 1, frame.shape[0] - 1))
        cut = _square if undone[number] == 0 else functools.partial(_turned, turn=float(undone[number]))
        crops[number] = _sized(cut(frame, round(left), round(top), side))
    return lit(crops)


def lit(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return grey face crops with those that are dark, burnt or flat brought into the light that faces mostly have.

    Args:
        crops: Shape (n, h, w), uint8.

    Returns:
        The same shape; a crop without any contrast stays as it is.
    """
    even: NDArray[np.uint8] = crops.copy()
    for number, face in enumerate(crops):
        mean, contrast = float(face.mean()), float(face.std())
        wanted, steeper = min(max(mean, DARKEST), LIGHTEST), FLATTEST / max(contrast, 1e-9)
        if contrast > 1 and (wanted != mean or steeper > 1):
            levels = (np.arange(256) - mean) * min(max(steeper, 1.0), STEEPEST) + wanted
            even[number] = np.clip(np.round(levels), 0, 255).astype(np.uint8)[face]
    return even


def sharpness(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how much fine detail each crop holds: its Laplacian's variance over its own; 0 for a blank one.

    Args:
        crops: Grey face crops, shape (n, h, w), uint8.

    Returns:
        Shape (n,), float32.
    """
    measured = np.zeros(len(crops), np.float32)
    for number, face in enumerate(crops):
        contrast = float(face.var())
        if contrast > 1:
            measured[number] = cv2.Laplacian(face, cv2.CV_32F).var() / contrast
    return measured


def turns(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return by how many degrees `crop` turns each face counter-clockwise, shape (n,); most stay as they are.

    Args:
        landmarks: As in `Faces`, shape (n, 5, 2).
    """
    with np.errstate(invalid="ignore"):  # of landmarks that are nowhere; they turn nothing
        across = (landmarks[:, 1] - landmarks[:, 0]).astype(float)
        down = (landmarks[:, 3:].mean(1) - landmarks[:, :2].mean(1)).astype(float)
    roll = np.degrees(np.arctan2(across[:, 1], across[:, 0]))
    share = np.clip((np.abs(roll) - TURN_FROM) / (TURN_WHOLLY - TURN_FROM), 0, 1)
    # Of a face that is seen from the side the eyes lie so close together that the line between them says nothing.
    frontal = np.linalg.norm(across, axis=1) > 0.4 * np.linalg.norm(down, axis=1)
    return np.asarray(np.where(frontal & (np.abs(roll) <= TURN_TO), share * roll, 0.0))


def _square(frame: Image, left: int, top: int, side: int) -> NDArray[np.uint8]:
    """Return a square part of a frame, grey."""
    height, width = frame.shape[:2]
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + side, width), min(top + side, height)
    grey = cv2.cvtColor(frame[y1:y2, x1:x2], cv2.COLOR_BGR2GRAY)
    if (x2 - x1, y2 - y1) != (side, side):
        edges = (max(0, y1 - top), max(0, top + side - y2), max(0, x1 - left), max(0, left + side - x2))
        grey = cv2.copyMakeBorder(grey, *edges, cv2.BORDER_REPLICATE)
    return np.asarray(grey, np.uint8)


def _turned(frame: Image, left: int, top: int, side: int, *, turn: float) -> NDArray[np.uint8]:
    """Return what `_square` does, the frame turned about the square's middle."""
    margin = math.ceil(side * (math.sqrt(2) - 1) / 2)
    wide = _square(frame, left - margin, top - margin, side + 2 * margin)
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2 + margin,) * 2, turn, 1)
    matrix[:, 2] -= margin
    return np.asarray(cv2.warpAffine(wide, matrix, (side, side), flags=cv2.INTER_LINEAR), np.uint8)


def _sized(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    way = cv2.INTER_AREA if len(grey) > CROP_SIZE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(grey, (CROP_SIZE, CROP_SIZE), interpolation=way), np.uint8)
