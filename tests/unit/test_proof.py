"""`make proof`: each proof has its row on the page, and what it found goes there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import proof as proofs  # type: ignore[import-not-found,unused-ignore]


@pytest.mark.parametrize("proof", proofs.PROOFS, ids=lambda proof: proof.name)
def test_the_page_has_a_row_with_the_command(proof: proofs.Proof) -> None:
    page = proofs.PAGE.read_text("utf-8")
    again = proofs.renewed(page, proof, "1, 2026-11-29", "all of 7 held")
    assert f"| {proof.name} | `{proof.command}` | " in page
    assert f"| {proof.name} | `{proof.command}` | 1, 2026-11-29 | all of 7 held |" in again
    assert Path(proofs.ROOT, proof.command.split()[1]).exists()


def test_what_a_proof_prints_last_goes_onto_the_page(tmp_path: Path) -> None:
    page = tmp_path / "proof.md"
    page.write_text("| it holds | `python -c x` | not run yet | |\n")
    holds = proofs.Proof("it holds", "python -c 'print(1); print(\"seed {seed}: 5 of 5\")'")
    assert proofs.prove(holds, 3, page)
    assert "seed 3: 5 of 5" in page.read_text()
    assert not proofs.prove(proofs.Proof("it holds", "python -c 'raise SystemExit(1)'"), 3, page)
    assert "5 of 5" in page.read_text(), "what failed says nothing new"
