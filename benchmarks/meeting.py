"""How much of what is said has its speaker's own face named, in recordings of meetings whose truth is known.

    python benchmarks/meeting.py
    python benchmarks/meeting.py --cost 300
    python benchmarks/meeting.py --mouths
    python benchmarks/meeting.py --frames

The recordings are built by the tests' own code: portraits that move, name tags, the frame around the speaker, coded as
meetings are. For each it prints the seconds of speaking, the own face in view, for which that face, another one or none
was named; then the same by layout and by size. `--cost` reports on a meeting of nine at 720p that lasts so many
seconds, without names and with them, and reckons an hour of it. `--mouths` counts faces without tags that are named
right, wrong or not at all by how their mouths move: in meetings of two minutes whose people sway, blink, move their
mouths most of the time that they speak and now and then else, with their own transcript, with one that is 0.4 seconds
late, without one of the faces, in either half of the meeting alone, and with transcripts of other meetings. `--frames`
does so for tiles without tags that are framed while their people speak, 0.6 seconds late: the seconds of speaking whose
own face is named, with their own transcript, with one whose speakers are numbered, and with transcripts of others.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from meetings import NAMES, SIZES, Meeting, Person, attributed, irregular
from mien.config import checked
from mien.reports.base.job import Job
from mien.reports.base.recordings import Inputs, read_recordings
from mien.reports.base.transcripts import Utterance
from mien.reports.meeting.names.highlight_names import with_highlights
from mien.reports.meeting.names.mouth_names import with_mouths
from mien.reports.meeting.names.places import Mouth, NamedPlace, ScreenReading
from mien.reports.meeting.names.scan import read_screen
from mien.reports.meeting.names.search import NameSearch
from mien.reports.meeting.report import MeetingRequest, report_meeting

CASES = (
    ("zoom", "gallery", 4, "360p", None),
    ("teams", "gallery", 4, "360p", 6.0),
    ("meet", "gallery", 3, "360p", 6.0),
    ("webex", "gallery", 9, "360p", 6.0),
    ("teams", "speaker", 6, "360p", None),
    ("meet", "alone", 6, "360p", None),
    ("zoom", "gallery", 9, "720p", 6.0),
    ("teams", "gallery", 6, "720p", None),
    ("meet", "gallery", 16, "720p", 6.0),
    ("webex", "gallery", 2, "720p", None),
    ("zoom", "speaker", 5, "720p", None),
    ("teams", "speaker", 5, "720p", None),
    ("teams", "share", 4, "720p", None),
    ("webex", "share", 4, "720p", None),
    ("zoom", "alone", 4, "720p", None),
    ("zoom", "overlay", 4, "720p", None),
    ("zoom", "gallery", 25, "1080p", 6.0),
    ("webex", "speaker", 9, "1080p", None),
)
"""Look, layout, people, size, and when all change their tiles. Alone: whoever speaks fills the picture."""

MOUTHS = (
    (101, "gallery", 2, "360p"),
    (102, "gallery", 3, "360p"),
    (103, "gallery", 4, "360p"),
    (104, "gallery", 3, "720p"),
    (105, "gallery", 6, "720p"),
    (106, "speaker", 4, "720p"),
)
"""Seed, layout, people and size of `--mouths`; none of them served to choose a threshold."""

MOUTHS_S = 120.0

FRAMES = (
    (201, "zoom", "gallery", 2, "360p", None),
    (202, "zoom", "gallery", 4, "360p", 60.0),
    (203, "teams", "gallery", 6, "720p", None),
    (204, "meet", "gallery", 3, "360p", 100.0),
    (205, "zoom", "speaker", 4, "720p", None),
    (206, "teams", "share", 4, "720p", None),
)
"""Seed, look, layout, people, size and when all change their tiles, of `--frames`."""

NUMBERED = [f"Speaker {number}" for number in range(1, 26)]
STRANGE = 5
"""So many transcripts of other meetings are tried with each recording."""

SHORT = 1
"""The case of `--short`."""

KINDS = ("right", "wrong", "open")


def main() -> None:
    """Build each recording, read it, and print what was named right, wrong and not at all; or what names cost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="one recording alone")
    parser.add_argument("--cost", type=float, metavar="SECONDS", help="what names cost in a recording of this length")
    parser.add_argument("--mouths", action="store_true", help="faces without tags, by how their mouths move")
    parser.add_argument("--frames", action="store_true", help="tiles without tags, by the frame around the speaker")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mien-meetings-") as folder:
        if asked.mouths:
            print_mouths(Path(folder), MOUTHS[: 1 if asked.short else None])
        elif asked.frames:
            print_frames(Path(folder), FRAMES[: 1 if asked.short else None])
        elif asked.cost:
            print_cost(Path(folder), asked.cost)
        else:
            print_named(Path(folder), CASES[SHORT : SHORT + 1] if asked.short else CASES)


