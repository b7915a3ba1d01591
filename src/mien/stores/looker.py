"""A link that opens a report in Looker Studio on a store in BigQuery, by its Linking API; nothing is sent from here."""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

from mien.errors import UsageError

__all__ = ["looker_link"]

CREATE = "https://lookerstudio.google.com/reporting/create"
VIEW = "rollups_hour"
"""What the report reads: a row per hour and source is enough for years, and costs little to read."""


def looker_link(url: str) -> str:
    """Return the link for a store's URL, `bigquery://project/dataset`.

    Raises:
        UsageError: The store is not in BigQuery.
    """
    parts = urlsplit(url)
    project, dataset = parts.netloc, parts.path.strip("/")
    if parts.scheme != "bigquery" or not project or not dataset or "/" in dataset:
        raise UsageError(
            f"Looker Studio reads a store in BigQuery, but this one is at '{parts.scheme}:': name one with "
            "--store bigquery://project/dataset, or bring this one there with `mien store copy`"
        )
    asked = {
        "c.mode": "edit",
        "r.reportName": f"Mien {dataset}",
        "ds.connector": "bigQuery",
        "ds.datasourceName": f"{dataset}.{VIEW}",
        "ds.type": "TABLE",
        "ds.projectId": project,
        "ds.datasetId": dataset,
        "ds.tableId": VIEW,
        "ds.billingProjectId": project,
    }
    return f"{CREATE}?{urlencode(asked, quote_via=quote)}"
