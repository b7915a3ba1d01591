"""What showed on the faces in a meeting while somebody spoke? `mien.reports.meeting(…)` answers."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mien.reports.asking import Paths
    from mien.reports.base.report import Report


class Meeting(ModuleType):
    """This package, which can be called."""

    def __call__(
        self,
        paths: Paths = (),
        *,
        transcript: str | Path,
        speakers: str | Path | None = None,
        names: bool = True,
        ocr_model: str | Path | None = None,
        lexicon: str | Path | None = None,
        offset: float | None = None,
        consent: str | None = None,
        calibrate: float | str | None = None,
        fps: float = 5.0,
        store: str | None = None,
        sources: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        blur: bool = False,
        anonymous: int | None = None,
        model: str | Path | None = None,
    ) -> Report:
        """Return how what was said in a meeting was taken.

            >>> report = meeting("call.mp4", transcript="call.vtt", offset=0)
            >>> report.kind, report.facts[0].name
            ('meeting', 'Happiness of the room')

        Args:
            paths: Videos, folders of them, or tables of `mien analyze` (.parquet, .csv, .jsonl); several of one meeting
                are laid on one time line, by the clocks in their pictures or else by their sound.
            transcript: What was said: WebVTT, SRT, a Zoom chat, or a text or .docx of Teams or Meet.
            speakers: A CSV that says which tile or track is whose.
            names: Read off the picture which face is whose, where `speakers` doesn't say.
            ocr_model: A PP-OCR recogniser (.onnx) for names in other scripts.
            lexicon: A CSV of words and weights, which says how pleasant words of other languages than English are.
            offset: Seconds to add to the transcript's times; None: found from the sound.
            consent: Who agreed, and when; the page says so.
            calibrate: Also tell what lies above the usual face of each, taken from so many first seconds, "median" (all
                that was seen), a stretch such as "0:10-0:40" (also of the clock in the picture), or the text of a
                marker of the store; None: not.
            fps: Videos are looked at so many times a second.
            store: The URL of a store, in place of paths.
            sources: Which of the store's sources; none named: all.
            since: From when on, by the clock of the store or in the picture.
            until: Until when, by the same clock.
            blur: Hide the faces in pictures.
            anonymous: Show no person and nothing that fewer than so many people stand behind; None: all.
            model: An ONNX file with Mien's contract, or `ferplus`; None: the one of this machine.

        Raises:
            InputError: Something cannot be read.
            UsageError: An argument is out of range.
            MissingExtraError: It needs the extra `analyze`.
        """
        from mien.reports.asking import answered, inputs_of
        from mien.reports.meeting.report import MeetingRequest, report_meeting

        request = MeetingRequest(
            inputs_of(paths, store, sources, since, until, fps),
            Path(transcript),
            None if speakers is None else Path(speakers),
            offset,
            consent,
            blur,
            anonymous,
            names,
            None if ocr_model is None else Path(ocr_model),
            None if lexicon is None else Path(lexicon),
            None if calibrate is None else str(calibrate),
        )
        return answered(lambda settings, job: report_meeting(request, settings, job), model)


sys.modules[__name__].__class__ = Meeting
