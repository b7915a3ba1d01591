"""The page History: what is chosen, zoomed, compared, marked and exported, in a real browser."""

from __future__ import annotations

import csv
import io
import json
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import polars as pl
import pytest
from feeding import until
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect
from visits import Served, Visit

from mien.observation import new_id
from mien.stores.base import Marker

pytestmark = [pytest.mark.browser, pytest.mark.mosquitto, pytest.mark.timeout(400)]

Open = Callable[..., Visit]

BANDS = "#plot .scatterlayer .trace"


BEGUN = """() => {
    const { take } = mien;
    mien.take = (parts) => {
        take(parts);
        if ("call:sources" in parts) window.begun = true;
    };
}"""
"""Notes when a stream begins anew, with all of its page."""


def opened(visit: Open, seeded: Served, query: str = "") -> Page:
    page = visit(f"{seeded.address}/history{query}").page
    expect(page.locator(BANDS).first).to_be_visible()
    return page


def chosen(page: Page) -> dict[str, list[str]]:
    """Return what the URL says; the page is asked, since Playwright's own `url` stands still while a test waits."""
    return parse_qs(page.evaluate("location.search").removeprefix("?"))


def span_s(page: Page) -> float:
    """Return how long the period in the URL is, in seconds."""
    start, end = (datetime.fromisoformat(chosen(page)[name][0].replace("Z", "+00:00")) for name in ("from", "to"))
    return (end - start).total_seconds()


def analysed(page: Page) -> int:
    """Return the number of faces analysed, once there is one."""
    value = page.locator(".figure", has=page.get_by_role("heading", name="Analysed")).locator(".big")
    expect(value).to_contain_text("face")
    return int("".join(filter(str.isdigit, value.inner_text().split("face")[0])))


def changed(place: Locator) -> None:
    """Wait until a text that is kept up to date is another one."""
    before = place.inner_text()
    until(lambda: place.inner_text() != before)


def box_of(place: Locator) -> tuple[float, float, float, float]:
    box = place.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


def test_the_bands_stand_there_before_the_library_that_draws_the_chart(seeded: Served, visit: Open) -> None:
    page = visit(f"{seeded.address}/").page
    held: list[Route] = []
    page.route("**/assets/plotly.min.js*", lambda route: held.append(route))
    # the page may ask for the held library before it counts as loaded, and would then never do so
    page.goto(f"{seeded.address}/history?as=count&period=7d", wait_until="domcontentloaded")
    expect(page.locator("#plot-sketch path")).to_have_count(8)
    heights = [box_of(band)[3] for band in page.locator("#plot-sketch path").all()]
    assert max(heights) > 20
    expect(page.locator(BANDS)).to_have_count(0)
    for route in held:
        route.continue_()
    expect(page.locator(BANDS).first).to_be_visible()
    expect(page.locator("#plot-sketch")).to_have_count(0)


def test_figures_shares_hours_and_numbers_agree_with_the_store(seeded: Served, visit: Open) -> None:
    page = opened(visit, seeded)
    assert page.locator(BANDS).count() == 8
    shares = [float(text.split("\u202f")[0]) for text in page.locator(".shares .value").all_inner_texts()]
    assert len(shares) == 7
    assert sum(shares) == pytest.approx(100, abs=0.5)
    now = datetime.now(timezone.utc)
    total = seeded.store.summary(now - timedelta(days=8), now + timedelta(days=1))
    page.get_by_role("button", name="7 days").click()
    until(lambda: total.faces <= analysed(page) <= total.faces + 2000)  # they go on
    rows = page.locator("#numbers tbody tr")
    until(lambda: 20 < rows.count() <= 60)
    faces = [int(text.replace(",", "")) for text in page.locator("#numbers td:nth-child(3)").all_inner_texts()]
    assert total.faces <= sum(faces) <= total.faces + 2000
    expect(page.locator("#hours tbody tr")).to_have_count(7)
    expect(page.locator("#hours .best")).to_contain_text("faces a frame")
    page.get_by_role("link", name="What is Happiness index?").click()
    expect(page.locator("#definition")).to_contain_text("100 × the mean probability of happy")


