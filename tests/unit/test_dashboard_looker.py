"""The link to Looker Studio."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from typer.testing import CliRunner

from mien.cli.app import app
from mien.errors import UsageError
from mien.stores.looker import looker_link


def test_the_link_names_the_users_own_view() -> None:
    link = urlsplit(looker_link("bigquery://my-project/mien?location=EU"))
    assert (link.scheme, link.netloc, link.path) == ("https", "lookerstudio.google.com", "/reporting/create")
    asked = dict(parse_qsl(link.query, strict_parsing=True))
    assert {name: asked[f"ds.{name}"] for name in ("connector", "type", "projectId", "datasetId", "tableId")} == {
        "connector": "bigQuery", "type": "TABLE", "projectId": "my-project", "datasetId": "mien",
        "tableId": "rollups_hour",
    }  # fmt: skip
    assert asked["r.reportName"] == "Mien mien"


def test_the_view_is_one_that_the_store_makes() -> None:
    from mien.stores.looker import VIEW

    tables = pytest.importorskip("mien.stores.bigquery_tables", reason="needs the extra bigquery")
    assert VIEW in tables.views("my-project.mien")


@pytest.mark.parametrize("url", ["sqlite:///mien.db", "postgresql://u:secret@h/d", "bigquery://p", "bigquery:///d", ""])
def test_other_stores_have_none(url: str) -> None:
    with pytest.raises(UsageError, match="--store bigquery://project/dataset") as told:
        looker_link(url)
    assert "secret" not in str(told.value)


def test_the_command_prints_it_and_leaves() -> None:
    done = CliRunner().invoke(app, ["dashboard", "--looker", "--store", "bigquery://my-project/mien"])
    assert done.exit_code == 0
    assert done.stdout.strip() == looker_link("bigquery://my-project/mien")