def print_named(folder: Path, cases: tuple[tuple[str, str, int, str, float | None], ...]) -> None:
    """Print the seconds of each recording, then the shares by layout, by size and in all."""
    totals: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(KINDS, 0.0))
    settings = checked({"home": folder / "home"}, "the benchmark")
    print(f"{'look':8}{'layout':10}{'people':>7}{'size':>7}{'swap':>6}{'right s':>9}{'wrong s':>9}{'open s':>8}")
    for look, layout, count, size, swap in cases:
        people = [Person(name) for name in NAMES[:count]]
        turns = [(0.3 + 1.3 * turn, 1.5 + 1.3 * turn, turn % count) for turn in range(9)]
        moved = {} if swap is None else {"swap": swap}
        meeting = Meeting(people, SIZES[size], look=look, layout=layout, seconds=12, fps=5, turns=turns, **moved)
        path = meeting.write(folder / f"{look}-{layout}-{count}-{size}.mp4")
        reading = read_screen(str(path), [person.name for person in people], settings, Job())
        seconds = attributed(meeting, reading.places)
        for part in (layout, size, "all"):
            totals[part] = {kind: totals[part][kind] + seconds[kind] for kind in KINDS}
        figures = "".join(f"{seconds[kind]:>{wide}.1f}" for kind, wide in zip(KINDS, (9, 9, 8), strict=True))
        print(f"{look:8}{layout:10}{count:>7}{size:>7}{'' if swap is None else swap:>6}{figures}", flush=True)
    print(f"\n{'':10}{'seconds':>8}{'right %':>9}{'wrong %':>9}{'open %':>9}")
    for part, seconds in sorted(totals.items(), key=lambda item: (item[0] == "all", item[0][0].isdigit(), item[0])):
        whole = sum(seconds.values())
        print(f"{part:10}{whole:>8.0f}" + "".join(f"{100 * seconds[kind] / whole:>9.1f}" for kind in KINDS))


def print_mouths(folder: Path, cases: tuple[tuple[int, str, int, str], ...]) -> None:
    """Print how many faces without a tag were named right, wrong and not at all, by recording and by transcript."""
    settings = checked({"home": folder / "home"}, "the benchmark")
    totals: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(KINDS, 0))
    print(f"{'layout':10}{'people':>7}{'size':>7}   {'transcript':14}{'right':>7}{'wrong':>7}{'open':>6}")
    for seed, layout, count, size in cases:
        turns = irregular(seed, count, MOUTHS_S)
        people = [Person(name) for name in NAMES[:count]]
        drawn = {"tags": False, "talk": True, "highlight": False, "seed": seed, "fps": 5}
        meeting = Meeting(people, SIZES[size], layout=layout, seconds=MOUTHS_S, turns=turns, **drawn)
        path = meeting.write(folder / f"{seed}.mp4")
        inputs = Inputs((str(path),))
        search = NameSearch(inputs, settings, None)
        recording = read_recordings(inputs, settings, Job(), search.watch)[0]
        reading = search.read(recording, [], Job())
        path.unlink()
        rare = min(range(count), key=lambda who: sum(turn[2] == who for turn in turns))
        seen = [mouth for mouth in reading.mouths if owner(meeting, mouth) != rare]
        transcripts = {
            "its own": [(reading, turns)],
            "0.4 s late": [(reading, [(start + 0.4, end + 0.4, who) for start, end, who in turns])],
            "a face gone": [(replace(reading, mouths=tuple(seen)), turns)],
            "one half": [(part, turns) for part in halves(reading)],
            "of others": [(reading, irregular(1000 * seed + k, count, MOUTHS_S)) for k in range(STRANGE)],
        }
        for kind, tries in transcripts.items():
            counts = dict.fromkeys(KINDS, 0)
            for shown, said in tries:
                marks = mouth_marks(meeting, shown, said, ours=kind != "of others")
                counts = {mark: counts[mark] + marks[mark] for mark in KINDS}
            totals[kind] = {mark: totals[kind][mark] + counts[mark] for mark in KINDS}
            print(f"{layout:10}{count:>7}{size:>7}   {kind:14}" + "".join(f"{counts[mark]:>7}" for mark in KINDS))
    print()
    for kind, counts in totals.items():
        answers = counts["right"] + counts["wrong"]
        share = f", {100 * counts['right'] / answers:.1f} % of {answers} answers right" if answers else ""
        print(f"{kind:14}" + ", ".join(f"{counts[mark]} {mark}" for mark in KINDS) + share)


