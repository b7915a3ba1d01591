"""Every long proof in turn, and what each found, with its seed and date, in the documentation's page of proofs.

    python benchmarks/proof.py [--seed 1] [--only NAME] [--page docs/explanation/proof.md]

Each proof is a command of its own, which prints its figures and fails where something does not hold; its last line
goes onto the page. The tests run the same at a smaller size.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "proof.md"
ROW = re.compile(r"^\| (?P<name>[^|`]+) \| `(?P<command>[^`]+)` \|")
LONGEST = 600
"""So many characters of a proof's last line are kept."""


class Proof(NamedTuple):
    """A proof: its name, and the command, in which {seed} stands for the seed."""

    name: str
    command: str


PROOFS = (
    Proof("delivery under disturbances", "python tests/chaos/run.py --schedules 100 --seed {seed}"),
    Proof("backup, restore, replay, damage", "python tests/chaos/drill.py --rounds 10 --seed {seed}"),
    Proof("a cluster that loses a server", "python benchmarks/cluster.py --cameras 24 --seconds 60 --fps 10"),
    Proof(
        "films on machines that die", "python benchmarks/films_on_ray.py --films 2 --minutes 2 --kills 2 --seed {seed}"
    ),
    Proof("intervals of audiences", "python benchmarks/audience.py --runs 100 --seed {seed}"),
    Proof("what moves audiences together", "python benchmarks/synchrony.py --runs 200 --seed {seed}"),
    Proof("intervals of calibration errors", "python benchmarks/calibration.py --runs 300 --seed {seed}"),
    Proof("an album that is killed", "python benchmarks/album.py --photos 10000"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=[proof.name for proof in PROOFS], help="run this one alone")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to renew")
    chosen = parser.parse_args()
    wanted = [proof for proof in PROOFS if chosen.only in (None, proof.name)]
    failed = [proof.name for proof in wanted if not prove(proof, chosen.seed, chosen.page)]
    if failed:
        sys.exit(f"not proved: {', '.join(failed)}")


def prove(proof: Proof, seed: int, page: Path) -> bool:
    """Run a proof, print what it prints, and put its last line onto the page; return whether it held."""
    today = datetime.now(timezone.utc).date()
    print(f"\n{proof.name}: seed {seed}, {today}", flush=True)
    command = [sys.executable, *shlex.split(proof.command.format(seed=seed))[1:]]
    last = ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout or ():
            print(line, end="", flush=True)
            last = line.strip() or last
    if running.returncode == 0:
        figures = last[:LONGEST].replace("|", "/")
        page.write_text(renewed(page.read_text("utf-8"), proof, f"{seed}, {today}", figures), encoding="utf-8")
    return running.returncode == 0


def renewed(page: str, proof: Proof, when: str, figures: str) -> str:
    """Return the page with a proof's row made anew.

    Raises:
        ValueError: The page has no row of that name.
    """
    lines = page.splitlines()
    for number, line in enumerate(lines):
        row = ROW.match(line)
        if row and row["name"] == proof.name:
            lines[number] = f"| {proof.name} | `{proof.command}` | {when} | {figures} |"
            return "\n".join(lines) + "\n"
    raise ValueError(f"the page has no row for '{proof.name}'")


if __name__ == "__main__":
    main()
