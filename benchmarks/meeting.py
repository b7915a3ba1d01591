"""How much of what is said has its speaker's own face named, in recordings of meetings whose truth is known.

    python benchmarks/meeting.py

The recordings are built by the tests' own code: portraits that move, name tags, the frame around the speaker, coded as
meetings are. For each it prints the seconds of speaking, the own face in view, for which that face, another one or none
was named, and at the end all together.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from meetings import SIZES, Meeting, Person, attributed
from mien.config import checked
from mien.reports.base.job import Job
from mien.reports.meeting.names.scan import read_screen

NAMES = (
    "Ann Lee",
    "Bob Marsh",
    "Dmitri Orlov",
    "Carla Mond",
    "Zoe Lang",
    "Ian Roy",
    "Eva Stein",
    "Tom Hall",
    "Mia Park",
)

CASES = (
    ("zoom", "gallery", 4, "360p", None),
    ("teams", "gallery", 4, "360p", 6.0),
    ("meet", "gallery", 3, "360p", 6.0),
    ("zoom", "gallery", 9, "720p", 6.0),
    ("teams", "gallery", 6, "720p", None),
    ("meet", "gallery", 5, "720p", None),
    ("webex", "gallery", 2, "720p", None),
    ("zoom", "speaker", 5, "720p", None),
    ("teams", "speaker", 5, "720p", None),
    ("teams", "share", 4, "720p", None),
    ("webex", "share", 4, "720p", None),
    ("zoom", "alone", 1, "720p", None),
)
"""Look, layout, people, size, and when two swap their tiles."""


def main() -> None:
    """Build each recording, read it, and print what was named right, wrong and not at all."""
    total = {"right": 0.0, "wrong": 0.0, "open": 0.0}
    print(f"{'look':8}{'layout':10}{'people':>7}{'size':>7}{'swap':>6}{'right s':>9}{'wrong s':>9}{'open s':>8}")
    with tempfile.TemporaryDirectory(prefix="mien-meetings-") as folder:
        settings = checked({"home": Path(folder, "home")}, "the benchmark")
        for look, layout, count, size, swap in CASES:
            people = [Person(name) for name in NAMES[:count]]
            turns = [(0.3 + 1.3 * turn, 1.5 + 1.3 * turn, turn % count) for turn in range(9)]
            moved = {} if swap is None else {"swap": swap}
            meeting = Meeting(people, SIZES[size], look=look, layout=layout, seconds=12, fps=5, turns=turns, **moved)
            path = meeting.write(Path(folder, f"{look}-{layout}-{count}-{size}.mp4"))
            reading = read_screen(str(path), [person.name for person in people], settings, Job())
            seconds = attributed(meeting, reading.places)
            total = {kind: total[kind] + seconds[kind] for kind in total}
            figures = "".join(f"{seconds[kind]:>{wide}.1f}" for kind, wide in (("right", 9), ("wrong", 9), ("open", 8)))
            print(f"{look:8}{layout:10}{count:>7}{size:>7}{'' if swap is None else swap:>6}{figures}", flush=True)
    whole = sum(total.values())
    print(", ".join(f"{kind} {100 * seconds / whole:.1f} %" for kind, seconds in total.items()), f"of {whole:.0f} s")


if __name__ == "__main__":
    main()