def print_frames(folder: Path, cases: tuple[tuple[int, str, str, int, str, float | None], ...]) -> None:
    """Print for how many seconds of speaking frames name tiles without tags right, wrong, not at all."""
    settings = checked({"home": folder / "home"}, "the benchmark")
    totals: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(KINDS, 0.0))
    head = f"{'look':8}{'layout':10}{'people':>7}{'size':>7}{'swap':>6}   {'transcript':12}"
    print(head + f"{'right s':>9}{'wrong s':>9}{'open s':>8}")
    for seed, look, layout, count, size, swap in cases:
        turns = irregular(seed, count, MOUTHS_S)
        drawn = {"tags": False, "seed": seed, "fps": 5, "late": 0.6, "swap": float("inf") if swap is None else swap}
        people = [Person(name) for name in NAMES[:count]]
        meeting = Meeting(people, SIZES[size], look=look, layout=layout, seconds=MOUTHS_S, turns=turns, **drawn)
        path = meeting.write(folder / f"{seed}.mp4")
        reading = read_screen(str(path), [], settings, Job())
        path.unlink()
        strange = [irregular(1000 * seed + k, count, MOUTHS_S) for k in range(STRANGE)]
        transcripts = {"its own": [(NAMES, turns)], "numbered": [(NUMBERED, turns)]}
        transcripts["of others"] = [(NAMES, other) for other in strange]
        for kind, tries in transcripts.items():
            counts = dict.fromkeys(KINDS, 0.0)
            for names, said in tries:
                utterances = [Utterance(start, end, names[who], "We will see.") for start, end, who in said]
                named = with_highlights(reading, utterances).places
                seconds = attributed(meeting, named, name_of=lambda who, names=names: names[who])
                counts = {mark: counts[mark] + seconds[mark] for mark in KINDS}
            totals[kind] = {mark: totals[kind][mark] + counts[mark] for mark in KINDS}
            figures = "".join(f"{counts[mark]:>{wide}.1f}" for mark, wide in zip(KINDS, (9, 9, 8), strict=True))
            when = "" if swap is None else swap
            print(f"{look:8}{layout:10}{count:>7}{size:>7}{when:>6}   {kind:12}{figures}", flush=True)
    print()
    for kind, seconds in totals.items():
        whole = sum(seconds.values())
        print(f"{kind:12}" + ", ".join(f"{100 * seconds[mark] / whole:.1f} % {mark}" for mark in KINDS))


def halves(reading: ScreenReading) -> list[ScreenReading]:
    """Return what was seen of mouths in either half of a meeting."""
    parts = []
    for start in (0.0, MOUTHS_S / 2):
        mouths = []
        for mouth in reading.mouths:
            pairs = zip(mouth.times, mouth.motion, strict=True)
            inside = [pair for pair in pairs if start <= pair[0] < start + MOUTHS_S / 2]
            if inside:
                times, motion = zip(*inside, strict=True)
                mouths.append(replace(mouth, times=times, motion=motion))
        parts.append(replace(reading, mouths=tuple(mouths)))
    return parts


def mouth_marks(
    meeting: Meeting, reading: ScreenReading, turns: list[tuple[float, float, int]], *, ours: bool
) -> dict[str, int]:
    """Return how many faces of a meeting without tags were named right, wrong and not at all."""
    said = [Utterance(start, end, NAMES[who], "We will see.") for start, end, who in turns]
    named = [place for place in with_mouths(reading, said).places if place.found_by == "mouth"]
    right = sum(ours and NAMES[owner(meeting, place)] == place.speaker for place in named)
    people = len({place.speaker for place in named})
    return {"right": right, "wrong": len(named) - right, "open": len(meeting.people) - people}


def owner(meeting: Meeting, place: NamedPlace | Mouth) -> int:
    """Return who is in the middle of a place; -1: nobody."""
    x, y = (place.x + place.width / 2) * meeting.size[0], (place.y + place.height / 2) * meeting.size[1]
    for who, (left, top, wide, high) in meeting.tiles(meeting.seconds / 2):
        if left <= x < left + wide and top <= y < top + high:
            return int(who)
    return -1


def print_cost(folder: Path, seconds: float) -> None:
    """Print the computing time of a report on a meeting of nine at 720p, with names and without."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise SystemExit("ffmpeg is needed to build a recording of that length")
    piece = min(30.0, seconds)
    meeting = Meeting([Person(name) for name in NAMES[:9]], SIZES["720p"], look="zoom", seconds=piece, fps=25)
    first, path = meeting.write(folder / "piece.mp4"), folder / "call.mp4"
    again = ["-stream_loop", str(round(seconds / piece) - 1), "-i", str(first), "-c", "copy", str(path)]
    subprocess.run([program, "-v", "error", *again], check=True)
    transcript = meeting.transcript(folder / "call.vtt")
    spent = {}
    for names in (False, True):
        settings = checked({"home": folder / f"home-{names}"}, "the benchmark")
        request = MeetingRequest(Inputs((str(path),)), transcript, offset=0.0, names=names)
        begin, begun = time.process_time(), time.perf_counter()
        report_meeting(request, settings)
        spent[names], passed = time.process_time() - begin, time.perf_counter() - begun
        hour = spent[names] * 3600 / seconds / 60
        words = f"{spent[names]:.0f} s of computing in {passed:.0f} s"
        print(f"{'with' if names else 'without'} names: {words}, an hour {hour:.0f} min", flush=True)
    print(f"names cost {100 * (spent[True] / spent[False] - 1):.0f} % more")


if __name__ == "__main__":
    main()
