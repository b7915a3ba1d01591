"""Grafana's boards: each panel's query, each variable and annotation, asked of a real PostgreSQL and a real forwarder.

What Grafana puts in for its macros and variables is put in here. PromQL is taken apart by a parser, and its metrics and
labels are held against what the forwarder answers at /metrics; where Prometheus is installed it is asked, too.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser
import psycopg
import pytest
import yaml
from parts import observation, settings, start, stop_all, wait_for
from prometheus_client.parser import text_string_to_metric_families

from mien.forward.forwarder import run_forwarder
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import Connection
from mien.observation import EMOTIONS, encode, new_id, now
from mien.stores.base import Marker, open_store
from ports import unused_port
from postgres import Server
from programs import program

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
BOARDS = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((GRAFANA / "boards").glob("*.json"))}
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in board["panels"]]
SCRAPED = {"instance", "job"}
"""Labels that Prometheus adds."""

READERS = "it's"  # that SQL must quote
SPANS_S = {"an hour": 3600, "a week": 7 * 86400, "a month": 30 * 86400}


def of_kind(kind: str) -> list[Any]:
    """Return the targets of all panels that ask this kind of data source, each with a name."""
    return [
        pytest.param(panel, target, id=f"{name}-{panel['title']}-{target['refId']}")
        for name, panel in PANELS
        for target in panel["targets"]
        if target["datasource"]["type"] == kind
    ]


@pytest.fixture(scope="module")
def reader(postgresql: Server) -> Iterator[psycopg.Connection[Any]]:
    """The user that reader.sql makes, in a database in which there is something of everything."""
    database = postgresql.new_database()
    with closing(open_store(postgresql.url(database))) as store:
        began = now() - timedelta(minutes=30)
        for source in ("lobby", "yard"):
            session = new_id()
            given = [observation(source, session, n, n % 3, began + timedelta(seconds=60 * n)) for n in range(20)]
            store.add(given[:-1])
            store.erase(source, given[-1].time or began, now())
            store.add(given)
        store.add_dead_letters([("mien/lobby/observations", "no JSON", b"?")])
        store.add_markers([Marker(new_id(), began, "the joke", None, "me")])
    asked = ["-h", "127.0.0.1", "-p", str(postgresql.port), "-U", "mien", "-d", database, "-v", "ON_ERROR_STOP=1"]
    with postgresql.connect(database) as owner:
        password = owner.info.password
    subprocess.run(
        [program("psql"), "-q", *asked, "-v", f"password={READERS}", "-f", str(GRAFANA / "reader.sql")],
        env={"PGPASSWORD": password},
        check=True,
    )
    place = {"host": "127.0.0.1", "port": postgresql.port, "dbname": database}
    connection = psycopg.connect(**place, user="mien_reader", password=READERS, autocommit=True)  # type: ignore[arg-type]
    yield connection
    connection.close()
    postgresql.drop(database)
    postgresql.query("postgres", "DROP ROLE mien_reader")


def filled(text: str, span_s: int) -> str:
    """Put in what Grafana puts in, for a period that ends now."""
    until = int(now().timestamp()) + 60
    text = text.replace("$__unixEpochFrom()", str(until - span_s)).replace("$__unixEpochTo()", str(until))
    text = text.replace("$source", "'lobby','yard'")
    assert "$" not in text
    return text


@pytest.mark.parametrize("span", SPANS_S)
@pytest.mark.parametrize(("panel", "target"), of_kind("grafana-postgresql-datasource"))
def test_every_sql_panel_shows_something(
    reader: psycopg.Connection[Any], panel: dict[str, Any], target: dict[str, Any], span: str
) -> None:
    cursor = reader.execute(filled(target["rawSql"], SPANS_S[span]))  # type: ignore[arg-type]
    rows, columns = cursor.fetchall(), cursor.description or []
    assert rows
    assert any(value is not None for row in rows for value in row)
    if target["format"] == "time_series":
        assert columns[0].name == "time"
        assert columns[0].type_display == "timestamptz"
        assert all(column.type_display == "float8" for column in columns[1:] if column.name != "metric")
        assert rows == sorted(rows, key=lambda row: row[0])


def test_the_figures_are_those_of_the_store(reader: psycopg.Connection[Any]) -> None:
    def ask(title: str) -> list[Any]:
        (target,) = next(panel["targets"] for name, panel in PANELS if panel["title"] == title and name == "emotions")
        return reader.execute(filled(target["rawSql"], 3600)).fetchall()  # type: ignore[arg-type]

    assert ask("Happiness index")[0][0] == pytest.approx(88)
    assert ask("Frames") == [(38,)]
    assert [row[0] for row in ask("Sources")] == ["lobby", "yard"]
    assert [row[3:] for row in ask("Sources")] == [(19, 0, 1)] * 2
    named = ask("Faces by the emotion named")
    assert [dict(zip(EMOTIONS, row[1:8], strict=True))["happy"] for row in named] == [18, 18]
    assert [row[1:] for row in ask("Markers")] == [("the joke", "all", "me")]


def test_variables_and_annotations_can_be_asked_and_no_face_read(reader: psycopg.Connection[Any]) -> None:
    board = BOARDS["emotions"]
    (variable,), (annotation,) = board["templating"]["list"], board["annotations"]["list"]
    assert reader.execute(variable["query"]).fetchall() == [("lobby",), ("yard",)]
    marked = reader.execute(filled(annotation["target"]["rawSql"], 3600))
    assert [column.name for column in marked.description or []] == ["time", "text", "tags"]
    assert [row[1:] for row in marked] == [("the joke", "all")]
    for query in ("SELECT 1 FROM faces", "SELECT 1 FROM frames", "SELECT payload FROM dead_letters"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(query)  # type: ignore[arg-type]
    with pytest.raises(psycopg.errors.Error):
        reader.execute("DELETE FROM markers")


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port at which a forwarder answers that has stored something, knew something and set something aside."""
    home, port, stopping = tmp_path_factory.mktemp("hub"), unused_port(), threading.Event()
    start("broker", home, unused_port())
    wait_for((home / "broker.json").exists)
    ours = settings(home, forward={"metrics_port": port, "markers": True})
    thread = threading.Thread(target=run_forwarder, args=(ours, stopping))
    thread.start()
    connection = Connection(find_broker(ours), "edge")
    seen = observation("lobby", new_id(), 0)

    def works() -> bool:
        connection.publish("mien/lobby/observations", encode(seen))
        connection.publish("mien/lobby/observations", b"?")
        connection.publish("mien/lobby/marker", b'{"label": "now"}')
        return all(value > 0 for value in values(port, "stored", "known", "dead_letters", "markers"))

    wait_for(works)
    yield port
    connection.close()
    stopping.set()
    thread.join()
    stop_all()


