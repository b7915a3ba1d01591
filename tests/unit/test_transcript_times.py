"""The times in transcripts, to the fraction of a second, in the forms in which they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.reports.base.transcripts import read_transcript

VTT = "WEBVTT\n\n{}\nAnn: Hello\n\n{}\nAnn: Bye\n"
SRT = "1\n{}\nAnn: Hello\n\n2\n{}\nAnn: Bye\n"


@pytest.mark.parametrize(
    ("name", "form", "first", "last"),
    [
        ("t.vtt", VTT, "00:00:07.050 --> 00:00:08.500", "02:03:04.250 --> 02:03:06.005"),
        ("t.vtt", VTT, "00:07.050 --> 00:08.500", "02:03:04.250 --> 02:03:06.005"),
        ("t.srt", SRT, "00:00:07,050 --> 00:00:08,500", "02:03:04,250 --> 02:03:06,005"),
    ],
)
def test_times_are_read_to_the_millisecond(tmp_path: Path, name: str, form: str, first: str, last: str) -> None:
    (tmp_path / name).write_text(form.format(first, last))
    times = [(spoken.start, spoken.end) for spoken in read_transcript(tmp_path / name).utterances]
    assert times == [(pytest.approx(7.05), pytest.approx(8.5)), (pytest.approx(7384.25), pytest.approx(7386.005))]


def test_a_fraction_of_any_length_is_one(tmp_path: Path) -> None:
    (tmp_path / "t.srt").write_text(SRT.format("00:00:07.5 --> 00:00:08.25", "01:00:00.1 --> 01:00:01"))
    times = [(spoken.start, spoken.end) for spoken in read_transcript(tmp_path / "t.srt").utterances]
    assert times == [(7.5, 8.25), (pytest.approx(3600.1), 3601.0)]
