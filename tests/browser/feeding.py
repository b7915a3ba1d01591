"""Observations as cameras make them, for the dashboard's tests: a few people whose faces change slowly."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from mien.observation import EMOTIONS, Face, Observation, Probabilities, new_id


class Camera:
    """Makes the observations of one session of one source."""

    def __init__(self, source: str, people: int = 2, size: tuple[int, int] = (1280, 720)) -> None:
        self.source, self.people, self.size = source, people, size
        self.session = new_id()
        self.seq = 0

    def observe(self, time: datetime, *, faces: bool = True) -> Observation:
        """Return what the camera sees at a time; every face moves a little."""
        moment = time.timestamp()
        seen = [self._face(number, moment) for number in range(self.people)] if faces else []
        width, height = self.size
        self.seq += 1
        return Observation(
            id=new_id(), source=self.source, session=self.session, seq=self.seq - 1, time=time, offset_s=None,
            frame=self.seq - 1, width=width, height=height, model="mien-1@3f9c2a1b", elapsed_ms=7.9, faces=seen,
        )  # fmt: skip

    def span(self, start: datetime, end: datetime, step_s: float) -> list[Observation]:
        """Return one observation every `step_s` seconds from start to end."""
        count = int((end - start).total_seconds() / step_s)
        return [self.observe(start + timedelta(seconds=step_s * number)) for number in range(count)]

    def _face(self, number: int, moment: float) -> Face:
        probabilities = probabilities_at(moment / (1 + number / 3) + 97 * number + 13 * len(self.source))
        top = max(EMOTIONS, key=lambda emotion: getattr(probabilities, emotion))
        width, height = self.size
        side = int(height * (0.24 + 0.03 * math.sin(moment / 5 + number)))
        x = int(width * (number + 0.5) / self.people - side / 2 + width * 0.03 * math.sin(moment / 3 + 2 * number))
        y = int(height * 0.42 - side / 2 + height * 0.06 * math.sin(moment / 4 + number))
        sure = getattr(probabilities, top) >= 0.4
        return Face(number + 1, (x, y, side, side), 0.97, top if sure else None, probabilities)


def probabilities_at(moment: float) -> Probabilities:
    """Return probabilities that wander smoothly with time."""
    logits = [1.6 * math.sin(moment / (7 + 5 * index) + index) for index in range(7)]
    logits[EMOTIONS.index("happy")] += 1.3 * math.sin(moment / 40) + 0.9
    logits[EMOTIONS.index("neutral")] += 1.2
    logits[EMOTIONS.index("disgust")] -= 1.2
    logits[EMOTIONS.index("fear")] -= 0.6
    weights = [math.exp(logit) for logit in logits]
    return Probabilities(*(round(weight / sum(weights), 4) for weight in weights))