def answer(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as got:
            return str(got.read(), "utf-8")
    except OSError:
        return ""


def values(port: int, *names: str) -> list[float]:
    families = text_string_to_metric_families(answer(port, "/metrics"))
    by_name = {sample.name: sample.value for family in families for sample in family.samples}
    return [by_name.get(f"mien_forwarder_{name}_total", 0) for name in names]


def in_prometheus(text: str) -> str:
    """Put in what Grafana puts in."""
    text = text.replace("$instance", ".*").replace("$__rate_interval", "10s").replace("$__range", "1h")
    assert "$" not in text
    return text


def selectors(expression: Any) -> list[Any]:
    picked: list[Any] = []

    def note(part: Any) -> None:
        part = getattr(part, "vector_selector", part)
        if isinstance(part, promql_parser.VectorSelector):
            picked.append(part)

    promql_parser.walk(expression, note)
    return picked


@pytest.mark.parametrize(("panel", "target"), of_kind("prometheus"))
def test_every_metric_and_label_of_a_prometheus_panel_is_there(
    metrics: int, panel: dict[str, Any], target: dict[str, Any]
) -> None:
    samples = [
        sample for family in text_string_to_metric_families(answer(metrics, "/metrics")) for sample in family.samples
    ]
    there = {sample.name: SCRAPED | set(sample.labels) for sample in samples}
    asked = selectors(promql_parser.parse(in_prometheus(target["expr"])))
    assert asked
    for selector in asked:
        assert selector.name in there
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert "instance" in labels, "the board's variable chooses"
        assert labels <= there[selector.name]
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= there[selector.name]
        counter = selector.name.endswith("_total")
        raw = re.search(r"(rate|increase)\(", target["expr"])
        assert counter or not raw, "a rate is that of a counter"


def test_prometheus_answers_every_panel_where_it_is_installed(metrics: int, tmp_path: Path) -> None:
    """Every query is one that the parser knows; Prometheus, where there is one, also knows what is in it."""
    targets = [target for _, panel in PANELS for target in panel["targets"] if "expr" in target]
    assert all(promql_parser.parse(in_prometheus(target["expr"])) for target in targets)
    config = yaml.safe_load((GRAFANA / "prometheus.yml").read_text("utf-8"))
    if not (installed := shutil.which("prometheus")):
        return
    config["global"]["scrape_interval"] = "1s"
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{metrics}"]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = unused_port()
    options = [f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([installed, *options, f"--web.listen-address=127.0.0.1:{port}"], stderr=log)

    def ask(expression: str) -> list[Any]:
        text = answer(port, f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        reply = json.loads(text or '{"status": "success", "data": {"result": []}}')
        assert reply["status"] == "success", reply
        return list(reply["data"]["result"])

    try:
        wait_for(lambda: ask("rate(mien_forwarder_stored_total[10s])"), what="two scrapes")
        for target in targets:
            assert ask(in_prometheus(target["expr"])), target["expr"]
    finally:
        server.terminate()
        server.wait()


def test_boards_and_provisioning_fit_together() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/mien.yaml").read_text("utf-8"))["datasources"]
    known = {source["uid"]: source["type"] for source in sources}
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/mien.yaml").read_text("utf-8"))["providers"]
    page = (GRAFANA.parents[1] / "docs" / "deploy" / "grafana.md").read_text("utf-8")
    assert provider["options"]["path"] in page, "where the page puts the boards"
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)
    for name, board in BOARDS.items():
        assert board["title"] in page
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert not cells & taken, f"{name}: {panel['title']} lies over another"
            assert max(x for x, _ in cells) < 24
            taken |= cells
        for used in re.findall(r'"datasource": (\{[^}]+\})', json.dumps(board)):
            source = json.loads(used)
            assert known[source["uid"]] == source["type"]


def test_what_the_provisioning_asks_of_the_environment_is_documented() -> None:
    asked = re.findall(r"\$(\w+)", (GRAFANA / "provisioning/datasources/mien.yaml").read_text("utf-8"))
    page = (GRAFANA.parents[1] / "docs" / "deploy" / "grafana.md").read_text("utf-8")
    assert asked
    assert all(f"{name}=" in page for name in asked)
