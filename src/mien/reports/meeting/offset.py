"""When somebody speaks in a recording: its sound and a transcript go in, the offset between the two comes out.

The sound of another recording of the same meeting does in place of a transcript.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.media.containers import open_file
from mien.reports.base.transcripts import Utterance

__all__ = ["REACH_S", "Offset", "find_offset", "find_shift", "loudness"]

RATE = 8000
STEP_S = 0.1
REACH_S = 900.0
"""The offset is looked for between so many seconds before and after."""

STANDS_OUT = 6.0
LEAST = 0.3
ALONE = 1.4
"""It is taken for found where the agreement is at least the correlation LEAST, ALONE times that of any other offset and
so many standard deviations above the usual."""

Array = NDArray[np.float64]


class Offset(NamedTuple):
    """By how much a transcript is to be moved.

    Attributes:
        seconds: To be added to its times.
        agreement: The correlation of sound and transcript there.
    """

    seconds: float
    agreement: float


def find_offset(medium: Path, utterances: Sequence[Utterance]) -> Offset | None:
    """Return the offset at which there is sound when the transcript has words and silence when it has none.

    Args:
        medium: The recording.
        utterances: The transcript.

    Returns:
        None where there is no sound, or no offset that stands out.
    """
    loud = loudness(medium)
    if loud is None or len(loud) < 50 or not utterances:
        return None
    furthest = len(loud) + int(REACH_S / STEP_S)  # what is said later fits the recording at no offset
    spoken = np.zeros(min(int(max(utterance.end for utterance in utterances) / STEP_S) + 1, furthest))
    for utterance in utterances:
        spoken[int(utterance.start / STEP_S) : max(int(utterance.start / STEP_S) + 1, int(utterance.end / STEP_S))] = 1
    return _best(_spread(loud), spoken)


def find_shift(medium: Path, other: Path) -> Offset | None:
    """Return when another recording of the same meeting begins in this one, by what is heard in both.

    Args:
        medium: The recording.
        other: The other one.

    Returns:
        None where one has no sound, or nothing stands out.
    """
    sounds = [loudness(path) for path in (medium, other)]
    first, second = (None if loud is None or len(loud) < 50 else _spread(loud) for loud in sounds)
    return None if first is None or second is None else _best(first, second)


def _spread(loud: Array) -> Array:
    """Return how loud it is from 0, as in pauses, to 1, as while somebody speaks."""
    low, high = np.percentile(loud, (10, 90))
    return np.asarray(np.clip((loud - low) / max(high - low, 1e-9), 0, 1))


def _best(sound: Array, spoken: Array) -> Offset | None:
    if sound.std() < 1e-6 or spoken.std() < 1e-6:
        return None
    size = 1 << int(np.ceil(np.log2(len(sound) + len(spoken))))
    spectra = np.fft.rfft(sound - sound.mean(), size), np.fft.rfft(spoken - spoken.mean(), size)
    correlation = np.fft.irfft(spectra[0] * spectra[1].conj(), size)
    reach = min(int(REACH_S / STEP_S), size // 2 - 1)
    lags = np.arange(-reach, reach + 1)
    agreement = correlation[lags] / (min(len(sound), len(spoken)) * sound.std() * spoken.std())
    best = int(agreement.argmax())
    others = agreement[np.abs(lags - lags[best]) > 5 / STEP_S]
    spread = float(np.median(np.abs(others - np.median(others)))) * 1.4826 if len(others) else 0.0
    clear = len(others) > 0 and agreement[best] - np.median(others) >= STANDS_OUT * spread
    alone = len(others) > 0 and agreement[best] >= ALONE * others.max()
    if agreement[best] < LEAST or not (clear and alone):
        return None
    return Offset(round(float(lags[best]) * STEP_S, 1), float(agreement[best]))


def loudness(medium: Path) -> Array | None:
    """Return how loud each tenth of a second is, in decibels; None where there is no sound that can be read."""
    import av

    levels: list[Array] = []
    rest = np.empty(0, np.float32)
    length = int(RATE * STEP_S)
    try:
        with open_file(str(medium)) as container:
            if not container.streams.audio:
                return None
            resampler: Any = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            for frame in container.decode(audio=0):
                parts = [rest, *(part.to_ndarray().reshape(-1) for part in resampler.resample(frame))]
                samples = np.concatenate(parts)
                whole = len(samples) // length
                blocks = samples[: whole * length].reshape(whole, length).astype(np.float64)
                levels.append(10 * np.log10((blocks**2).mean(1) + 1e-8))
                rest = samples[whole * length :]
    except (av.FFmpegError, OSError, ValueError, MienError):
        return np.concatenate(levels) if levels else None
    return np.concatenate(levels) if levels else None
