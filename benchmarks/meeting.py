"""How much of what is said has its speaker's own face named, in recordings of meetings whose truth is known.

    python benchmarks/meeting.py
    python benchmarks/meeting.py --cost 300

The recordings are built by the tests' own code: portraits that move, name tags, the frame around the speaker, coded as
meetings are. For each it prints the seconds of speaking, the own face in view, for which that face, another one or none
was named; then the same by layout and by size. `--cost` reports on a meeting of nine at 720p that lasts so many
seconds, without names and with them, and reckons an hour of it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from meetings import NAMES, SIZES, Meeting, Person, attributed
from mien.config import checked
from mien.reports.base.job import Job
from mien.reports.base.recordings import Inputs
from mien.reports.meeting.names.scan import read_screen
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

SHORT = 1
"""The case of `--short`."""

KINDS = ("right", "wrong", "open")


def main() -> None:
    """Build each recording, read it, and print what was named right, wrong and not at all; or what names cost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="one recording alone")
    parser.add_argument("--cost", type=float, metavar="SECONDS", help="what names cost in a recording of this length")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mien-meetings-") as folder:
        if asked.cost:
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
        begin = time.process_time()
        report_meeting(request, settings)
        spent[names] = time.process_time() - begin
        hour = spent[names] * 3600 / seconds / 60
        print(f"{'with' if names else 'without'} names: {spent[names]:.0f} s of computing, an hour {hour:.0f} min")
    print(f"names cost {100 * (spent[True] / spent[False] - 1):.0f} % more")


if __name__ == "__main__":
    main()
