"""A study around the report: how many viewers it takes, what its methods section says, how Mien is cited."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from seeing import recording, shares
from typer.testing import CliRunner

import mien
from mien.cli.app import app
from mien.errors import UsageError
from mien.models.classifier import Classifier
from mien.reports.audience.plan import FEWEST, plan_audience
from mien.reports.base.methods import OURS, REFERENCES, methods_of
from mien.reports.base.page import KINDS
from mien.reports.base.recordings import Inputs
from mien.reports.film.report import FilmRequest, report_film

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import plan as benchmark  # noqa: E402

CFF_KEYS = {
    "cff-version",
    "message",
    "title",
    "abstract",
    "type",
    "version",
    "license",
    "authors",
    "keywords",
    "references",
}
"""Those of the Citation File Format 1.2.0 that the file has; the first three and authors are required."""


def test_a_plan_finds_what_it_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark measures this at length; here it must not be far off."""
    monkeypatch.setattr(benchmark.sign_flips, "DRAWS", 300)
    viewers = plan_audience(0.1, power=0.8).viewers
    height = benchmark.strength_for(0.1)
    hits = [benchmark.found(viewers, height, np.random.default_rng(run))[0] for run in range(5)]
    assert sum(hits) >= 2


def test_a_smaller_effect_takes_more_viewers_and_so_does_more_of_anything_that_hides_it() -> None:
    least = plan_audience(0.1)
    assert least.viewers < plan_audience(0.05).viewers < plan_audience(0.03).viewers
    for harder in ({"power": 0.95}, {"events": 500}, {"noise": 0.1}, {"spread": 1.5}, {"cold": 0.6}):
        assert plan_audience(0.1, **harder).viewers > least.viewers, harder  # type: ignore[arg-type]
    assert plan_audience(0.9, noise=0.001, spread=0, cold=0).viewers == FEWEST
    assert 0.08 < least.smallest <= 0.1
    assert plan_audience(0.1, lost=0.5).invited == 2 * least.viewers


@pytest.mark.parametrize(
    "wrong", [{"effect": 2}, {"power": 1}, {"events": 0}, {"noise": 0}, {"lost": 1}, {"cold": float("nan")}]
)
def test_impossible_plans_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="out of range"):
        plan_audience(**{"effect": 0.1} | wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="10,000"):
        plan_audience(0.01, noise=0.5)


def test_the_command_says_how_many_and_what_it_assumes() -> None:
    done = CliRunner().invoke(app, ["plan", "audience", "--effect", "0.1", "--events", "3"])
    planned = plan_audience(0.1, events=3)
    assert done.exit_code == 0
    assert re.search(rf"^{planned.viewers} viewers", done.output)
    assert f"Invite {planned.invited}" in done.output
    assert "3 events" in done.output


def test_a_report_prints_its_methods(tmp_path: Path) -> None:
    faces = recording([n / 5 for n in range(200)], lambda _: [(1, (9, 9, 90, 90), shares(happy=0.4))]).faces
    table = faces.rename({"at": "offset_s"}).drop("span", strict=False)
    table = table.with_columns(model=np.array(["mien-9-ferplus-int8@01234567"] * len(table)))
    table.write_parquet(tmp_path / "t.parquet")
    report = report_film(FilmRequest(Inputs((str(tmp_path / "t.parquet"),))))
    report.write(tmp_path / "out.html")
    methods = json.loads((tmp_path / "out.json").read_text())["methods"]
    for fact in (mien.__version__, "mien-9-ferplus-int8@01234567", "1 recordings", "FER+", "numpy"):
        assert fact in methods["text"]
    assert "times a second" not in methods["text"]  # a table says nothing of that
    page = (tmp_path / "out.html").read_text()
    assert all(reference[:40].replace("&", "&amp;") in page for reference in methods["references"])


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_is_cited_is_listed_in_order(kind: str) -> None:
    methods = methods_of(kind, ["mien-9-int8@01234567"], "yunet", 12, 10.0)
    cited = list(dict.fromkeys(re.findall(r"\[([^]]+)\]", methods.text)))
    assert methods.references == [REFERENCES[key] for key in cited]
    other = methods_of(kind, ["mine@01234567"], "mine", 2, None)
    assert "FER-2013" not in other.text
    assert "YuNet" not in other.text
    assert "the detector mine" in other.text


def test_the_models_that_come_with_mien_are_known_by_their_names() -> None:
    for name in ("fer2013", "ferplus"):
        assert Classifier.load(name).model_id.startswith(OURS)


def test_the_citation_file_is_one() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert set(citation) == CFF_KEYS
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == mien.__version__
    assert citation["type"] == "software"
    assert citation["license"] == "Apache-2.0"
    assert citation["authors"] == [{"name": "The Mien founders"}]
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= set(reference)
        assert re.fullmatch(r"10\.\d{4,9}/\S+", reference["doi"])
