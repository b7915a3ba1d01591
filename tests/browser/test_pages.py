"""Every page: for all eyes and hands, on every screen, and with pictures for the documentation."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from feeding import until
from playwright.sync_api import Page, Route, expect
from visits import Served, Visit, keep, serious

pytestmark = [pytest.mark.browser, pytest.mark.mosquitto, pytest.mark.timeout(400)]

Open = Callable[..., Visit]

SHOWS = {
    "/": "article.source .face",
    "/history?period=today&vs=@lobby&source=stage": "#other .scatterlayer .trace",
    "/try": "[data-try=camera]",
    "/reports": "#ended li",
    "/system": "#findings li",
    "/docs/guide/dashboard": "article h1",
    "/docs/api": ".request",
}
"""What each page shows once it is there."""


def ready(page: Page, path: str) -> None:
    expect(page.locator(SHOWS[path]).first).to_be_visible()
    expect(page.locator("#status")).to_contain_text("Connected")


@pytest.mark.parametrize("path", SHOWS)
def test_axe_finds_nothing_serious_in_light_and_dark(
    seeded: Served, visit: Open, path: str, screenshots: Path | None
) -> None:
    page = visit(f"{seeded.address}{path}").page
    ready(page, path)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        until(lambda scheme=scheme: (brightness(page) < 60) == (scheme == "dark"))  # type: ignore[misc]
        assert serious(page, *(["color-contrast"] if scheme == "dark" else [])) == [], scheme  # all else is the same
        if screenshots and not path.startswith("/docs/"):
            name = path.partition("?")[0].strip("/") or "live"
            keep(page, screenshots / f"{name}{'-dark' * (scheme == 'dark')}.webp", seeded.home)


def test_the_phone_has_no_sideways_scroll_and_the_theme_is_kept(seeded: Served, visit: Open) -> None:
    options = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark", "has_touch": True}
    page = visit(seeded.address, **options).page
    for path in SHOWS:
        page.goto(f"{seeded.address}{path}")
        ready(page, path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    page.get_by_role("button", name="Theme: Automatic").click()
    assert brightness(page) > 200
    page.get_by_role("link", name="Live", exact=True).click()
    expect(page.get_by_role("button", name="Theme: Light")).to_be_visible()
    expect(page.locator("article.source .face").first).to_be_visible()
    assert brightness(page) > 200


def test_a_wall_screen_shows_the_sources_alone_until_escape(
    seeded: Served, visit: Open, screenshots: Path | None
) -> None:
    page = visit(f"{seeded.address}/?kiosk=1", viewport={"width": 2560, "height": 1440}).page
    ready(page, "/")
    expect(page.get_by_role("navigation")).to_be_hidden()
    expect(page.locator(".controls")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollHeight") <= 1440
    page.keyboard.press("Escape")
    expect(page.get_by_role("navigation")).to_be_visible()
    assert "kiosk" not in page.evaluate("location.search")


def test_the_system_page_tells_of_every_part(seeded: Served, visit: Open) -> None:
    page = visit(f"{seeded.address}/system").page
    ready(page, "/system")
    parts = page.locator("#parts li")
    for name, word in {
        "Broker": "Connected", "Outboxes": "4 waiting", "Forwarder": "Keeps up", "Store": "MB", "Dashboard": "Mien",
    }.items():  # fmt: skip
        expect(parts.filter(has=page.get_by_role("heading", name=name))).to_contain_text(word)
    expect(page.locator("#source-table tbody tr")).to_have_count(2)
    expect(page.locator("#letters")).to_contain_text("the probabilities add up to 1.400, not 1")
    expect(page.locator("#model")).to_contain_text("FER-2013")
    expect(page.locator("#model")).to_contain_text("faces of PrivateTest")
    page.get_by_text("Each emotion, and where it errs").click()
    expect(page.locator("#model tbody tr")).to_have_count(7)
    expect(page.locator("#lines")).to_contain_text("the dashboard is at")
    expect(page.locator("#findings")).to_contain_text("Python")
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("button", name="Check again")).to_be_enabled()


def test_an_alert_is_tried_out_made_and_deleted(seeded: Served, visit: Open) -> None:
    page = visit(f"{seeded.address}/system").page
    rules, form = page.locator("#alerts li"), page.get_by_role("form", name="New alert")
    expect(rules).to_have_text("None yet.")
    page.get_by_text("New alert", exact=True).click()
    form.get_by_label("Name").fill("happy-lobby")
    form.get_by_role("combobox", name="Source").fill("lobby")
    form.locator("[name=emotion]").select_option("happy")
    form.get_by_label("Percent of the faces").fill("0")
    form.get_by_label("Within seconds").fill("3600")
    form.get_by_label("Faces at least").fill("1")
    form.get_by_role("button", name="Try it out").click()
    expect(form.get_by_role("status")).to_contain_text("be raised now, for 1 of 1")
    expect(page.locator("#alert-readings li")).to_contain_text("lobby: happy is")
    expect(rules).to_have_text("None yet.")
    form.get_by_role("button", name="Make the alert").click()
    expect(rules).to_have_count(1)
    expect(rules).to_contain_text("happy-lobby")
    expect(rules).to_contain_text("lobby")
    form.get_by_label("Tell me when").select_option("offline")
    expect(form.locator("[name=emotion]")).to_be_hidden()
    form.get_by_label("Tell me when").select_option("share")
    page.get_by_role("button", name="Delete the alert happy-lobby").click()
    expect(rules).to_have_text("None yet.")


def test_a_form_is_sent_by_the_pages_script_alone(seeded: Served, visit: Open) -> None:
    page = visit(seeded.address).page
    late: list[Route] = []
    page.route(re.compile(r"/assets/(reports|system)\.js"), lambda route: late.append(route))
    for path, form in (("/reports", "#report"), ("/system", "#alert")):
        late.clear()
        page.goto(f"{seeded.address}{path}", wait_until="commit")
        buttons = page.locator(f"{form} button[type=submit]")
        expect(buttons.first).to_be_disabled()
        until(lambda: bool(page.title()) and bool(late))
        page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
        page.locator(form).evaluate("(form) => (form.noValidate = true)")
        page.locator(f"{form} input:visible").first.press("Enter")
        late[0].continue_()
        for button in buttons.all():
            expect(button).to_be_enabled()
        assert page.url == f"{seeded.address}{path}", "nothing of what the form holds is in the address"


def test_a_question_mark_says_in_place_what_the_figure_is(seeded: Served, visit: Open) -> None:
    page = visit(seeded.address).page
    for path in ("/", "/history", "/system"):
        page.goto(f"{seeded.address}{path}")
        expect(page.locator("#status")).to_contain_text("Connected")
        mark = page.locator(".why:visible").first
        mark.click()
        expect(page.locator("#definition")).to_be_visible()
        title = page.locator("#definition h2")
        assert page.evaluate("document.activeElement.textContent") == "Close"
        page.keyboard.press("Escape")
        expect(page.locator("#definition")).to_be_hidden()
        expect(mark).to_be_focused()
        assert title.text_content()
    page.locator("[aria-label='What is p99, ms?']").click()
    expect(page.locator("#definition h2")).to_have_text("Delay and p99")
    page.locator("#definition").get_by_role("link", name="In the documentation").click()
    expect(page.get_by_role("heading", name="Delay and p99")).to_be_in_viewport()
    page.get_by_role("searchbox").fill("happiness index")
    page.keyboard.press("Enter")
    page.locator(".hits a").first.click()
    expect(page.locator("article h1")).to_be_visible()


def brightness(page: Page) -> float:
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = (int(part) for part in color[color.index("(") + 1 : -1].split(",")[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