def test_what_is_chosen_is_in_the_url_and_can_be_shared(seeded: Served, visit: Open) -> None:
    page = opened(visit, seeded)
    both = analysed(page)
    page.get_by_label("Sources", exact=True).first.click()
    page.get_by_role("checkbox", name="stage").uncheck()
    until(lambda: 0 < analysed(page) < both)
    page.get_by_role("button", name="1 hour").click()
    page.get_by_role("button", name="Faces", exact=True).click()
    page.locator("[data-emotion=neutral]").click()
    expect(page.locator(BANDS)).to_have_count(7)  # six emotions and how many faces there were
    wanted = {"source": ["lobby"], "period": ["1h"], "as": ["count"]}
    others = ["happy", "surprise", "sad", "fear", "disgust", "angry"]
    assert chosen(page) == wanted | {"emotion": others}
    again = opened(visit, seeded, f"?{urlsplit(page.url).query}")
    expect(again.get_by_role("button", name="1 hour")).to_have_attribute("aria-pressed", "true")
    expect(again.get_by_role("button", name="Faces", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(again.locator("[data-emotion=neutral]")).to_have_attribute("aria-pressed", "false")
    expect(again.locator("#picker summary")).to_contain_text("lobby")
    expect(again.locator("#chart-about")).to_contain_text("Faces named")
    page.go_back()
    assert chosen(page) == wanted
    expect(page.locator("[data-emotion=neutral]")).to_have_attribute("aria-pressed", "true")


def test_a_custom_period_is_in_the_viewers_zone_in_the_fields_and_in_utc_in_the_url(
    seeded: Served, visit: Open
) -> None:
    page = opened(visit, seeded)
    page.get_by_role("button", name="Custom").click()
    page.locator("#from").fill("2026-01-01T10:00:30")
    page.evaluate("mien.take({'call:sources': ['lobby', 'stage', 'yard']})")  # what comes when a source appears
    expect(page.locator("#picker .options label")).to_have_count(3)
    expect(page.locator("#from")).to_have_value("2026-01-01T10:00:30")
    page.locator("#to").fill("2026-01-02T10:00:00")
    page.get_by_role("button", name="Show").click()
    assert chosen(page) == {"period": ["custom"], "from": ["2026-01-01T00:00:30Z"], "to": ["2026-01-02T00:00:00Z"]}
    expect(page.locator("#none")).to_contain_text("No frame in this period")
    expect(page.locator("#chart-about")).to_contain_text("01 Jan, 10:00 – 02 Jan, 10:00")
    expect(page.locator("#chart-about")).to_contain_text("Australia/Brisbane")


def test_zoom_and_pan_by_pointer_and_buttons_down_to_seconds(seeded: Served, visit: Open) -> None:
    page = opened(visit, seeded, "?period=1h")
    expect(page.locator("#numbers tbody tr").first).to_be_visible()  # all is there, so that nothing moves any more
    x, y, width, height = box_of(page.locator("#plot .nsewdrag").first)
    page.mouse.move(x + 0.5 * width, y + 0.5 * height)
    page.mouse.down()
    page.mouse.move(x + 0.6 * width, y + 0.5 * height)
    changed(page.locator("#figures"))  # what is drawn anew meanwhile leaves the pointer its zoom
    page.mouse.move(x + 0.75 * width, y + 0.5 * height, steps=6)
    page.mouse.up()
    until(lambda: "from" in chosen(page))
    assert span_s(page) == pytest.approx(900, abs=90)
    expect(page.locator("#numbers caption")).to_contain_text("minute")
    page.get_by_role("button", name="Zoom in").click()
    until(lambda: span_s(page) < 500)
    expect(page.locator("#numbers caption")).to_contain_text("second")
    first = chosen(page)["from"]
    page.get_by_role("button", name="Earlier").click()
    until(lambda: chosen(page)["from"] < first)
    assert span_s(page) < 500
    page.get_by_role("button", name="Zoom out").click()
    until(lambda: span_s(page) > 700)
    page.go_back()
    until(lambda: span_s(page) < 500)


def test_two_periods_and_two_sources_are_compared(seeded: Served, visit: Open) -> None:
    page = opened(visit, seeded, "?period=1h&source=lobby")
    compare = page.locator("#versus")
    expect(page.locator("#against")).to_be_hidden()
    compare.select_option("A day earlier")
    expect(page.locator("#other .scatterlayer .trace").first).to_be_visible()
    expect(page.locator("#other-about")).to_contain_text("A day earlier")
    expect(page.locator("#comparison tbody tr")).to_have_count(11)
    compare.select_option("stage")
    expect(page.locator("#other-about")).to_have_text("stage")
    expect(page.locator("#comparison tr", has_text="Faces a frame")).to_contain_text("3.00")
    assert chosen(page)["vs"] == ["@stage"]
    compare.select_option("Another time …")
    page.locator("#other-from").fill("2026-01-01T10:00:30")
    page.get_by_role("button", name="Compare").click()
    until(lambda: chosen(page).get("vs") == ["2026-01-01T00:00:30Z"])
    expect(page.locator("#other-about")).to_contain_text("Another time: 01 Jan")
    compare.select_option("Compare with …")
    expect(page.locator("#against")).to_be_hidden()


def test_nothing_to_compare_with_is_no_error_and_markers_labels_lie_on_no_other(seeded: Served, visit: Open) -> None:
    noon = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    for minute in (5, 12, 20, 40):
        seeded.store.add_markers([Marker(new_id(), noon + timedelta(minutes=minute), "A talk at noon", "stage", "me")])
    start, end = (f"{noon + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for hours in (0, 1))
    query = f"period=custom&from={start}&to={end}&source=stage&vs=2020-01-01T00:00:00Z"
    page = visit(f"{seeded.address}/history?{query}", viewport={"width": 390, "height": 800}).page
    labels = page.locator("#plot .annotation", has_text="noon")
    expect(labels.first).to_be_visible()
    shown = [box_of(labels.nth(at)) for at in range(labels.count()) if labels.nth(at).is_visible()]
    assert 1 < len(shown) < 4
    assert all(left + width <= right for (left, _, width, _), (right, *_) in pairwise(shown))
    for marker in seeded.store.markers(noon, noon + timedelta(hours=1), ["stage"]):
        seeded.store.drop_marker(marker.id)


def test_markers_added_by_click_and_by_the_api_stay(seeded: Served, visit: Open) -> None:
    page = opened(visit, seeded)
    page.locator("#marking summary").click()
    page.get_by_label("What happens").fill("The <b>show</b> begins")
    page.get_by_role("button", name="Add the marker").click()
    expect(page.locator("#mark [role=status]")).to_have_text("Added.")
    expect(page.locator("#markers li")).to_have_count(1)
    expect(page.locator("#markers span")).to_have_text("The <b>show</b> begins")
    expect(page.locator("#plot .annotation", has_text="begins")).to_have_count(1)
    marker = {"label": "Doors open", "source": "stage", "time": datetime.now(timezone.utc).isoformat()}
    request = urllib.request.Request(  # noqa: S310
        f"{seeded.address}/api/v1/markers", json.dumps(marker).encode(), {"content-type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
    expect(page.locator("#markers li")).to_have_count(2)
    again = opened(visit, seeded)
    expect(again.locator("#marker-count")).to_have_text("2")
    again.locator("#marking summary").click()
    again.get_by_role("button", name="Delete the marker Doors open").click()
    expect(again.locator("#markers li")).to_have_count(1)
    expect(page.locator("#markers li")).to_have_count(1)
    again.locator("[data-drop]").click()
    expect(again.locator("#markers li")).to_have_count(0)


def test_what_is_seen_is_exported(seeded: Served, visit: Open, tmp_path: Path) -> None:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    start, end = (f"{now - timedelta(hours=back):%Y-%m-%dT%H:%M:%SZ}" for back in (5, 2))
    page = opened(visit, seeded, f"?period=custom&from={start}&to={end}&source=stage")

    def saved(name: str) -> Path:
        page.locator("#export").evaluate("(menu) => (menu.open = true)")
        with page.expect_download() as download:
            page.locator("#export .panel").get_by_text(name).click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    faces = analysed(page)
    rows = list(csv.DictReader(io.StringIO(saved("CSV, a row per point").read_text())))
    assert len(rows) > 30
    assert sum(int(row["faces"]) for row in rows) == faces
    table = pl.read_parquet(saved("Parquet, a row per point"))
    assert table["faces"].sum() == faces
    every = pl.read_csv(saved("CSV, a row per face"))
    assert len(every) == faces
    assert set(every["source"]) == {"stage"}
    with Image.open(saved("PNG, the chart as a picture")) as picture:
        assert picture.size == (2560, 1440)
        pixels = np.asarray(picture.convert("RGB").resize((64, 36))).reshape(-1, 3)
        assert len(np.unique(pixels, axis=0)) > 20  # it shows something


def test_the_page_works_with_the_keyboard(seeded: Served, visit: Open) -> None:
    page = opened(visit, seeded)
    page.get_by_role("button", name="7 days").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")
    page.locator("#picker summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#picker .panel")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator("#picker [data-action=all]")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("checkbox", name="lobby")).to_be_focused()
    page.evaluate(BEGUN)
    page.keyboard.press("Space")
    until(lambda: chosen(page).get("source") == ["stage"])
    until(lambda: page.evaluate("window.begun"))
    page.evaluate("mien.take({'call:sources': ['attic', 'lobby', 'stage']})")  # what comes when a source appears
    expect(page.locator("#picker .options label")).to_have_count(3)
    expect(page.get_by_role("checkbox", name="lobby")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#picker .panel")).to_be_hidden()
    page.get_by_role("button", name="5 min").press("Enter")
    why = page.locator("#figures .why").first
    why.focus()
    changed(page.locator("#figures"))
    expect(why).to_be_focused()
